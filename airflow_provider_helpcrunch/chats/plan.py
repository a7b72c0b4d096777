"""Plan of changes by a user, checked as a whole before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.chats.checkpoint import from_steps, steps
from airflow_provider_helpcrunch.chats.results import Result
from airflow_provider_helpcrunch.client.ids import check_id, id_in
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.client.vocabulary import status_of, written_status
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient

FIELDS = ("department", "assignee", "snoozed_until", "status")
"""Fields that a plan can change, in the order of the changes: the rules of a new department may assign the chat, so the
assignee comes after it, and closing comes last."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change of one chat.

    :param chat: the chat's id
    :param field: ``department``, ``assignee``, ``status`` or ``snoozed_until``
    :param value: an id, ``None`` for nobody, a status, UNIX seconds or ``None`` for not snoozed
    """

    chat: int
    field: str
    value: Any

    def make(self, client: HelpCrunchClient) -> None:
        """
        Make the change. One request.

        :param client: the account
        """
        match self.field:
            case "assignee":
                client.update_chat_assignee(self.chat, self.value)
            case "department":
                client.update_chat_department(self.chat, self.value)
            case "status":
                client.update_chat_status(self.chat, self.value)
            case _:
                client.snooze_chat(self.chat, self.value)

    def value_in(self, chat: Mapping[str, Any]) -> Any:
        """
        Return the chat's current value of the field, comparable with ``value``.

        :param chat: the chat, as HelpCrunch sent it
        :raises HelpCrunchResponseError: the field is unreadable
        """
        if self.field == "snoozed_until":
            found, raw = parse_timestamp(chat.get("snoozedUntil")), chat.get("snoozedUntil", "missing")
            if found is None and raw not in (None, ""):
                msg = f"HelpCrunch sent the chat {self.chat} without a readable snoozedUntil."
                raise HelpCrunchResponseError(msg)
            return None if found is None else int(found.timestamp())
        if self.field == "status":
            return status_of(chat.get("status"))
        return id_in(chat, self.field)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    All changes, in order. Make it with :meth:`read`.

    :param changes: the changes, those of one chat next to each other
    """

    changes: tuple[Change, ...]

    @classmethod
    def read(cls, entries: Iterable[Any]) -> Plan:
        """
        Check a plan and return it.

        :param entries: dictionaries with ``id`` and at least one of ``assignee`` (an agent's id or ``None``),
            ``department`` (an id), ``status`` and ``snoozed_until`` (a time or ``None``)
        :raises HelpCrunchConfigurationError: an entry is wrong; the message names it and the reason
        """
        changes: list[Change] = []
        seen: set[int] = set()
        for number, entry in enumerate(entries, start=1):
            try:
                chat, found = _changes_of(entry)
            except HelpCrunchConfigurationError as error:
                msg = f"Entry {number} of the plan: {error} Nothing was changed."
                raise HelpCrunchConfigurationError(msg) from None
            if chat in seen:
                msg = f"Entry {number} of the plan: chat {chat} already has an entry; put all its changes into one."
                raise HelpCrunchConfigurationError(msg)
            seen.add(chat)
            changes += found
        return cls(tuple(changes))

    @property
    def dry_run(self) -> bool:
        """Whether changes are only planned: never."""
        return False

    @property
    def fingerprint(self) -> str:
        """Short hash of the plan: equal only for equal plans."""
        written = json.dumps([[change.chat, change.field, change.value] for change in self.changes])
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def columns(self, results: Sequence[Result]) -> list[list[Any]]:
        """
        Return results as plain JSON that packs well: chat, field and new value are replaced by the place in the plan.

        :param results: results of this plan
        """
        places = {(change.chat, change.field): place for place, change in enumerate(self.changes)}
        return [
            steps(places[result.id, result.field] for result in results),
            [result.before for result in results],
            [result.outcome for result in results],
            [result.error for result in results],
        ]

    def from_columns(self, written: Sequence[Sequence[Any]]) -> list[Result]:
        """
        Return the results of which :meth:`columns` made plain JSON.

        :param written: the plain JSON
        """
        places, *others = written
        changes = (self.changes[place] for place in from_steps(places))
        return [
            Result(change.chat, change.field, before, change.value, outcome, error)
            for change, before, outcome, error in zip(changes, *others, strict=True)
        ]

    def ids(self, field: str) -> set[int]:
        """
        Return all agents or departments in the plan.

        :param field: ``assignee`` or ``department``
        """
        return {change.value for change in self.changes if change.field == field and change.value is not None}


def _changes_of(entry: Any) -> tuple[int, list[Change]]:
    if not isinstance(entry, Mapping):
        msg = f'it must be an object such as {{"id": 1, "assignee": 2}}, not {entry!r}.'
        raise HelpCrunchConfigurationError(msg)
    if unknown := sorted(
        str(name) or "a column without a name" for name in entry if name not in ("id", *FIELDS)
    ):
        msg = f"it has {', '.join(unknown)}; a plan knows id, {', '.join(FIELDS)}."
        raise HelpCrunchConfigurationError(msg)
    chat = check_id("id", entry.get("id"))
    changes = [Change(chat, field, _checked(field, entry[field])) for field in FIELDS if field in entry]
    if not changes:
        msg = f"it names the chat {chat} and nothing to change; add one of {', '.join(FIELDS)}."
        raise HelpCrunchConfigurationError(msg)
    return chat, changes


def _checked(field: str, value: Any) -> Any:
    if field == "status":
        written_status(value)
        return status_of(value)
    if field == "assignee" and is_nobody(value):
        return None
    if value is None and field in ("assignee", "snoozed_until"):
        return None
    return int(moment(field, value).timestamp()) if field == "snoozed_until" else check_id(field, value)
