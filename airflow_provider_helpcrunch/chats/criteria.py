"""Conditions of a search: those that HelpCrunch applies, and those that are checked here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.contradiction import refuse_contradiction
from airflow_provider_helpcrunch.client.filters import Filter, check_filters
from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_FIELDS = {"created": "createdAt", "closed": "closedAt"}


@dataclass(frozen=True, slots=True)
class Criteria:
    """
    All conditions of a search, validated.

    :param given: the user's own filters
    :param comparison: how these are joined: ``AND`` or ``OR``
    :param times: ``created_since``, ``created_before``, ``closed_since`` and ``closed_before``; ``None``: no bound
    :param statuses: only chats with one of these statuses, in the client's spelling; ``None``: all
    :param unassigned: whether only unassigned chats match
    :param assignee: only chats of the agent with this id; ``None``: all
    :param department: only chats of the department with this id; ``None``: all
    :raises HelpCrunchConfigurationError: they contradict each other, or one of them is wrong
    """

    given: tuple[Filter | Mapping[str, Any], ...]
    comparison: str
    times: Mapping[str, Any]
    statuses: frozenset[str] | None
    unassigned: bool
    assignee: int | None
    department: int | None
    _bounds: dict[str, datetime] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Refuse conditions that contradict each other."""
        bounds = {name: moment(name, value) for name, value in self.times.items() if value is not None}
        self._bounds.update(bounds)
        for event in _FIELDS:
            since, before = bounds.get(f"{event}_since"), bounds.get(f"{event}_before")
            if since is not None and before is not None and since >= before:
                msg = f"{event}_since ({since.isoformat()}) must be earlier than {event}_before ({before.isoformat()})."
                raise HelpCrunchConfigurationError(msg)
        _, word = check_filters(self.given, self.comparison)
        if word == "OR" and self._own_filters():
            msg = (
                "With comparison OR HelpCrunch can search by filters alone: put times, assignee and "
                "department into filters, or search twice."
            )
            raise HelpCrunchConfigurationError(msg)

    def filters(self) -> list[Filter | Mapping[str, Any]]:
        """Return the filters that HelpCrunch applies."""
        return [*self._own_filters(), *self.given]

    def is_timed(self, event: str) -> bool:
        """
        Say whether there is a bound on the time of an event.

        :param event: ``created`` or ``closed``
        """
        return any(name.startswith(event) for name in self._bounds)

    def to_json(self) -> dict[str, Any]:
        """Return the conditions as plain JSON, for a trigger."""
        return {
            "given": check_filters(self.given, self.comparison)[0],
            "comparison": self.comparison,
            "times": {name: bound.isoformat() for name, bound in self._bounds.items()},
            "statuses": None if self.statuses is None else sorted(self.statuses),
            "unassigned": self.unassigned,
            "assignee": self.assignee,
            "department": self.department,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Criteria:
        """
        Return the conditions that :meth:`to_json` wrote.

        :param written: the plain JSON
        """
        statuses = written["statuses"]
        return cls(
            **{
                **written,
                "given": tuple(written["given"]),
                "statuses": None if statuses is None else frozenset(statuses),
            }
        )

    def match(self, chat: Mapping[str, Any]) -> bool:
        """
        Say whether a chat meets all conditions, with times compared to the fraction of a second.

        :param chat: a chat that HelpCrunch found
        :raises HelpCrunchResponseError: a field needed for this is unreadable, or the chat contradicts a user's filter
        """
        refuse_contradiction(self.given, self.comparison, chat)
        return (
            all(self._in_time(name, bound, chat) for name, bound in self._bounds.items())
            and (self.statuses is None or chat.get("status") in self.statuses)
            and (not self.unassigned or id_in(chat, "assignee") is None)
            and (self.assignee is None or id_in(chat, "assignee") == self.assignee)
            and (self.department is None or id_in(chat, "department") == self.department)
        )

    def _own_filters(self) -> list[Filter | Mapping[str, Any]]:
        filters: list[Filter | Mapping[str, Any]] = []
        for name, bound in self._bounds.items():
            event, _, side = name.partition("_")
            filters.append(Filter(f"chats.{_FIELDS[event]}", ">=" if side == "since" else "<", bound))
        for name, number in (("assignee", self.assignee), ("department", self.department)):
            if number is not None:
                filters.append(Filter(f"chats.{name}", "=", number))
        return filters

    def _in_time(self, name: str, bound: datetime, chat: Mapping[str, Any]) -> bool:
        event, _, side = name.partition("_")
        raw = chat.get(_FIELDS[event])
        if (found := parse_timestamp(raw)) is None:
            if raw not in (None, "") or event == "created":
                msg = f"HelpCrunch sent the chat {chat.get('id')} without a readable {_FIELDS[event]}."
                raise HelpCrunchResponseError(msg)
            return False
        return found >= bound if side == "since" else found < bound
