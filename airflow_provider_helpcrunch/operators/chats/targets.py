"""The agents who get chats: chosen by a strategy, counted, and dropped when they have left the account."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import NoSuchAgentError, Strategy, choose
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.vocabulary import NOT_OPEN
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
)
from airflow_provider_helpcrunch.operators.chats.selection import NOT_CLOSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exceptions import HelpCrunchApiError

log = logging.getLogger(__name__)

SUSPICIOUS = 2
"""Refusals in a row after which an agent is looked up: the error body does not say whether chat or agent is unknown."""


class Targets:
    """
    Agents who get chats.

    :param loads: how many chats each has, by id, in the order in which they were named
    :param strategy: who gets which chat
    """

    def __init__(self, loads: Mapping[int, int], strategy: Strategy) -> None:
        self.loads = dict(loads)
        self._strategy = strategy
        self._refused: dict[int, list[int]] = {agent: [] for agent in loads}

    def choose(self, chat: Mapping[str, Any]) -> int:
        """
        Return who is to get the chat.

        :raises HelpCrunchConfigurationError: the strategy chose nobody who may be chosen
        """
        try:
            return choose(self._strategy, chat, self.loads)
        except NoSuchAgentError as error:
            msg = f"The strategy is wrong: {error}. Chats that were moved before stay where they are."
            raise HelpCrunchConfigurationError(msg) from None

    def given(self, agent: int) -> None:
        """Take note that the agent got a chat."""
        self.loads[agent] += 1
        self._refused[agent].clear()

    def refused(
        self, client: HelpCrunchClient, agent: int, chat: int, error: HelpCrunchApiError
    ) -> list[int]:
        """
        Take note that HelpCrunch refused to give the agent a chat, and find out whether there is such an agent still.

        :return: the chats to be given to somebody else, when the agent has left the account; else none
        """
        blamed = self._refused[agent]
        blamed.append(chat)
        told = any("agent" in detail.message.lower() for detail in error.errors)
        if not told and len(blamed) < SUSPICIOUS:
            return []
        try:
            known = any(found["id"] == agent for found in client.iter_agents())
        except HelpCrunchError as failure:
            log.warning("Whether agent %d is still there could not be found out: %s", agent, failure)
            return []
        if known:
            blamed.clear()
            return []
        del self.loads[agent], self._refused[agent]
        log.warning("Agent %d has left the account; the others get the chats.", agent)
        return blamed


def count_open_chats(client: HelpCrunchClient, agent: int) -> int:
    """
    Return how many open chats an agent has. One request, unless HelpCrunch ignores that closed ones are not wanted.

    :param client: the client
    :param agent: the agent's id
    """
    mine = Filter("chats.assignee", "=", agent)
    try:
        page = client.search_chats_page([mine, NOT_CLOSED])
    except HelpCrunchBadRequestError as error:
        log.warning("HelpCrunch refuses to search by status: %s", error)
    else:
        is_honest = all(chat.get("status") != "closed" for chat in page.records)
        if page.total is not None and (is_honest or page.total == len(page)):
            return page.total - sum(chat.get("status") in NOT_OPEN for chat in page.records)
    log.warning("All chats of agent %d are read to count those that are open.", agent)
    return sum(chat.get("status") not in NOT_OPEN for chat in client.iter_search_chats([mine]))
