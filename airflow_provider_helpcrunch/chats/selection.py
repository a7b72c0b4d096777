"""Selection of chats: filters for HelpCrunch, and checks of what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.client.vocabulary import is_open
from airflow_provider_helpcrunch.exceptions import HelpCrunchResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_CLOSED = Filter("chats.status", "!=", "closed")
CLOSED = Filter("chats.status", "=", "closed")
"""Filter by the only status that the documentation always spells the same way. Others are checked here instead."""


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Selection of one agent's chats, or of unassigned ones.

    Every chat is checked here, although HelpCrunch applies the filters: a search that ignored a filter must not lead to
    moving the chats of other agents.

    :param source: the agent's id; ``None``: unassigned chats
    :param department: only chats of the department with this id; ``None``: all
    :param statuses: only chats with one of these statuses; ``None``: all open chats
    """

    source: int | None
    department: int | None = None
    statuses: frozenset[str] | None = None

    @property
    def wants_closed(self) -> bool:
        """Whether closed chats are selected too."""
        return self.statuses is not None and "closed" in self.statuses

    def filters(self) -> list[Filter]:
        """Return the filters for HelpCrunch, without the status."""
        filters = []
        if self.source is not None:
            filters.append(Filter("chats.assignee", "=", self.source))
        if self.department is not None:
            filters.append(Filter("chats.department", "=", self.department))
        return filters

    def concerns(self, chat: Mapping[str, Any]) -> bool:
        """
        Say whether a chat belongs to the source and the department.

        :param chat: the chat, as HelpCrunch sent it
        :raises HelpCrunchResponseError: its assignee or department is unreadable
        """
        if id_in(chat, "assignee") != self.source:
            return False
        return self.department is None or id_in(chat, "department") == self.department

    def has_status(self, chat: Mapping[str, Any]) -> bool:
        """
        Say whether a chat has one of the selected statuses.

        :param chat: the chat, as HelpCrunch sent it
        :raises HelpCrunchResponseError: its status is a number; the meaning of these is not documented
        """
        status = chat.get("status")
        if isinstance(status, int) or (isinstance(status, str) and status.isdigit()):
            msg = (
                f"HelpCrunch sent the chat {chat.get('id')} with the status {status}: whether it is "
                "open cannot be told."
            )
            raise HelpCrunchResponseError(msg)
        return is_open(status) if self.statuses is None else status in self.statuses
