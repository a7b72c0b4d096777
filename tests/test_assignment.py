"""Properties of the assignment functions, for any chats and any loads."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_helpcrunch.assignment import (
    STRATEGIES,
    NoSuchAgentError,
    choose,
    distribute,
    least_loaded,
    round_robin,
)

AGENTS = st.lists(st.integers(1, 2**40), min_size=1, max_size=8, unique=True)
LOADS = st.dictionaries(st.integers(1, 2**40), st.integers(0, 60), min_size=1, max_size=8)
CHATS = st.integers(0, 120).map(lambda number: [{"id": 4410001 + place} for place in range(number)])
STRATEGY = st.sampled_from(list(STRATEGIES.values()))


def loads_after(loads: Mapping[int, int], chosen: list[int]) -> dict[int, int]:
    got = Counter(chosen)
    return {agent: load + got[agent] for agent, load in loads.items()}


def least_possible_maximum(loads: Mapping[int, int], chats: int) -> int:
    """Return the lowest level up to which the loads have room for all chats."""
    level = max(loads.values())
    while sum(level - load for load in loads.values()) < chats:
        level += 1
    return level


@given(chats=CHATS, loads=LOADS, strategy=STRATEGY)
def test_every_chat_gets_one_of_the_agents(
    chats: list[dict[str, Any]], loads: dict[int, int], strategy: Any
) -> None:
    chosen = distribute(chats, loads, strategy)
    assert len(chosen) == len(chats)
    assert set(chosen) <= loads.keys()
    assert {type(agent) for agent in chosen} <= {int}


@given(chats=CHATS, loads=LOADS, strategy=STRATEGY)
def test_the_same_question_has_the_same_answer_and_is_not_changed(
    chats: list[dict[str, Any]], loads: dict[int, int], strategy: Any
) -> None:
    before = copy.deepcopy((chats, list(loads.items())))
    assert distribute(chats, loads, strategy) == distribute(iter(chats), dict(loads), strategy)
    assert (chats, list(loads.items())) == before


@given(chats=CHATS, agents=AGENTS)
def test_round_robin_gives_each_agent_as_many_as_any_other_or_one_more(
    chats: list[dict[str, Any]], agents: list[int]
) -> None:
    after = loads_after(dict.fromkeys(agents, 0), distribute(chats, dict.fromkeys(agents, 0)))
    assert max(after.values()) - min(after.values()) <= 1


@given(chats=CHATS, agents=AGENTS)
def test_round_robin_goes_through_the_agents_as_they_were_named(
    chats: list[dict[str, Any]], agents: list[int]
) -> None:
    chosen = distribute(chats, dict.fromkeys(agents, 0), round_robin)
    assert chosen == [agents[place % len(agents)] for place in range(len(chats))]


@given(chats=CHATS, agents=AGENTS, done=st.integers(0, 120))
def test_round_robin_goes_on_where_it_was_interrupted(
    chats: list[dict[str, Any]], agents: list[int], done: int
) -> None:
    nothing = dict.fromkeys(agents, 0)
    whole = distribute(chats, nothing)
    rest = distribute(chats[done:], loads_after(nothing, whole[:done]))
    assert whole[done:] == rest


@given(chats=CHATS, loads=LOADS)
def test_least_loaded_raises_the_maximum_no_more_than_it_must(
    chats: list[dict[str, Any]], loads: dict[int, int]
) -> None:
    after = loads_after(loads, distribute(chats, loads, least_loaded))
    assert max(after.values()) == least_possible_maximum(loads, len(chats))


@given(chats=CHATS, loads=LOADS)
def test_least_loaded_never_passes_over_somebody_with_less(
    chats: list[dict[str, Any]], loads: dict[int, int]
) -> None:
    now = dict(loads)
    for agent in distribute(chats, loads, least_loaded):
        # Of equals the one with the lowest id, however they were named.
        assert (now[agent], agent) == min((load, other) for other, load in now.items())
        now[agent] += 1


@given(chats=CHATS, loads=LOADS, data=st.data())
def test_least_loaded_does_not_care_for_the_order_in_which_agents_are_named(
    chats: list[dict[str, Any]], loads: dict[int, int], data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations(list(loads.items()))))
    assert distribute(chats, shuffled, least_loaded) == distribute(chats, loads, least_loaded)


class TestOwnStrategy:
    def test_sees_the_chat_and_the_loads_so_far(self) -> None:
        seen: list[tuple[Any, Any]] = []

        def watch(chat: Any, loads: Any) -> int:
            seen.append((chat["id"], dict(loads)))
            return 7

        assert distribute([{"id": 1}, {"id": 2}], {7: 3, 5: 0}, watch) == [7, 7]
        assert seen == [(1, {7: 3, 5: 0}), (2, {7: 4, 5: 0})]

    def test_cannot_change_what_it_is_given(self) -> None:
        def vandal(chat: Any, loads: Any) -> int:
            chat["id"] = 0
            loads.clear()
            return 7

        chats, loads = [{"id": 1}, {"id": 2}], {7: 3, 5: 0}
        assert distribute(chats, loads, vandal) == [7, 7]
        assert (chats, loads) == ([{"id": 1}, {"id": 2}], {7: 3, 5: 0})

    @pytest.mark.parametrize(
        "garbage", [None, 0, -1, 9, "7", "", "Ada", 7.5, True, False, (7,), b"7", float("nan"), object()]
    )
    def test_that_chooses_nobody_who_may_be_chosen_is_refused(self, garbage: Any) -> None:
        with pytest.raises(NoSuchAgentError) as caught:
            choose(lambda chat, loads: garbage, {"id": 4410001}, {7: 0, 5: 0})
        assert "chat 4410001, who is not one of 7, 5" in str(caught.value)
        assert repr(garbage) in str(caught.value)

    def test_true_is_not_the_agent_1(self) -> None:
        with pytest.raises(NoSuchAgentError):
            choose(lambda chat, loads: True, {"id": 1}, {1: 0})

    @pytest.mark.parametrize("garbage", [[7], {7: 1}, {7}, {"id": 7}], ids=repr)
    def test_that_returns_what_cannot_be_looked_up_is_refused_too(self, garbage: Any) -> None:
        with pytest.raises(NoSuchAgentError):
            choose(lambda chat, loads: garbage, {"id": 4410001}, {7: 0})

    def test_garbage_amid_good_answers(self) -> None:
        def wrong_once(chat: Any, loads: Any) -> int:
            return 9 if chat["id"] == 3 else 5

        with pytest.raises(NoSuchAgentError, match="chose 9 for the chat 3"):
            distribute([{"id": number} for number in range(1, 6)], {7: 0, 5: 0}, wrong_once)
