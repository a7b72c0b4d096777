"""
Strategies that decide which agent gets which chat: pure functions, without requests or state.

A strategy decides about one chat at a time::

    def by_language(chat: dict, loads: dict[int, int]) -> int:
        return 1002 if chat["customer"]["email"].endswith(".pl") else 1001

``loads`` holds the agents to choose from, in the order in which they were named, and how many chats each of them has:
for :func:`least_loaded` all open ones, for every other strategy those that were given out so far. Agents who may not
get the chat, because they have enough or belong to another department, are not among them. The strategy must return one
of these agents.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

Strategy: TypeAlias = Callable[[Mapping[str, Any], Mapping[int, int]], int]


NOBODY = frozenset({"unassigned", "nobody"})
"""Words for no agent, because a template cannot render to ``None``."""


def is_nobody(value: Any) -> bool:
    """
    Say whether a value stands for no agent.

    :param value: the value of an argument that names an agent
    """
    return value is None or (isinstance(value, str) and value in NOBODY)


class NoSuchAgentError(ValueError):
    """A strategy chose an agent who is not among the candidates."""


def round_robin(chat: Mapping[str, Any], loads: Mapping[int, int]) -> int:
    """
    Return each agent in turn.

    :param chat: the chat; ignored
    :param loads: chats given out so far, by agent
    :return: the agent who was given the fewest chats; among equals, the one named first
    """
    return min(loads, key=loads.__getitem__)


def least_loaded(chat: Mapping[str, Any], loads: Mapping[int, int]) -> int:
    """
    Return the agent with the fewest open chats.

    :param chat: the chat; ignored
    :param loads: open chats, by agent
    :return: the agent who has the fewest open chats; among equals, the one with the lowest id
    """
    return min(loads, key=lambda agent: (loads[agent], agent))


STRATEGIES: dict[str, Strategy] = {"round_robin": round_robin, "least_loaded": least_loaded}
"""Strategies that have a short name."""


def choose(strategy: Strategy, chat: Mapping[str, Any], loads: Mapping[int, int]) -> int:
    """
    Ask a strategy about one chat.

    :param strategy: the strategy
    :param chat: the chat; the strategy gets a copy
    :param loads: how many chats each agent has; at least one agent
    :return: the agent's id
    :raises NoSuchAgentError: there are no candidates, or the strategy chose somebody else
    """
    if not loads:
        msg = "there is no agent to choose from"
        raise NoSuchAgentError(msg)
    agent: object = strategy(copy.deepcopy(dict(chat)), dict(loads))
    if not isinstance(agent, int) or isinstance(agent, bool) or agent not in loads:
        known = ", ".join(map(str, loads))
        msg = f"the strategy chose {agent!r} for the chat {chat.get('id')}, who is not one of {known}"
        raise NoSuchAgentError(msg)
    return agent


def distribute(
    chats: Iterable[Mapping[str, Any]], loads: Mapping[int, int], strategy: Strategy = round_robin
) -> list[int]:
    """
    Decide about many chats, one after the other.

    :param chats: the chats
    :param loads: the agents to choose from, at least one, and how many chats each has before
    :param strategy: the strategy (:func:`round_robin`)
    :return: an agent's id for each chat, in the same order
    :raises NoSuchAgentError: there are no candidates, or the strategy chose somebody else
    """
    now = dict(loads)
    chosen = []
    for chat in chats:
        agent = choose(strategy, chat, now)
        now[agent] += 1
        chosen.append(agent)
    return chosen
