"""Number of requests of a reassignment on a quiet account, counted in the sandbox's journal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]

LEAVER, COLLEAGUE = 1001, 1006
AGENTS, SEARCH, WRITE = ("GET", "/v1/agents"), ("POST", "/v1/chats/search"), ("PUT", "/v1/chats/assignee")
SIZES = [0, 1, 50, 99, 100, 101, 250]


def cost(server: Sandbox) -> Counter[tuple[str, str]]:
    return Counter((request.method, request.path) for request in server.journal)


def hundreds(chats: int) -> int:
    return math.ceil(chats / 100)


@pytest.mark.parametrize(
    ("strategy", "chats"),
    [
        *(("round_robin", size) for size in SIZES),
        pytest.param("round_robin", 1000, marks=pytest.mark.long),
        *(("least_loaded", size) for size in (0, 1, 101)),
    ],
)
def test_chats_of_an_agent(strategy: str, chats: int, account: StartAccount, reassign: Reassign) -> None:
    server = account(*["opened"] * chats)
    server.insert_chats(30, assignee=COLLEAGUE)
    result = reassign(strategy=strategy)
    # Nobody has any, so the search is looked at once more.
    counting = 3 + 1 if strategy == "least_loaded" else 0
    again = 1  # a pass that finds nothing, or the first page once more where that is empty
    assert cost(server) == {
        key: times
        for key, times in {
            AGENTS: 1,
            SEARCH: max(hundreds(chats), 1) + again + counting,
            WRITE: chats,
        }.items()
        if times
    }
    assert result["requests"] == len(server.journal)


@pytest.mark.parametrize("chats", [1, 100, 250])
@pytest.mark.parametrize("closed", [30, 130])
@pytest.mark.parametrize("order", ["between", "in front", "behind"])
def test_closed_chats_cost_one_search_a_hundred_at_most(
    order: str, closed: int, chats: int, account: StartAccount, reassign: Reassign
) -> None:
    server = account(*mixed("closed", closed, chats, order))
    assert reassign()["changed"] == chats
    assert cost(server)[WRITE] == chats
    assert cost(server)[AGENTS] == 1
    assert cost(server)[SEARCH] <= hundreds(chats) + 1 + hundreds(closed)


def test_a_long_history_costs_nothing(account: StartAccount, reassign: Reassign) -> None:
    server = account(*mixed("closed", 2000, 150, "in front"))
    assert reassign()["changed"] == 150
    assert cost(server)[SEARCH] <= 2 + 1 + 2


@pytest.mark.parametrize("chats", [1, 100, 250])
@pytest.mark.parametrize("unwanted", [30, 130])
@pytest.mark.parametrize("order", ["between", "in front", "behind"])
def test_unwanted_chats_are_read_twice_at_most(
    order: str, unwanted: int, chats: int, account: StartAccount, reassign: Reassign
) -> None:
    """Once on the way, and once in the pass that finds nothing left to move."""
    server = account(*mixed("pending", unwanted, chats, order))
    assert reassign(statuses=["opened"])["changed"] == chats
    assert cost(server)[WRITE] == chats
    assert cost(server)[AGENTS] == 1
    assert cost(server)[SEARCH] <= hundreds(chats) + 1 + 2 * hundreds(unwanted)


@pytest.mark.parametrize("chats", [0, 1, 100, 250])
@pytest.mark.parametrize("others", [99, 440])
def test_unassigned_chats(chats: int, others: int, account: StartAccount, reassign: Reassign) -> None:
    server = account()
    server.insert_chats(500, assignee=COLLEAGUE, status="closed")
    for number in range(max(chats, others)):
        server.insert_chats(1, assignee=COLLEAGUE) if number < others else None
        server.insert_chats(1) if number < chats else None
    assert reassign(from_agents=None)["changed"] == chats
    assert cost(server)[WRITE] == chats
    assert cost(server)[AGENTS] == 1
    read_again = hundreds(chats + min(chats, others))  # pages on which chats were moved
    assert cost(server)[SEARCH] <= hundreds(chats + others) + 1 + read_again


@pytest.mark.parametrize("source", [LEAVER, None])
def test_a_dry_run_costs_one_search_a_hundred(
    source: int | None, account: StartAccount, reassign: Reassign
) -> None:
    server = account()
    server.insert_chats(250, assignee=source)
    assert reassign(from_agents=source, dry_run=True)["planned"] == 250
    assert cost(server).keys() == {AGENTS, SEARCH}
    assert cost(server)[SEARCH] <= hundreds(250) + 1


@pytest.mark.parametrize("source", [LEAVER, None])
def test_max_chats_reads_one_page_more(source: int | None, account: StartAccount, reassign: Reassign) -> None:
    """It shows that the last ones were moved."""
    server = account()
    server.insert_chats(350, assignee=source)
    reassign(from_agents=source, max_chats=90, dry_run=True)
    assert cost(server) == {AGENTS: 1, SEARCH: 1}
    reassign(from_agents=source, max_chats=90)
    assert cost(server) == {AGENTS: 2, SEARCH: 3, WRITE: 90}


def test_max_chats_reads_what_stays_in_front(account: StartAccount, reassign: Reassign) -> None:
    server = account(*["pending"] * 250, *["opened"] * 350)
    reassign(statuses=["opened"], max_chats=120)
    assert cost(server)[WRITE] == 120
    assert cost(server)[SEARCH] <= 2 * hundreds(250 + 120) + 1


def test_many_agents_are_listed_once(account: StartAccount, reassign: Reassign) -> None:
    server = account(*["opened"] * 3, agents=250)
    reassign(to_agents=[1002, 1240])
    assert cost(server)[AGENTS] == 3


def mixed(word: str, staying: int, chats: int, order: str) -> list[str]:
    if order == "in front":
        return [word] * staying + ["opened"] * chats
    if order == "behind":
        return ["opened"] * chats + [word] * staying
    most = max(staying, chats)
    pairs = ((word if i < staying else "", "opened" if i < chats else "") for i in range(most))
    return [status for pair in pairs for status in pair if status]
