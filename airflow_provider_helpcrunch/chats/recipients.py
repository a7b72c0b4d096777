"""Recipients: agents who get chats by a strategy, and are dropped when they have left the account."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import STRATEGIES, NoSuchAgentError, Strategy, choose
from airflow_provider_helpcrunch.chats.eligibility import Eligibility
from airflow_provider_helpcrunch.chats.results import DONE
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from airflow_provider_helpcrunch.chats.results import Result
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exceptions import HelpCrunchApiError

log = logging.getLogger(__name__)

SUSPICIOUS = 2
"""Refusals in a row after which an agent is looked up and gets no chats for a while: an error response does not show
whether the chat or the agent is at fault."""

ENOUGH = 3
"""Chats that others must have got before the suspicious agent is tried again, and dropped after another refusal."""


class Recipients:
    """
    Agents who get chats.

    :param loads: number of chats of each agent, by id, in the order in which they were named
    :param strategy: choice of the agent for each chat
    :param results: results so far, from which the suspicions against agents are known. Default: none
    :param eligibility: says which of the agents may get a chat. Default: all of them
    """

    def __init__(
        self,
        loads: Mapping[int, int],
        strategy: Strategy,
        results: Iterable[Result] = (),
        eligibility: Eligibility | None = None,
    ) -> None:
        self.loads = dict(loads)
        self._strategy = strategy
        self._eligibility = eligibility or Eligibility()
        self._refused: Counter[int] = Counter()
        self._others_got: Counter[int] = Counter()
        self._suspects: set[int] = set()
        self._unwanted: set[int] = set()
        self._looked_up: set[int] = set()
        for result in results:
            if result.outcome == "refused":
                self._blame(result.after)
            elif result.outcome in DONE:
                self._clear(result.after)

    def choose(self, chat: Mapping[str, Any]) -> int | None:
        """
        Return the agent who is to get the chat.

        :param chat: the chat, as HelpCrunch sent it
        :return: the agent's id; ``None`` if nobody may get it, for the reason that :meth:`why_none` gives
        :raises HelpCrunchConfigurationError: the strategy did not choose one of those who may
        :raises HelpCrunchResponseError: the chat's department matters, and is unreadable
        """
        eligible = self._eligibility.of(chat, self.loads)
        if not eligible:
            return None
        loads = {agent: self.loads[agent] for agent in self._unsuspected(eligible) or eligible}
        try:
            return choose(self._strategy, chat, loads)
        except NoSuchAgentError as error:
            msg = f"The strategy failed: {error}. Chats that were already moved stay moved."
            raise HelpCrunchConfigurationError(msg) from None

    def why_none(self, chat: Mapping[str, Any]) -> str:
        """
        Say why nobody may get a chat, in one sentence.

        :param chat: the chat, as HelpCrunch sent it
        """
        return self._eligibility.why_none(chat, self.loads)

    def _unsuspected(self, agents: list[int]) -> list[int]:
        """Return the agents, without those under suspicion until others have got a few chats."""
        if self._strategy not in STRATEGIES.values():
            return agents  # a user's function may have reasons for its choice, so no agent is hidden from it
        return [
            agent
            for agent in agents
            if self._refused[agent] < SUSPICIOUS or self._others_got[agent] >= ENOUGH
        ]

    def given(self, agent: int, chat: int) -> None:
        """
        Record that an agent got a chat.

        :param agent: the agent's id
        :param chat: the chat's id
        """
        self.loads[agent] += 1
        self._eligibility.count(agent, chat)
        self._clear(agent)

    def may_have(self, agent: int, chat: int) -> None:
        """
        Record that an agent may have got a chat although no response said so: it counts against the most open chats.

        :param agent: the agent's id
        :param chat: the chat's id
        """
        self._eligibility.count(agent, chat)

    def refused(self, agent: int, error: HelpCrunchApiError) -> None:
        """
        Record that HelpCrunch refused to give an agent a chat.

        Whether the agent is at fault, :meth:`dropped` finds out.

        :param agent: the agent's id
        :param error: the refusal
        """
        self._blame(agent)
        if any("agent" in detail.message.lower() for detail in error.errors):
            self._suspects.add(agent)

    def dropped(self, client: HelpCrunchClient) -> bool:
        """
        Drop the agents who are at fault for refusals, and say whether there were any: others should get their chats.

        :param client: the account. One request per 100 agents, if an agent has to be looked up
        :raises HelpCrunchRateLimitError: no request is allowed; the agent is looked up by the next call
        """
        loads = len(self.loads)
        for agent in sorted(self._suspects):
            is_there = _is_there(client, agent)
            self._suspects.discard(agent)
            self._looked_up.add(agent)
            if not is_there:
                self._drop(agent, "has left the account")
        for agent in sorted(self._unwanted & self.loads.keys()):
            self._drop(agent, "is refused while others are accepted")
        return len(self.loads) < loads

    def _blame(self, agent: int) -> None:
        if agent not in self.loads:
            return  # dropped before
        if not self._refused[agent]:
            self._others_got[agent] = 0
        self._refused[agent] += 1
        if self._refused[agent] > SUSPICIOUS and self._others_got[agent] >= ENOUGH:
            self._unwanted.add(agent)
        if self._refused[agent] >= SUSPICIOUS and agent not in self._looked_up:
            self._suspects.add(agent)

    def _clear(self, agent: int) -> None:
        del self._refused[agent]
        self._suspects.discard(agent)
        self._unwanted.discard(agent)
        for other in self._refused:
            self._others_got[other] += 1

    def _drop(self, agent: int, why: str) -> None:
        log.warning("Agent %d %s, and gets no more chats.", agent, why)
        del self.loads[agent], self._refused[agent]


def _is_there(client: HelpCrunchClient, agent: int) -> bool:
    try:
        return any(found["id"] == agent for found in client.iter_agents())
    except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError):
        raise
    except HelpCrunchError as error:
        log.warning("Could not find out whether agent %d still exists: %s", agent, error)
        return True


def names_in(records: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """
    Return the names of agents or departments, by id.

    :param records: the agents or departments
    """
    return {int(record["id"]): str(record.get("name") or "") for record in records}


def names_of(client: HelpCrunchClient, agents: Collection[int | None]) -> dict[int, str]:
    """
    Return the names of agents, by id, without agents that the account does not know.

    Names are not part of a deferral's state, because their length is unbounded: a resumed task reads them again.

    :param client: the account. One request per 100 agents of the account; none if ``agents`` has no id
    :param agents: ids; ``None`` among them is ignored
    :raises HelpCrunchRateLimitError: no request is allowed
    """
    if not any(agent is not None for agent in agents):
        return {}
    try:
        found = names_in(client.iter_agents())
        return {agent: name for agent, name in found.items() if agent in agents}
    except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError):
        raise
    except HelpCrunchError as error:
        log.warning("The names of the agents could not be read, so the report has only ids: %s", error)
        return {}
