"""Plan of changes by a user, checked as a whole before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.chats.conditions import Conditions
from airflow_provider_helpcrunch.chats.results import NOTE, UNKNOWN, Result
from airflow_provider_helpcrunch.chats.rules import NO_RULES, Rules
from airflow_provider_helpcrunch.client.ids import check_id
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.client.vocabulary import status_of, written_status
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.packing import from_steps, steps
from airflow_provider_helpcrunch.plurals import quoted

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient

FIELDS = ("department", "assignee", "snoozed_until", "status")
"""Fields that a plan can change, in the order of the changes: the rules of a new department may assign the chat, so the
assignee comes after it, and closing comes last."""

_PACKED = ("before", "outcome", "error", "status", "department")
"""Fields of a result that its place in the plan does not tell."""


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

    def make(self, client: HelpCrunchClient) -> Mapping[str, Any]:
        """
        Make the change. One request.

        :param client: the account
        :return: the chat as it is then
        """
        match self.field:
            case "assignee":
                return client.update_chat_assignee(self.chat, self.value)
            case "department":
                return client.update_chat_department(self.chat, self.value)
            case "status":
                return client.update_chat_status(self.chat, self.value)
            case _:
                return client.snooze_chat(self.chat, self.value)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    All changes, in order. Make it with :meth:`read`.

    :param changes: the changes, those of one chat next to each other
    :param conditions: what must still be so of a chat when its turn comes, by the chat's id.
        Default: nothing
    :param rules: who may get a chat by then, and the note that is left in it. Default: everybody, none
    """

    changes: tuple[Change, ...]
    conditions: Mapping[int, Conditions] = field(default_factory=dict)
    rules: Rules = NO_RULES

    @classmethod
    def read(cls, entries: Iterable[Any], rules: Rules = NO_RULES) -> Plan:
        """
        Check a plan and return it.

        :param entries: dictionaries with ``id`` and at least one of ``assignee`` (an agent's id or ``None``),
            ``department`` (an id), ``status`` and ``snoozed_until`` (a time or ``None``), and ``before``
            (:meth:`.Conditions.read`; default: no conditions); or the rows of a dry run's result or report, whose
            conditions are what the chat had when it was read
        :param rules: who may get a chat by then, and the note that is left in it. Default: everybody, none
        :raises HelpCrunchConfigurationError: an entry is wrong; the message names it and the reason
        """
        changes: list[Change] = []
        conditions: dict[int, Conditions] = {}
        seen: set[int] = set()
        for number, entry in enumerate(entries, start=1):
            try:
                if (written := _without_row(entry)) is None:
                    continue
                chat, found = _changes_of(written)
                before = Conditions.read(written.get("before"), as_sent=written is not entry)
                if before.values:
                    conditions[chat] = before
            except HelpCrunchConfigurationError as error:
                msg = f"Entry {number} of the plan: {error} Nothing was changed."
                raise HelpCrunchConfigurationError(msg) from None
            if chat in seen:
                msg = (
                    f"Entry {number} of the plan: chat {chat} already has an entry; put all its changes into one. "
                    "Nothing was changed."
                )
                raise HelpCrunchConfigurationError(msg)
            seen.add(chat)
            changes += found
        return cls(tuple(changes), conditions, rules)

    @property
    def dry_run(self) -> bool:
        """Whether changes are only planned: never."""
        return False

    @property
    def fingerprint(self) -> str:
        """Short hash of the plan: equal only for equal plans."""
        changes = [[change.chat, change.field, change.value] for change in self.changes]
        conditions = [[chat, dict(before.values)] for chat, before in self.conditions.items()]
        written = json.dumps([changes, conditions, astuple(self.rules)])
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def columns(self, results: Sequence[Result]) -> list[list[Any]]:
        """
        Return results as plain JSON that packs well: chat, field and new value are replaced by the place in the plan.

        :param results: results of this plan
        """
        places = {(chat, what): place for place, (chat, what, _) in enumerate(self._steps())}
        return [
            steps(places[result.id, result.field] for result in results),
            *([getattr(result, name) for result in results] for name in _PACKED),
        ]

    def from_columns(self, written: Sequence[Sequence[Any]]) -> list[Result]:
        """
        Return the results of which :meth:`columns` made plain JSON.

        :param written: the plain JSON
        """
        places, *others = written
        all_steps = self._steps()
        taken = (all_steps[place] for place in from_steps(places))
        return [
            Result(id=chat, field=what, after=value, **dict(zip(_PACKED, values, strict=True)))
            for (chat, what, value), *values in zip(taken, *others, strict=True)
        ]

    def _steps(self) -> list[tuple[int, str, Any]]:
        """Return chat, field and new value of whatever has a result: the changes, and the notes after them."""
        found: list[tuple[int, str, Any]] = []
        for change in self.changes:
            found.append((change.chat, change.field, change.value))
            if self.rules.note is not None and change.field == "assignee":
                found.append((change.chat, NOTE, None))
        return found

    def ids(self, field: str) -> set[int]:
        """
        Return all agents or departments in the plan.

        :param field: ``assignee`` or ``department``
        """
        return {change.value for change in self.changes if change.field == field and change.value is not None}

    def ids_before(self) -> set[int]:
        """Return all agents whose chats the plan changes, as far as its conditions name them."""
        return {agent for each in self.conditions.values() if (agent := each.values.get("assignee"))}


def _without_row(entry: Any) -> Mapping[str, Any] | None:
    """
    Return an entry as a user would write it, also where it is a row of a dry run.

    :return: the entry; ``None`` for a row about a chat that the dry run left where it is
    """
    if not isinstance(entry, Mapping):
        msg = f'it must be an object such as {{"id": 1, "assignee": 2}}, not {quoted(entry)}.'
        raise HelpCrunchConfigurationError(msg)
    if "outcome" not in entry:
        return entry
    if entry["outcome"] == "left":
        return None
    if entry["outcome"] != "planned" or entry.get("field") != "assignee":
        msg = (
            f"it is the result of a change (outcome {entry['outcome']}), and only a dry run's planned "
            "reassignments can be a plan; take the result or the report of a dry run."
        )
        raise HelpCrunchConfigurationError(msg)
    if entry.get("after") is None:
        # Somebody emptied the cell, perhaps to leave the chat where it is: it must not be unassigned.
        msg = "it names no agent in after; take the whole row out to leave the chat where it is."
        raise HelpCrunchConfigurationError(msg)
    before = {field: entry[name] for field, name in _CONDITIONS if name in entry and entry[name] != UNKNOWN}
    return {"id": entry.get("id"), "assignee": entry["after"], "before": before}


_CONDITIONS = (("assignee", "before"), ("status", "status"), ("department", "department"))
"""Fields of conditions, and the columns of a dry run's row that have them."""


def _changes_of(entry: Mapping[str, Any]) -> tuple[int, list[Change]]:
    if unknown := sorted(
        str(name) or "a column without a name" for name in entry if name not in ("id", "before", *FIELDS)
    ):
        msg = f"it has {', '.join(unknown)}; a plan knows id, {', '.join(FIELDS)} and before."
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
    if field != "snoozed_until":
        return check_id(field, value)
    if (until := int(moment(field, value).timestamp())) <= 0:
        msg = f"snoozed_until must be a time after 1970, or null for not snoozed; not {quoted(value)}."
        raise HelpCrunchConfigurationError(msg)
    return until
