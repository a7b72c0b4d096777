"""Wrong ends and totals from HelpCrunch: all chats are still found, or the task fails."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchPaginationError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
Twist = Callable[..., None]
Honest = Callable[[Request], Answer]

LEAVER, COLLEAGUE = 1001, 1006
SEARCH, WRITE = "/v1/chats/search", "/v1/chats/assignee"


def by_status(request: Request) -> list[dict[str, Any]]:
    return [each for each in request.body["filter"] if each["field"] == "chats.status"]


def asking(request: Request, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Request:
    """Return the search with its filters by status changed, or without those that become ``None``."""
    filters = [change(each) if each in by_status(request) else each for each in request.body["filter"]]
    return replace(request, body={**request.body, "filter": [each for each in filters if each]})


def telling(answer: Answer, **told: Any) -> Answer:
    return replace(answer, body=encode({**json.loads(answer.body), **told}))


def capped(cap: int) -> Callable[[Request, Honest], Answer]:
    """Let searches, and nothing else, return fewer chats a page than they accept as a limit."""

    def answer(request: Request, honest: Honest) -> Answer:
        limit = min(request.body.get("limit", 100), cap)
        return honest(replace(request, body={**request.body, "limit": limit}))

    return answer


def assert_all_moved(server: Sandbox, result: dict[str, Any], source: int | None, chats: int) -> None:
    written = [write.chat for write in server.writes()]
    assert len(written) == len(set(written)) == result["changed"] == chats
    assert [chat for chat in server.chats_of(source) if chat["status"] == "opened"] == []


@pytest.fixture(params=[LEAVER, None], ids=["of an agent", "of nobody"])
def source(request: pytest.FixtureRequest) -> int | None:
    return request.param


class TestNotMeansEqual:
    """The search by ``!=`` finds what ``=`` would."""

    @pytest.fixture(autouse=True)
    def lie(self, twist: Twist) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            return honest(asking(request, lambda each: {**each, "operator": "="}))

        twist(answer)

    @pytest.mark.parametrize("closed", [0, 1, 20, 130])
    def test_all_open_chats_are_moved(
        self, closed: int, source: int | None, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account()
        server.insert_chats(closed, assignee=source, status="closed")
        server.insert_chats(120, assignee=source)
        assert_all_moved(server, reassign(from_agents=source), source, 120)
        assert len(server.chats_of(source, open_only=False)) == closed

    def test_open_ones_in_front_and_behind(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 90, *["closed"] * 20, *["opened"] * 60)
        assert_all_moved(server, reassign(), LEAVER, 150)

    def test_a_dry_run_plans_them(
        self, source: int | None, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account()
        server.insert_chats(130, assignee=source, status="closed")
        meant = [chat["id"] for chat in server.insert_chats(120, assignee=source)]
        result = reassign(from_agents=source, dry_run=True)
        assert [chat["id"] for chat in result["chats"]] == meant
        assert server.requests(WRITE) == []


class TestTotals:
    @pytest.mark.parametrize("unwanted", [0, 100, 130])
    def test_of_the_page_alone(
        self, unwanted: int, source: int | None, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            found = honest(request)
            return telling(found, total=len(json.loads(found.body)["data"]))

        server = account()
        server.insert_chats(unwanted, assignee=source, status="pending")
        server.insert_chats(250, assignee=source)
        twist(answer)
        assert_all_moved(server, reassign(from_agents=source, statuses=["opened"]), source, 250)

    @pytest.mark.parametrize("unwanted", [0, 100, 199, 210])
    @pytest.mark.parametrize("dry_run", [False, True])
    @pytest.mark.parametrize(
        "lie",
        [
            lambda total, offset, rows: offset + rows,
            lambda total, offset, rows: min(total, 100),
            lambda total, offset, rows: min(total, 199),
            lambda total, offset, rows: total - offset,
            lambda total, offset, rows: 100,
        ],
        ids=["so far", "capped", "capped later", "left", "limit"],
    )
    def test_that_seem_to_be_reached(
        self,
        lie: Callable[[int, int, int], int],
        dry_run: bool,
        unwanted: int,
        source: int | None,
        account: StartAccount,
        reassign: Reassign,
        twist: Twist,
    ) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            found = honest(request)
            payload = json.loads(found.body)
            return telling(found, total=lie(payload["total"], request.body["offset"], len(payload["data"])))

        server = account()
        server.insert_chats(unwanted, assignee=source, status="pending")
        server.insert_chats(150, assignee=source)
        twist(answer)
        result = reassign(from_agents=source, statuses=["opened"], dry_run=dry_run)
        assert result["planned" if dry_run else "changed"] == 150
        if not dry_run:
            assert_all_moved(server, result, source, 150)

    def test_of_the_page_alone_while_a_search_by_status_finds_nothing(
        self, source: int | None, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            if any(each["operator"] == "!=" for each in by_status(request)):
                return telling(honest(request), data=[], total=0)
            found = honest(request)
            return telling(found, total=len(json.loads(found.body)["data"]))

        server = account()
        server.insert_chats(30, assignee=source, status="closed")
        server.insert_chats(120, assignee=source)
        twist(answer)
        assert_all_moved(server, reassign(from_agents=source), source, 120)

    @pytest.mark.parametrize("closed", [0, 100, 130])
    def test_always_zero_while_a_search_by_status_finds_nothing(
        self, closed: int, source: int | None, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            return telling(honest(request), total=0, **({"data": []} if by_status(request) else {}))

        server = account()
        server.insert_chats(closed, assignee=source, status="closed")
        server.insert_chats(120, assignee=source)
        twist(answer)
        assert_all_moved(server, reassign(from_agents=source), source, 120)


class TestPages:
    @pytest.mark.parametrize("dry_run", [False, True])
    @pytest.mark.parametrize("unwanted", [110, 150])
    def test_an_ignored_offset_that_ends_on_the_total_by_chance(
        self,
        unwanted: int,
        dry_run: bool,
        source: int | None,
        account: StartAccount,
        reassign: Reassign,
    ) -> None:
        server = account(ignore_offset=True)
        server.insert_chats(unwanted, assignee=source or COLLEAGUE, status="pending")
        server.insert_chats(199 - unwanted, assignee=source)
        with pytest.raises(HelpCrunchPaginationError):
            reassign(from_agents=source, statuses=["opened"], dry_run=dry_run)

    def test_a_dry_run_with_an_ignored_offset(self, account: StartAccount, reassign: Reassign) -> None:
        account(*["opened"] * 199, ignore_offset=True)
        with pytest.raises(HelpCrunchPaginationError):
            reassign(dry_run=True)

    @pytest.mark.parametrize("total", ["exact", "missing", "low"])
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_of_one_chat_each_cannot_be_joined(
        self,
        dry_run: bool,
        total: str,
        source: int | None,
        account: StartAccount,
        reassign: Reassign,
        twist: Twist,
    ) -> None:
        server = account(total=total)
        server.insert_chats(5, assignee=source, status="pending")
        server.insert_chats(5, assignee=source)
        twist(capped(1))
        with pytest.raises(HelpCrunchPaginationError, match="too few chats per page"):
            reassign(from_agents=source, statuses=["opened"], dry_run=dry_run)
        assert server.requests(WRITE) == []

    @pytest.mark.parametrize("total", ["exact", "missing"])
    def test_of_one_chat_each_of_which_none_stays(
        self, total: str, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        server = account(*["opened"] * 5, total=total)
        twist(capped(1))
        assert_all_moved(server, reassign(), LEAVER, 5)

    # If a total is reported, the chats that were seen are counted against it.
    @pytest.mark.parametrize("seed", range(4))
    def test_whose_order_changes_in_a_dry_run(
        self, seed: int, source: int | None, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(seed=seed, faults=[Fault("shuffle", path=SEARCH, times=0)])
        meant = [chat["id"] for chat in server.insert_chats(230, assignee=source)]
        try:
            result = reassign(from_agents=source, dry_run=True)
        except HelpCrunchError:
            return  # loud is right too
        assert sorted(chat["id"] for chat in result["chats"]) == meant


def test_a_chat_that_is_missing_under_a_steady_total_is_loud_where_the_last_page_is_full(
    source: int | None, account: StartAccount, reassign: Reassign, twist: Twist
) -> None:
    """The place of the last chat is taken by one that was met before."""

    def answer(request: Request, honest: Honest) -> Answer:
        found = honest(request)
        rows = json.loads(found.body)["data"]
        if request.body["offset"] == 99:
            rows[-1] = chats[5]
        if request.body["offset"] == 198:
            rows = [chats[5]]
        return telling(found, data=rows)

    server = account()
    chats = server.insert_chats(199, assignee=source)
    twist(answer)
    with pytest.raises(
        HelpCrunchPaginationError, match="reported 199 chats throughout, but its pages held 198"
    ):
        reassign(from_agents=source, dry_run=True)


class TestEmptyFirstPage:
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_once_under_a_total_of_nothing(
        self,
        dry_run: bool,
        source: int | None,
        account: StartAccount,
        reassign: Reassign,
        twist: Twist,
    ) -> None:
        searches: list[Request] = []

        def answer(request: Request, honest: Honest) -> Answer:
            searches.append(request)
            return telling(honest(request), **({"data": [], "total": 0} if len(searches) == 1 else {}))

        server = account()
        server.insert_chats(7, assignee=source)
        twist(answer)
        result = reassign(from_agents=source, dry_run=dry_run)
        assert result["planned" if dry_run else "changed"] == 7

    def test_once(self, source: int | None, account: StartAccount, reassign: Reassign) -> None:
        server = account(faults=[Fault("empty_page", path=SEARCH)])
        server.insert_chats(7, assignee=source)
        assert_all_moved(server, reassign(from_agents=source), source, 7)

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_for_ever(
        self, dry_run: bool, source: int | None, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(faults=[Fault("empty_page", path=SEARCH, times=0)])
        server.insert_chats(7, assignee=source)
        with pytest.raises(HelpCrunchError):
            reassign(from_agents=source, dry_run=dry_run)
        assert server.requests(WRITE) == []


class TestLeastLoaded:
    """1003 has 3 open chats and many that are not to be moved, 1002 has 60."""

    @pytest.fixture(params=[100, 50])
    def server(self, request: pytest.FixtureRequest, account: StartAccount) -> Sandbox:
        server = account(page_cap=request.param)
        server.insert_chats(60, assignee=1002)
        for status, chats in {"empty": 130, "opened": 3, "closed": 20}.items():
            server.insert_chats(chats, assignee=1003, status=status)
        server.insert_chats(40, assignee=LEAVER)
        return server

    def assert_fair(self, server: Sandbox, reassign: Reassign) -> None:
        reassign(strategy="least_loaded", to_agents=[1002, 1003])
        assert Counter(write.body["assignee"] for write in server.writes()) == {1003: 40}

    def test_counts_open_chats(self, server: Sandbox, reassign: Reassign) -> None:
        self.assert_fair(server, reassign)

    def test_where_the_filter_by_status_is_ignored(
        self, server: Sandbox, reassign: Reassign, twist: Twist
    ) -> None:
        twist(lambda request, honest: honest(asking(request, lambda _: None)))
        self.assert_fair(server, reassign)

    def test_where_a_total_is_of_the_page_alone(
        self, server: Sandbox, reassign: Reassign, twist: Twist
    ) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            found = honest(request)
            return telling(found, total=len(json.loads(found.body)["data"]))

        twist(answer)
        self.assert_fair(server, reassign)

    def test_where_a_total_of_the_page_alone_hides_most(
        self, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            found = honest(request)
            return telling(found, total=len(json.loads(found.body)["data"]))

        server = account()
        server.insert_chats(250, assignee=1002)
        server.insert_chats(120, assignee=1003)
        server.insert_chats(60, assignee=LEAVER)
        twist(answer)
        reassign(strategy="least_loaded", to_agents=[1002, 1003])
        assert Counter(write.body["assignee"] for write in server.writes()) == {1003: 60}

    def test_under_an_empty_page(self, source: int | None, account: StartAccount, reassign: Reassign) -> None:
        server = account(faults=[Fault("empty_page", path=SEARCH)])
        server.insert_chats(60, assignee=1002)
        server.insert_chats(9, assignee=source)
        reassign(strategy="least_loaded", to_agents=[1002, 1003], from_agents=source)
        assert Counter(write.body["assignee"] for write in server.writes()) == {1003: 9}


@pytest.mark.parametrize("source", [LEAVER, None])
@pytest.mark.parametrize("dry_run", [False, True])
def test_pages_that_stay_empty_under_a_true_total_are_loud(
    dry_run: bool, source: int | None, account: StartAccount, reassign: Reassign
) -> None:
    server = account(faults=[Fault("empty_page", path=SEARCH, nth=2, times=0)])
    server.insert_chats(150, assignee=source)
    with pytest.raises(HelpCrunchPaginationError, match="is empty, although HelpCrunch reports"):
        reassign(from_agents=source, dry_run=dry_run)


def test_a_department_that_does_not_exist_is_named(account: StartAccount, reassign: Reassign) -> None:
    server = account(*["opened"] * 5)
    with pytest.raises(
        HelpCrunchConfigurationError, match="department names 99, but the account has no such"
    ):
        reassign(department=99)
    assert server.writes() == []
