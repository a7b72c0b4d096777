"""The fields of a chat that can be changed: what they accept, and what it becomes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.sandbox.chat_words import RATINGS, SPELLINGS
from airflow_provider_helpcrunch.sandbox.complaints import BLANK, BOOL, CHOICE, NUMERIC, STRING, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Change(NamedTuple):
    """
    One field that a ``PUT`` changes.

    :param name: its name in the body
    :param field: its name in :class:`~.chat_data.Chat`
    :param complaint: says of a value that is there what is wrong with it, if anything
    :param read: the meaning of an accepted value
    :param nullable: null is accepted
    """

    name: str
    field: str
    complaint: Callable[[Any], str | None]
    read: Callable[[Any], Any]
    nullable: bool = False

    def wrong(self, body: Mapping[str, Any]) -> str | None:
        """Return what the validator says about the field in a body, if anything."""
        value = body.get(self.name)
        if value is None or value == "":
            return None if value is None and self.nullable and self.name in body else BLANK
        return self.complaint(value)


def status_of(word: Any) -> str:
    """
    Return the status that one of its documented spellings means.

    :raises KeyError: no status is spelt like this
    """
    return SPELLINGS[word]


def wanted_time(value: Any) -> int | None:
    """
    Return a time of a request in UNIX milliseconds, ``None`` for none.

    :param value: UNIX seconds: an integer, a float or a string, with a fraction or without
    :raises ValueError: it is no such time
    """
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", str(value)):
        message = f"a time is UNIX seconds, not {value!r}"
        raise ValueError(message)
    whole, _, fraction = str(value).partition(".")
    return int(whole) * 1000 + int(fraction.ljust(3, "0")[:3])


def _id(value: Any) -> int | None:
    return None if value is None else int(value)


def _same(value: Any) -> Any:
    return value


def _status(value: Any) -> str | None:
    if not isinstance(value, str):
        return STRING
    return None if value != "empty" and value in SPELLINGS else CHOICE


def _rating(value: Any) -> str | None:
    if not isinstance(value, str):
        return STRING
    return None if value in RATINGS else CHOICE


def _time(value: Any) -> str | None:
    try:
        wanted_time(value)
    except ValueError:
        return NUMERIC
    return None


def _bool(value: Any) -> str | None:
    return None if isinstance(value, bool) else BOOL


BY_PATH = {
    "status": Change("status", "status", _status, status_of),
    "assignee": Change("assignee", "assignee", number, _id, nullable=True),
    "department": Change("department", "department", number, _id),
    "snooze": Change("snoozedUntil", "snoozed_until", _time, wanted_time, nullable=True),
    "rate": Change("rating", "rating", _rating, _same),
    "readByAgent": Change("read", "read_by_agent", _bool, _same),
    "readByCustomer": Change("read", "read_by_customer", _bool, _same),
}
"""The field that each ``PUT /v1/chats/…`` changes, by the end of its path."""

BY_PERSON: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **{change.name: (change.field, change.read) for change in BY_PATH.values() if change.name != "read"},
    "readByAgent": ("read_by_agent", bool),
    "readByCustomer": ("read_by_customer", bool),
    "closedAt": ("closed_at", wanted_time),
    "closedBy": ("closed_by", _same),
    "lastMessageAt": ("last_message_at", wanted_time),
    "lastCustomerMessageAt": ("last_customer_message_at", wanted_time),
    "lastMessageText": ("last_message_text", _same),
    "lastCommunicatedAgentId": ("last_agent", _id),
}
"""
The fields that a person may change in HelpCrunch's user interface: name in the API, name inside, meaning of a value.
"""
