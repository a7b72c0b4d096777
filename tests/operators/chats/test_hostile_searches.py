"""Searches that lie: about their filter, their offset, their total, their status, or what was just written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode, error

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
Twist = Callable[..., None]

LEAVER, COLLEAGUE = 1001, 1006
SEARCH = "/v1/chats/search"


def by_status(request: Request) -> bool:
    return any(each["field"] == "chats.status" for each in request.body["filter"])


def nothing(_: Request) -> Answer:
    return Answer(200, encode({"data": [], "total": 0}))


def moved(server: Sandbox) -> list[int | None]:
    """Return the chats that were written, each once."""
    written = [write.chat for write in server.writes()]
    assert len(written) == len(set(written))
    return written


MIXES = {
    "closed between": ["opened", "closed"] * 75,
    "unwanted in front": ["pending"] * 105 + ["opened"] * 60,
    "unwanted between": ["opened", "pending"] * 75,
}


@pytest.fixture(params=MIXES)
def mix(request: pytest.FixtureRequest) -> list[str]:
    return MIXES[request.param]


class TestTotals:
    @pytest.mark.parametrize("total", ["missing", "zero", "string", "low", "high", 1])
    def test_all_are_moved(
        self, total: Any, mix: list[str], account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*mix, total=total, search_total="meta" if total == "string" else "root")
        result = reassign(statuses=["opened"])
        assert result["changed"] == len(moved(server)) == mix.count("opened")
        assert not [chat for chat in server.chats_of(LEAVER) if chat["status"] == "opened"]

    @pytest.mark.parametrize("total", [1, 5])
    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_where_there_is_nothing_to_move(
        self, source: int | None, total: int, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(total=total)
        server.insert_chats(3, assignee=COLLEAGUE, status="closed")
        assert reassign(from_agents=source)["changed"] == 0
        assert server.writes() == []

    @pytest.mark.parametrize("staying", [100, 120])
    def test_a_total_that_is_low_by_chance_ends_no_pass(
        self, staying: int, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["pending"] * staying, *["opened"] * (200 - staying), total="low")
        assert reassign(statuses=["opened"])["changed"] == len(moved(server)) == 200 - staying

    def test_of_least_loaded(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 30, total="missing")
        server.insert_chats(150, assignee=1002)
        server.insert_chats(10, assignee=1003)
        reassign(strategy="least_loaded")
        assert Counter(write.body["assignee"] for write in server.writes()) == {1003: 10, 1004: 20}

    @pytest.mark.parametrize("nth", [1, 2, 3])
    def test_an_empty_page_under_a_true_total_is_not_believed(
        self, nth: int, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["opened"] * 230, faults=[Fault("empty_page", path=SEARCH, nth=nth)])
        try:
            assert reassign()["changed"] == 230
        except HelpCrunchError:
            return  # loud is right too
        assert server.chats_of(LEAVER) == []


class TestPages:
    @pytest.mark.parametrize("cap", [7, 50])
    def test_shorter_than_asked_for(
        self, cap: int, mix: list[str], account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*mix, page_cap=cap)
        assert reassign(statuses=["opened"])["changed"] == len(moved(server)) == mix.count("opened")

    @pytest.mark.parametrize("kind", ["shuffle", "duplicate_rows"])
    def test_in_disorder(self, kind: str, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 230, faults=[Fault(kind, path=SEARCH, times=0)])
        assert reassign()["changed"] == len(moved(server)) == 230

    # 199 and 298: where a page is always the first one, its end would fall on the total by chance.
    @pytest.mark.parametrize("chats", [180, 199, 250, 298])
    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_an_ignored_offset_is_loud_or_harmless(
        self, source: int | None, chats: int, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(ignore_offset=True)
        server.insert_chats(110, assignee=source or COLLEAGUE, status="pending")
        server.insert_chats(chats - 110, assignee=source)
        with pytest.raises(HelpCrunchError, match="same chats again"):
            reassign(statuses=["opened"], from_agents=source)

    def test_an_ignored_offset_matters_only_where_chats_stay(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["opened"] * 250, ignore_offset=True)
        assert reassign()["changed"] == len(moved(server)) == 250


class TestFilters:
    @pytest.mark.parametrize("dry_run", [False, True])
    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_one_that_is_ignored_moves_nobody_elses_chats(
        self, source: int | None, dry_run: bool, sandbox: StartAccount, connection: Any, reassign: Reassign
    ) -> None:
        server = sandbox(agents=8, chats=1000, faults=[Fault("ignore_filter", path=SEARCH, times=0)])
        connection(server, requests_per_minute=3000, rate_limit_store="memory://")
        mine = [chat["id"] for chat in server.chats_of(source)]
        result = reassign(from_agents=source, dry_run=dry_run)
        assert [chat["id"] for chat in result["chats"]] == mine
        assert moved(server) == ([] if dry_run else mine)

    def test_of_a_department_that_is_ignored(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 3, faults=[Fault("ignore_filter", path=SEARCH, times=0)])
        (mine,) = server.insert_chats(1, assignee=LEAVER, department=103)
        reassign(department=103)
        assert moved(server) == [mine["id"]]

    @pytest.mark.parametrize("lie", ["refused", "finds nothing", "finds no closed ones", "finds everything"])
    @pytest.mark.parametrize(
        ("source", "strategy"), [(LEAVER, "round_robin"), (LEAVER, "least_loaded"), (None, "round_robin")]
    )
    def test_by_status(
        self,
        source: int | None,
        strategy: str,
        lie: str,
        account: StartAccount,
        reassign: Reassign,
        twist: Twist,
    ) -> None:
        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            if not by_status(request):
                return honest(request)
            if lie == "refused":
                return error(400, "new", {"filter[1].field": "The value you selected is not a valid choice."})
            if lie == "finds everything":
                filters = [each for each in request.body["filter"] if each["field"] != "chats.status"]
                return honest(replace(request, body={**request.body, "filter": filters}))
            wanted = [each["operator"] for each in request.body["filter"] if each["field"] == "chats.status"]
            return honest(request) if lie == "finds no closed ones" and wanted == ["!="] else nothing(request)

        server = account()
        for status in ["closed", "opened"] * 90:
            server.insert_chats(1, assignee=source, status=status)
        twist(answer)
        result = reassign(from_agents=source, strategy=strategy)
        assert result["changed"] == len(moved(server)) == 90
        assert server.chats_of(source) == []

    def test_a_search_that_finds_none_may_answer_404(
        self, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            found = honest(request)
            return found if json.loads(found.body)["data"] else error(404, "new")

        server = account(*["opened"] * 120)
        twist(answer)
        assert reassign()["changed"] == len(moved(server)) == 120


class TestLag:
    """Searches whose results lag behind the changes."""

    @pytest.mark.parametrize("searches", [1, 3, 1000])
    def test_no_chat_is_written_twice(
        self,
        searches: int,
        account: StartAccount,
        reassign: Reassign,
        twist: Twist,
    ) -> None:
        server = account(*["opened", "opened", "pending"] * 80)
        history: list[dict[int, Any]] = []

        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            if {"field": "chats.assignee", "operator": "=", "value": LEAVER} not in request.body["filter"]:
                return honest(request)
            history.append({chat["id"]: chat for chat in server.chats})
            then = history[max(0, len(history) - 1 - searches)]
            mine = [chat for chat in then.values() if (chat["assignee"] or {}).get("id") == LEAVER]
            offset = request.body["offset"]
            return Answer(200, encode({"data": mine[offset : offset + 100], "total": len(mine)}))

        twist(answer)
        result = reassign(statuses=["opened"])
        assert result["changed"] == len(moved(server)) == 160
        assert [chat["status"] for chat in server.chats_of(LEAVER)] == ["pending"] * 80
