"""
One filter of a search: a field, an operator and a value become a test of a chat.

Guesses where the documentation is silent: texts are compared without regard to case; what is null passes only
``!=`` and ``!~``; times are compared to the millisecond.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from airflow_provider_helpcrunch.sandbox.chat_data import Chat
from airflow_provider_helpcrunch.sandbox.chat_words import NUMBERED, SPELLINGS, STATUSES
from airflow_provider_helpcrunch.sandbox.complaints import ARRAY, BLANK, CHOICE, NUMERIC, STRING, integer

Test: TypeAlias = Callable[[Chat], bool]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    **{"=": operator.eq, "!=": operator.ne},
    **{">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le},
}
_TEXTUAL: dict[str, Callable[[Any, Any], bool]] = {
    **{"=": operator.eq, "!=": operator.ne},
    **{"~": operator.contains, "!~": lambda text, part: part not in text},
}
_NEGATIONS = ("!=", "!~")


class Field(NamedTuple):
    """
    A field that can be searched.

    :param kind: ``int``, ``ints`` (one of several), ``date``, ``string``, ``status`` or ``tags``
    :param get: its value in a chat
    """

    kind: str
    get: Callable[[Chat], Any]


FIELDS = {
    "chats.assignee": Field("int", lambda chat: chat.assignee),
    "chats.agents": Field("ints", lambda chat: chat.agents),
    "chats.department": Field("int", lambda chat: chat.department),
    "chats.createdAt": Field("date", lambda chat: chat.created_at),
    "chats.closedAt": Field("date", lambda chat: chat.closed_at),
    "chats.updatedAt": Field("date", lambda chat: chat.updated_at),
    "chats.status": Field("status", lambda chat: chat.status),
    "chats.rating": Field("string", lambda chat: chat.rating),
    "chats.customer": Field("int", lambda chat: chat.customer.id),
    "chats.customer.email": Field("string", lambda chat: chat.customer.email),
    "chats.customer.userId": Field("string", lambda chat: chat.customer.user_id),
    "chats.customer.tagsData": Field("tags", lambda chat: chat.customer.tags),
}
_OPERATORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int", "ints", "date"), tuple(_ORDERED)),
    **dict.fromkeys(("string", "status"), tuple(_TEXTUAL)),
    "tags": ("=",),
}


def compiled(asked: Any, *, updated_at: bool) -> tuple[Test, dict[str, str]]:
    """
    Make a test of one filter.

    :param asked: an element of ``filter``
    :param updated_at: ``chats.updatedAt`` is a field
    :return: the test, and what is wrong, by ``.field``, ``.operator``, ``.value`` or, for the whole, nothing
    """
    if not isinstance(asked, dict):
        return _anything, {"": ARRAY}
    name, sign, value = asked.get("field"), asked.get("operator"), asked.get("value")
    field = FIELDS.get(name) if isinstance(name, str) else None
    if field is None or (name == "chats.updatedAt" and not updated_at):
        return _anything, {".field": CHOICE if name else BLANK}
    wrong = {
        ".operator": _operator_complaint(sign, field.kind),
        ".value": _value_complaint(value, field.kind),
    }
    complaints = {part: text for part, text in wrong.items() if text}
    if complaints:
        return _anything, complaints
    return _MAKERS[field.kind](field.get, sign, value), {}


def _anything(chat: Chat) -> bool:
    return True


def _operator_complaint(sign: Any, kind: str) -> str | None:
    if sign is None or sign == "":
        return BLANK
    return None if sign in _OPERATORS[kind] else CHOICE


def _value_complaint(value: Any, kind: str) -> str | None:
    if value is None or value in ("", []):
        return BLANK
    if kind in ("int", "ints", "date"):
        return NUMERIC if integer(value) is None else None
    if kind != "tags":
        return None if isinstance(value, str) else STRING
    named = isinstance(value, list) and all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in value
    )
    return None if named else ARRAY


def _numbers(get: Callable[[Chat], Any], sign: Any, value: Any, *, scale: int = 1) -> Test:
    compare, wanted, missing = _ORDERED[sign], int(value) * scale, sign in _NEGATIONS

    def test(chat: Chat) -> bool:
        there = get(chat)
        return missing if there is None else compare(there, wanted)

    return test


def _dates(get: Callable[[Chat], Any], sign: Any, value: Any) -> Test:
    return _numbers(get, sign, value, scale=1000)


def _any_number(get: Callable[[Chat], Any], sign: Any, value: Any) -> Test:
    compare, wanted = _ORDERED[sign], int(value)
    if sign == "!=":
        return lambda chat: wanted not in get(chat)
    return lambda chat: any(compare(there, wanted) for there in get(chat))


def _texts(get: Callable[[Chat], Any], sign: Any, value: Any) -> Test:
    compare, wanted, missing = _TEXTUAL[sign], value.lower(), sign in _NEGATIONS

    def test(chat: Chat) -> bool:
        there = get(chat)
        return missing if there is None else compare(there.lower(), wanted)

    return test


def _statuses(get: Callable[[Chat], Any], sign: Any, value: Any) -> Test:
    word = value.lower()
    if sign in ("=", "!="):
        matching = {SPELLINGS.get(word) or NUMBERED.get(word)}
    else:
        matching = {status for spelling, status in SPELLINGS.items() if word in spelling}
    wanted = set(STATUSES) - matching if sign in _NEGATIONS else matching
    return lambda chat: get(chat) in wanted


def _tags(get: Callable[[Chat], Any], sign: Any, value: Any) -> Test:
    wanted = {each["name"].lower() for each in value}
    return lambda chat: wanted.issubset(get(chat))


_MAKERS: dict[str, Callable[[Callable[[Chat], Any], Any, Any], Test]] = {
    "int": _numbers,
    "ints": _any_number,
    "date": _dates,
    "string": _texts,
    "status": _statuses,
    "tags": _tags,
}
