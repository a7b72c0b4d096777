"""Eligibility: which of the recipients may get a chat, by their open chats and by its department."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_helpcrunch.chats.results import UNKNOWN
from airflow_provider_helpcrunch.client.ids import id_in, id_of
from airflow_provider_helpcrunch.client.vocabulary import is_open
from airflow_provider_helpcrunch.exceptions import HelpCrunchResponseError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from airflow_provider_helpcrunch.chats.results import Result
    from airflow_provider_helpcrunch.client import HelpCrunchClient

Members: TypeAlias = "Mapping[int, frozenset[int]]"
"""Ids of the agents of each department, by its id."""


class Eligibility:
    """
    Says which agents may get a chat.

    :param most: most open chats that an agent may have; ``None``: any number
    :param opened: number of open chats of each agent, by id, when they were counted
    :param results: results since then. Default: none
    :param members: ids of the agents of each department, who alone may get its chats; ``None``: everybody
    """

    def __init__(
        self,
        most: int | None = None,
        opened: Mapping[int, int] | None = None,
        results: Iterable[Result] = (),
        members: Members | None = None,
    ) -> None:
        self._most = most
        self._opened = opened or {}
        self._members = members
        self._given: defaultdict[int, set[int]] = defaultdict(set)
        for result in results:
            self.record(result)

    def record(self, result: Result) -> None:
        """
        Count the chat of a result, if the agent got it, is to get it, or may have got it.

        :param result: a result. One of a chat that was not even read shows that no agent got it
        """
        may_have = result.outcome in ("changed", "planned", "failed") and result.before != UNKNOWN
        if result.field == "assignee" and may_have:
            self.count(result.after, result.id)

    def count(self, agent: int, chat: int) -> None:
        """
        Count a chat that an agent got, or may have got although no response said so.

        :param agent: the agent's id
        :param chat: the chat's id
        """
        self._given[agent].add(chat)

    def of(self, chat: Mapping[str, Any], agents: Collection[int]) -> list[int]:
        """
        Return the agents who may get a chat.

        :param chat: the chat, as HelpCrunch sent it
        :param agents: ids of the agents to choose from
        :return: those of them who may, in the same order
        """
        return [agent for agent in self._colleagues(chat, agents) if self._has_room(agent)]

    def has_got(self, agent: int, chat: int) -> bool:
        """
        Say whether a chat is counted as one that an agent got.

        :param agent: the agent's id
        :param chat: the chat's id
        """
        return chat in self._given[agent]

    def why_not(
        self, chat: Mapping[str, Any], to_be: Mapping[str, Any], agent: int, name: str | None
    ) -> str | None:
        """
        Say why an agent may not have a chat as it is to be. What they have already, they may keep.

        :param chat: the chat, as HelpCrunch sent it
        :param to_be: the chat with its new status and department
        :param agent: the agent's id
        :param name: the agent's name; ``None``: not known
        :return: one sentence; ``None`` if they may
        :raises HelpCrunchResponseError: a department matters, and is unreadable
        """
        who = _shown({"id": agent, "name": name})
        has_it = id_in(chat, "assignee") == agent
        has_it_open = has_it and is_open(chat.get("status"))
        if not self._colleagues(to_be, [agent]) and not (
            has_it and id_in(chat, "department") == id_in(to_be, "department")
        ):
            return f"{who} is not a member of the department {_shown(to_be['department'])}"
        if is_open(to_be.get("status")) and not has_it_open and not self._has_room(agent):
            return f"{who} has {self._most} open chats or more"
        return None

    def why_none(self, chat: Mapping[str, Any], agents: Collection[int]) -> str:
        """
        Say why none of the agents may get a chat.

        :param chat: the chat, as HelpCrunch sent it
        :param agents: ids of the agents to choose from
        :return: one sentence
        """
        colleagues = self._colleagues(chat, agents)
        if len(colleagues) == len(agents):
            return f"All of to_agents have {self._most} open chats or more."
        department = _shown(chat["department"])
        if not colleagues:
            return f"No agent in to_agents is a member of the department {department}."
        return (
            f"The agents in to_agents who are members of the department {department} have {self._most} open chats "
            "or more."
        )

    def _colleagues(self, chat: Mapping[str, Any], agents: Collection[int]) -> list[int]:
        department = None if self._members is None else id_in(chat, "department")
        if self._members is None or department is None:
            return list(agents)
        return [agent for agent in agents if agent in self._members.get(department, ())]

    def _has_room(self, agent: int) -> bool:
        return self._most is None or self._opened.get(agent, 0) + len(self._given[agent]) < self._most


def members_of_departments(client: HelpCrunchClient) -> dict[int, frozenset[int]]:
    """
    Return the members of each department. One request per 100 departments.

    :param client: the account
    :return: ids of the agents, by the department's id
    :raises HelpCrunchResponseError: a department is without a readable list of agents
    """
    return {department["id"]: _members_in(department) for department in client.iter_departments()}


def _members_in(department: Mapping[str, Any]) -> frozenset[int]:
    agents = department.get("agents")
    members = [id_of(agent) for agent in agents] if isinstance(agents, list) else [None]
    if None in members:
        msg = (
            f"HelpCrunch sent the department {_shown(department)} without a readable list of its agents, so "
            "within_department cannot be kept. Nothing more was moved."
        )
        raise HelpCrunchResponseError(msg)
    return frozenset(member for member in members if member is not None)


def _shown(record: Any) -> str:
    name = record.get("name") if isinstance(record, dict) else None
    number = id_of(record)
    return f"{name} ({number})" if name else str(number)
