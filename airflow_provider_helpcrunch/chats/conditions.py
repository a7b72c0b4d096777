"""Conditions on a chat: what must still be so when the turn of a planned change comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.chats.results import UNKNOWN
from airflow_provider_helpcrunch.client.ids import check_id, id_in, id_of
from airflow_provider_helpcrunch.client.vocabulary import known_status, status_of
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.unix_time import parse_timestamp

FIELDS = ("assignee", "status", "department")
"""Fields of a chat that a condition can name."""


def value_in(chat: Mapping[str, Any], field: str) -> Any:
    """
    Return a chat's current value of a field, in the form in which plans have it.

    :param chat: the chat, as HelpCrunch sent it
    :param field: ``department``, ``assignee``, ``status`` or ``snoozed_until``
    :return: an id, ``None`` for nobody or no department, a status, UNIX seconds or ``None`` for not snoozed
    :raises HelpCrunchResponseError: the field is unreadable
    """
    if field == "status":
        return status_of(chat.get("status"))
    if field != "snoozed_until":
        return id_in(chat, field)
    found, raw = parse_timestamp(chat.get("snoozedUntil")), chat.get("snoozedUntil", "missing")
    if found is None and raw not in (None, ""):
        msg = f"HelpCrunch sent the chat {chat.get('id')} without a readable snoozedUntil."
        raise HelpCrunchResponseError(msg)
    return None if found is None else int(found.timestamp())


def state_of(chat: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what a result says about the state of a chat: conditions for the change that it plans.

    :param chat: the chat, as HelpCrunch sent it
    :return: ``status`` (:data:`UNKNOWN` if there is none), and ``department`` (an id, ``None`` for none,
        :data:`UNKNOWN` if it is unreadable)
    """
    try:
        department: Any = id_in(chat, "department")
    except HelpCrunchResponseError:
        department = UNKNOWN
    status = status_of(chat.get("status"))
    return {"status": UNKNOWN if status in (None, "") else status, "department": department}


def names_in_chat(chat: Mapping[str, Any], field: str) -> dict[int, str]:
    """
    Return the name of a chat's assignee or department, by id; empty if it has none.

    :param chat: the chat, as HelpCrunch sent it
    :param field: ``assignee`` or ``department``
    """
    found = chat.get(field)
    number = id_of(found)
    return {number: str(found.get("name") or "")} if number and isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Conditions:
    """
    Values that a chat must still have. Make them with :meth:`read`.

    :param values: the values by field
    """

    values: Mapping[str, Any]

    @classmethod
    def read(cls, before: Any, *, as_sent: bool = False) -> Conditions:
        """
        Check the conditions of a plan's entry and return them.

        :param before: a dictionary with any of ``assignee`` (an id, or ``None`` for nobody), ``status`` and
            ``department`` (an id, or ``None`` for none); ``None`` for no conditions
        :param as_sent: whether the status is what HelpCrunch once sent, so that it may be one that this package does
            not know (``False``)
        :raises HelpCrunchConfigurationError: something in it is wrong
        """
        if before is None:
            return cls({})
        if not isinstance(before, Mapping):
            msg = f'before must be an object such as {{"assignee": 1, "status": "opened"}}, not {quoted(before)}.'
            raise HelpCrunchConfigurationError(msg)
        if unknown := sorted(str(name) for name in before if name not in FIELDS):
            msg = f"before has {', '.join(unknown)}; it knows {', '.join(FIELDS)}."
            raise HelpCrunchConfigurationError(msg)
        return cls({field: _checked(field, before[field], as_sent) for field in FIELDS if field in before})

    def broken_by(
        self,
        chat: Mapping[str, Any],
        planned: Mapping[str, Any],
        agents: Mapping[int, str],
        departments: Mapping[int, str],
    ) -> str | None:
        """
        Return why a chat is no longer as planned.

        :param chat: the chat, as HelpCrunch sent it
        :param planned: the values that the plan gives the chat, by field. A field that has its planned value already
            breaks no condition: an earlier try of the task may have changed it
        :param agents: names of agents by id, as far as they are known
        :param departments: names of departments by id, as far as they are known
        :return: a sentence that says what the chat has now; ``None`` if all conditions hold
        :raises HelpCrunchResponseError: a field is unreadable
        """
        reasons = []
        for field, value in self.values.items():
            now = value_in(chat, field)
            if now != value and not (field in planned and now == planned[field]):
                names = departments if field == "department" else agents
                reasons.append(_difference(field, chat, now, value, names))
        return "; ".join(reasons) or None


def _checked(field: str, value: Any, as_sent: bool) -> Any:
    if field == "status":
        if as_sent and (value is None or not str(value).strip()):
            msg = f"its status is empty; write the one that the chat must still have, or {UNKNOWN} for any."
            raise HelpCrunchConfigurationError(msg)
        return status_of(value) if as_sent else known_status(value)
    is_none = is_nobody(value) if field == "assignee" else value is None
    return None if is_none else check_id(f"before.{field}", value)


def _difference(field: str, chat: Mapping[str, Any], now: Any, value: Any, names: Mapping[int, str]) -> str:
    if field == "status":
        return f"its status is {now} now, not {value}"
    present = _named(now, names_in_chat(chat, field).get(now))
    if field == "assignee":
        return f"it is assigned to {present or 'nobody'} now, not to {_named(value, names.get(value)) or 'nobody'}"
    return f"it is in {present or 'no department'} now, not in {_named(value, names.get(value)) or 'no department'}"


def _named(number: int | None, name: str | None) -> str | None:
    if number is None:
        return None
    return f"{name} ({number})" if name else str(number)
