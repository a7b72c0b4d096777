"""People who work while a task moves chats: they take some, give some back, and leave the account themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError, HelpCrunchRefusedError
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, error

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]

LEAVER, COLLEAGUE = 1001, 1006
SEARCH, WRITE = "/v1/chats/search", "/v1/chats/assignee"


def owners(server: Sandbox) -> Counter[int | None]:
    return Counter(chat["assignee"] and chat["assignee"]["id"] for chat in server.chats)


def chats_written_twice(server: Sandbox) -> set[int | None]:
    return {chat for chat, times in Counter(write.chat for write in server.writes()).items() if times > 1}


class TestPersons:
    @pytest.mark.parametrize("at", [0, 40, -20])
    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_taken_chats_are_left_alone(
        self,
        source: int | None,
        at: int,
        account: StartAccount,
        reassign: Reassign,
        twist: Callable[..., None],
    ) -> None:
        server, taken = account(), set()
        server.insert_chats(350, assignee=source)

        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            if len(server.requests(SEARCH)) in (2, 3):
                for chat in server.chats_of(source)[at:][:20]:
                    taken.add(chat["id"])
                    server.update_chat(chat["id"], assignee=COLLEAGUE)
            return honest(request)

        twist(answer)
        result = reassign(from_agents=source)
        assert len(taken) == 40
        assert not taken & {write.chat for write in server.writes()}
        assert result["changed"] == 310
        assert owners(server) == {1002: 104, 1003: 103, 1004: 103, COLLEAGUE: 40}
        assert not chats_written_twice(server)

    def test_chats_that_stay_may_leave_in_front_of_the_page(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["pending"] * 150, *["opened"] * 150)
        server.add_fault(Fault("take", path=SEARCH, nth=3, rows=60, agent=LEAVER, by=COLLEAGUE, at="front"))
        result = reassign(statuses=["opened"])
        assert result["changed"] == 150
        assert [chat["status"] for chat in server.chats_of(LEAVER)] == ["pending"] * 90
        assert not chats_written_twice(server)

    def test_chats_that_come_meanwhile_are_moved_too(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 120)
        server.add_fault(Fault("arrive", path=SEARCH, nth=3, rows=7, agent=LEAVER))
        assert reassign()["changed"] == 127
        assert server.chats_of(LEAVER) == []

    def test_chats_that_are_given_back_are_told_of_and_not_moved_again(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["opened"] * 120)
        fault = Fault("take", path=SEARCH, nth=2, times=0, rows=1000, agent=1003, by=LEAVER)
        server.add_fault(fault)
        result = reassign(to_agents=[1002, 1003], on_error="report")
        assert len(server.writes()) == len(server.requests(WRITE)) == 120
        assert not chats_written_twice(server)
        assert owners(server) == {1002: 60, LEAVER: 60}
        back = {chat["id"] for chat in server.chats_of(LEAVER)}
        assert {chat["id"] for chat in result["chats"] if chat["outcome"] == "failed"} == back

    def test_a_chat_that_stayed_may_become_one_that_is_meant(
        self, account: StartAccount, reassign: Reassign, twist: Callable[..., None]
    ) -> None:
        server = account("pending", "opened")
        late = server.chats[0]["id"]

        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            server.update_chat(late, status="opened")
            return honest(request)

        twist(answer, ("PUT", WRITE))
        result = reassign(statuses="opened")
        assert (result["changed"], result["skipped"]) == (2, 0)

    def test_chats_that_leave_faster_than_they_can_be_read(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["pending"] * 1500, *["opened"] * 20)
        server.add_fault(Fault("take", path=SEARCH, nth=2, times=0, rows=50, agent=LEAVER, by=COLLEAGUE))
        try:
            reassign(statuses=["opened"])
        except HelpCrunchPaginationError:
            return  # loud is right too
        # Whoever was not taken was moved.
        assert not [chat for chat in server.chats_of(LEAVER) if chat["status"] == "opened"]


class TestTargetsWhoLeave:
    @pytest.mark.parametrize("errors", ["new", "old"])
    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_the_others_get_the_chats(
        self, source: int | None, errors: str, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(errors=errors)
        server.insert_chats(130, assignee=source)
        server.add_fault(Fault("vanish", path=WRITE, nth=50, agent=1003))
        result = reassign(from_agents=source)
        assert (result["changed"], result["refused"]) == (130, 0)
        assert owners(server)[source] == 0
        assert owners(server)[1003] == 16
        assert owners(server)[1002] + owners(server)[1004] == 114
        assert {chat["after"] for chat in result["chats"][60:]} == {1002, 1004}
        assert not chats_written_twice(server)

    def test_with_an_error_that_names_nobody(
        self, account: StartAccount, reassign: Reassign, twist: Callable[..., None]
    ) -> None:
        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            known = {agent["id"] for agent in server.agents}
            return honest(request) if request.body["assignee"] in known else Answer(404, b"")

        server = account(*["opened"] * 40)
        server.add_fault(Fault("vanish", path=WRITE, nth=13, agent=1003))
        twist(answer, ("PUT", WRITE))
        result = reassign()
        assert (result["changed"], result["refused"]) == (40, 0)
        assert owners(server) == {1002: 18, 1003: 4, 1004: 18}

    def test_all_of_them(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 60)
        for number, agent in enumerate((1002, 1003, 1004)):
            server.add_fault(Fault("vanish", path=WRITE, nth=20 + number, agent=agent))
        with pytest.raises(HelpCrunchRefusedError, match="All agents in to_agents have left") as caught:
            reassign(on_error="report")
        assert isinstance(caught.value, AirflowFailException)
        assert len(server.requests(WRITE)) < 30

    def test_chats_that_are_refused_do_not_make_an_agent_suspicious(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["opened"] * 12)
        gone = [chat["id"] for chat in server.chats[::2]]
        for chat in gone:
            server.add_fault(Fault("status", status=404, chat=chat, times=0))
        result = reassign(on_error="report", to_agents=[1002])
        assert [chat["id"] for chat in result["chats"] if chat["outcome"] == "refused"] == gone
        assert owners(server) == {1002: 6, LEAVER: 6}
        assert len([request for request in server.journal if request.chat in gone]) == 6

    @pytest.mark.parametrize("strategy", ["round_robin", "least_loaded"])
    def test_one_to_whom_nothing_can_be_given_does_not_starve_the_others(
        self, strategy: str, account: StartAccount, reassign: Reassign, twist: Callable[..., None]
    ) -> None:
        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            return error(400, "new") if request.body["assignee"] == 1003 else honest(request)

        server = account(*["opened"] * 60)
        twist(answer, ("PUT", WRITE))
        result = reassign(strategy=strategy, on_error="report")
        assert result["changed"] >= 38
        assert result["changed"] + result["refused"] == 60
        assert abs(owners(server)[1002] - owners(server)[1004]) <= 1

    def test_a_strategy_may_not_choose_them_any_more(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 20)
        server.insert_chats(30, assignee=1002)
        server.add_fault(Fault("vanish", path=WRITE, nth=10, agent=1003))
        assert reassign(strategy="least_loaded", to_agents=[1002, 1003])["changed"] == 20
        assert owners(server)[1002] == 30 + 20 - owners(server)[1003]


class TestAnswersThatAreLost:
    @pytest.mark.parametrize("kind", ["close", "reset", "truncate"])
    def test_a_lost_answer_is_the_only_reason_to_write_twice(
        self, kind: str, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["opened"] * 30)
        server.add_fault(Fault(kind, path=WRITE, nth=7))
        result = reassign()
        assert result["changed"] == 30
        lost = server.writes()[6].chat
        assert chats_written_twice(server) == {lost}
        assert {write.body["assignee"] for write in server.writes(lost)} == {1002}
        assert owners(server) == {1002: 10, 1003: 10, 1004: 10}

    def test_an_answer_that_shows_somebody_else_is_not_believed(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["opened"] * 5)
        ignored = server.chats[2]["id"]
        server.add_fault(Fault("ignore_write", chat=ignored, times=0))
        result = reassign(on_error="report")
        assert (result["changed"], result["failed"]) == (4, 1)
        (failed,) = [chat for chat in result["chats"] if chat["outcome"] == "failed"]
        assert failed["id"] == ignored
        assert "answered 200" in failed["error"]
