"""Counts of open chats: a search that finds none but closed ones breaks no cap, and costs little where it is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from in_process import client_of
from team import LEAVER, TARGETS, Team

from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
from airflow_provider_helpcrunch.chats.open_chats import count_open_chats
from airflow_provider_helpcrunch.exceptions import HelpCrunchRateLimitError
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode, error

Twist = Callable[..., None]


def is_narrow(request: Request) -> bool:
    """Say whether a search leaves closed chats out."""
    return any(each["operator"] == "!=" for each in request.body["filter"])


def finds_none(request: Request, honest: Callable[[Request], Answer]) -> Answer:
    """Answer as an account that understands ``!= closed`` as no chat at all."""
    return Answer(200, encode({"data": [], "total": 0})) if is_narrow(request) else honest(request)


def refuses(request: Request, honest: Callable[[Request], Answer]) -> Answer:
    """Answer as an account that does not know ``!=``."""
    return error(400, "new", {"filter[1].operator": "is unknown"}) if is_narrow(request) else honest(request)


@pytest.mark.parametrize("answer", [finds_none, refuses])
@pytest.mark.parametrize("closed", [0, 130])
def test_a_search_that_cannot_leave_out_closed_chats_breaks_no_cap(
    answer: Any, closed: int, team: Team, twist: Twist
) -> None:
    twist(answer)
    team.arrive(4, 1002)
    team.arrive(5, 1003)
    team.arrive(closed, 1004, status="closed")
    team.arrive(12)
    result = team.reassign(max_per_agent=5)
    assert [team.open_chats(agent) for agent in TARGETS] == [5, 5, 5]
    assert (result["changed"], result["left"]) == (6, 6)


def test_least_loaded_counts_them_too(team: Team, twist: Twist) -> None:
    twist(finds_none)
    team.arrive(6, 1002)
    team.arrive(1, 1003)
    team.arrive(9)
    team.reassign(strategy="least_loaded")
    assert Counter(write.body["assignee"] for write in team.account.writes()) == {1003: 4, 1004: 5}


def counted(team: Team, requests: int = 5000) -> tuple[dict[int, int], int]:
    """Count, and return the numbers and the requests."""
    checkpoint, client = Checkpoint(), client_of(team.account, requests)
    count_open_chats(client, TARGETS, checkpoint)
    return checkpoint.opened, client.usage.requests


class TestRequests:
    def test_one_for_each_where_anybody_has_any(self, team: Team) -> None:
        team.arrive(3, 1004)
        assert counted(team) == ({1002: 0, 1003: 0, 1004: 3}, 3)

    def test_one_more_where_nobody_has_any_but_somebody_else(self, team: Team) -> None:
        team.arrive(3, LEAVER)
        assert counted(team) == ({1002: 0, 1003: 0, 1004: 0}, 4)

    @pytest.mark.parametrize("closed", [0, 500])
    def test_three_more_where_all_chats_are_closed(self, closed: int, team: Team) -> None:
        team.arrive(closed, 1002, status="closed")
        assert counted(team) == ({1002: 0, 1003: 0, 1004: 0}, 6)

    def test_all_are_counted_again_where_the_search_finds_none(self, team: Team, twist: Twist) -> None:
        twist(finds_none)
        team.arrive(3, 1003)
        team.arrive(2, 1003, status="closed")
        opened, requests = counted(team)
        assert opened == {1002: 0, 1003: 3, 1004: 0}
        assert requests <= 3 + 3 + 2 * 3


def test_goes_on_after_each_wait(team: Team, twist: Twist) -> None:
    """With as few permits as a step needs at once, over the two counts."""
    twist(finds_none)
    team.arrive(3, 1003)
    checkpoint, waits = Checkpoint(), 0
    while True:
        try:
            count_open_chats(client_of(team.account, 3), TARGETS, checkpoint)
        except HelpCrunchRateLimitError:
            waits += 1
            # As after a deferral.
            checkpoint = Checkpoint.from_json(checkpoint.to_json(None), lambda _: [])
            assert waits < 9
        else:
            break
    assert checkpoint.opened == {1002: 0, 1003: 3, 1004: 0}
    sent = len(team.account.journal)
    count_open_chats(client_of(team.account), TARGETS, checkpoint)
    assert len(team.account.journal) == sent
