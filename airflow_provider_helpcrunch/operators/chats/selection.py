"""Which chats are meant: what HelpCrunch is asked for, and what is checked here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.client.vocabulary import NOT_OPEN
from airflow_provider_helpcrunch.exceptions import HelpCrunchResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_CLOSED = Filter("chats.status", "!=", "closed")
CLOSED = Filter("chats.status", "=", "closed")
"""The one status that all pages of the documentation spell alike; the others are told apart here, not by a search."""

NEVER = Filter("chats.createdAt", "<", 0)
"""Matches nothing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Chats of one agent, or of nobody.

    Everything is checked here, whatever HelpCrunch was asked for: a search that ignored a filter must not make
    chats of others move.

    :param source: the agent's id; ``None``: nobody's chats
    :param department: only chats of this department; ``None``: of any and of none
    :param statuses: only chats with one of these statuses; ``None``: all that are open
    """

    source: int | None
    department: int | None = None
    statuses: frozenset[str] | None = None

    @property
    def wants_closed(self) -> bool:
        """Whether closed chats are meant too."""
        return self.statuses is not None and "closed" in self.statuses

    def filters(self) -> list[Filter]:
        """Return what HelpCrunch is asked for, apart from the status."""
        filters = []
        if self.source is not None:
            filters.append(Filter("chats.assignee", "=", self.source))
        if self.department is not None:
            filters.append(Filter("chats.department", "=", self.department))
        return filters

    def concerns(self, chat: Mapping[str, Any]) -> bool:
        """
        Say whether the chat is the source's, and of the department.

        :raises HelpCrunchResponseError: it cannot be told
        """
        if id_in(chat, "assignee") != self.source:
            return False
        return self.department is None or id_in(chat, "department") == self.department

    def has_status(self, chat: Mapping[str, Any]) -> bool:
        """
        Say whether the chat's status is one that is meant.

        :raises HelpCrunchResponseError: it is a number, and nobody has documented the meaning of these
        """
        status = chat.get("status")
        if isinstance(status, int) or (isinstance(status, str) and status.isdigit()):
            msg = (
                f"HelpCrunch sent the chat {chat.get('id')} with the status {status}: whether it is "
                "open cannot be told."
            )
            raise HelpCrunchResponseError(msg)
        return status not in NOT_OPEN if self.statuses is None else status in self.statuses
