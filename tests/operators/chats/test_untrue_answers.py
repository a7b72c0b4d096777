"""Answers to changes that are not true: a yes to what was not done, a no to what was, and failures settled since."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from task_context import Instance, Store

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchPartialError,
    HelpCrunchRefusedError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.operators.chats import UpdateChatAssigneeOperator, UpdateChatsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode, error

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
Twist = Callable[..., None]
Honest = Callable[[Request], Answer]

LEAVER, COLLEAGUE = 1001, 1006
WRITE = "/v1/chats/assignee"
PUT = ("PUT", WRITE)


def outcomes(result: dict[str, Any]) -> list[str]:
    return [chat["outcome"] for chat in result["chats"]]


def echo(server: Sandbox, *chats: int) -> Callable[[Request, Honest], Answer]:
    """Say yes to every change, or to changes of these chats, and do nothing."""

    def answer(request: Request, honest: Honest) -> Answer:
        if chats and request.body["id"] not in chats:
            return honest(request)
        shown = {**server.chat(request.body["id"]), "assignee": {"id": request.body["assignee"]}}
        return Answer(200, encode(shown))

    return answer


class TestEchoed:
    """HelpCrunch sends back what it was asked for, and does nothing."""

    @pytest.mark.parametrize("chats", [7, 120])
    def test_every_write(self, chats: int, account: StartAccount, reassign: Reassign, twist: Twist) -> None:
        def answer(request: Request, _: Honest) -> Answer:
            shown = {**server.chat(request.body["id"]), "assignee": {"id": request.body["assignee"]}}
            return Answer(200, encode(shown))

        server, instance = account(), Instance()
        server.insert_chats(chats, assignee=LEAVER)
        twist(answer, PUT)
        with pytest.raises(HelpCrunchPartialError, match=f"{chats} changes were not made"):
            reassign({"ti": instance})
        assert outcomes(instance.pushed["return_value"]) == ["failed"] * chats
        tried = [request.chat for request in server.requests(WRITE)]
        assert len(tried) == len(set(tried)) == chats

    def test_one_write(self, account: StartAccount, reassign: Reassign, twist: Twist) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            if request.body["id"] != ignored:
                return honest(request)
            return Answer(200, encode({**server.chat(ignored), "assignee": {"id": request.body["assignee"]}}))

        server = account(*["opened"] * 7)
        ignored = server.chats[3]["id"]
        twist(answer, PUT)
        result = reassign(on_error="report")
        assert (result["changed"], result["failed"]) == (6, 1)
        assert [chat["id"] for chat in result["chats"] if chat["outcome"] == "failed"] == [ignored]
        assert [chat["id"] for chat in server.chats_of(LEAVER)] == [ignored]

    @pytest.mark.parametrize("shown", [1002, COLLEAGUE])
    def test_of_one_chat(self, shown: int, account: StartAccount, twist: Twist) -> None:
        def answer(request: Request, _: Honest) -> Answer:
            return Answer(200, encode({**chat, "assignee": {"id": shown}}))

        server = account("opened")
        (chat,) = server.chats
        twist(answer, PUT)
        task = UpdateChatAssigneeOperator(task_id="give", chat_id=chat["id"], assignee_id=1002)
        if shown == 1002:  # a single request has nothing else to go by
            assert outcomes(task.execute({})) == ["changed"]
        else:
            with pytest.raises(HelpCrunchUnconfirmedError):
                task.execute({})

    @pytest.mark.parametrize("stays", [0, 130])
    @pytest.mark.parametrize("most", [1, 7, 99, 100, 101, 230])
    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_every_write_up_to_max_chats(
        self,
        source: int | None,
        most: int,
        stays: int,
        account: StartAccount,
        reassign: Reassign,
        twist: Twist,
    ) -> None:
        server = account()
        server.insert_chats(stays, assignee=source, status="pending")
        server.insert_chats(250, assignee=source)
        twist(echo(server), PUT)
        result = reassign(from_agents=source, max_chats=most, statuses=["opened"], on_error="report")
        assert (result["changed"], result["failed"]) == (0, most)
        tried = [request.chat for request in server.requests(WRITE)]
        assert len(tried) == len(set(tried)) == most

    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_one_write_up_to_max_chats(
        self, source: int | None, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        server = account()
        ignored = server.insert_chats(150, assignee=source)[110]["id"]
        twist(echo(server, ignored), PUT)
        result = reassign(from_agents=source, max_chats=120, on_error="report")
        assert (result["changed"], result["failed"]) == (119, 1)
        assert [chat["id"] for chat in result["chats"] if chat["outcome"] == "failed"] == [ignored]
        assert len(server.chats_of(source)) == 31

    @pytest.mark.parametrize("chats", [1, 99, 100, 101, 250])
    def test_writes_to_chats_of_nobody(
        self, chats: int, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        server = account()
        for _ in range(chats):
            server.insert_chats(1, assignee=COLLEAGUE)
            server.insert_chats(1)
        nobodys = [chat["id"] for chat in server.chats_of(None)]
        twist(echo(server, *nobodys[::3]), PUT)
        result = reassign(from_agents=None, on_error="report")
        assert [chat["id"] for chat in result["chats"] if chat["outcome"] == "failed"] == nobodys[::3]
        assert result["changed"] == chats - len(nobodys[::3])
        assert [request.chat for request in server.requests(WRITE)] == nobodys

    def test_a_search_that_lags_behind_is_no_lie(
        self, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        """Chats that were moved last are not in the search index yet, but reading them shows the move."""
        server = account()
        moved = [chat["id"] for chat in server.insert_chats(120)]

        def answer(request: Request, honest: Honest) -> Answer:
            done = honest(request)
            found = json.loads(done.body)
            late = {write.chat for write in server.writes()[-5:]}
            found["data"] = [
                {**chat, "assignee": None} if chat["id"] in late else chat for chat in found["data"]
            ]
            return replace(done, body=encode(found))

        twist(answer)
        assert reassign(from_agents=None)["changed"] == 120
        assert [request.chat for request in server.requests(WRITE)] == moved
        assert len([request for request in server.journal if request.method == "GET"]) <= 1 + 10


class TestSettledMeanwhile:
    """Changes that failed in an earlier try, and are already in place in the next one."""

    @pytest.mark.parametrize("settled", ["taken", "closed", "made after all"])
    @pytest.mark.parametrize("kind", ["no answer", "refused"])
    @pytest.mark.parametrize("source", [LEAVER, None])
    def test_does_not_fail_the_next_try(
        self, source: int | None, kind: str, settled: str, account: StartAccount, reassign: Reassign
    ) -> None:
        server, store = account(), Store()
        failing = server.insert_chats(7, assignee=source)[2]["id"]
        status = 404 if kind == "refused" else 503
        server.add_fault(Fault("status", status=status, chat=failing, times=0, method="PUT"))
        context = {"task_state_store": store}
        with pytest.raises(HelpCrunchPartialError):
            reassign(context, from_agents=source)
        assert store.kept
        server.clear_faults()
        changes = {"taken": {"assignee": COLLEAGUE}, "closed": {"status": "closed"}}
        server.update_chat(failing, **changes.get(settled, {"assignee": 1004}))
        sent = len(server.requests(WRITE))
        result = reassign(context, from_agents=source)
        # A change that met a fault may have been made, and the chat shows it; one that was refused was not.
        is_made = kind == "no answer" and settled == "made after all"
        assert (result["changed"], result["refused"], result["failed"]) == (6 + is_made, 0, 0)
        assert (failing in {chat["id"] for chat in result["chats"]}) is is_made
        assert len(server.requests(WRITE)) == sent
        assert store.kept == {}

    def test_what_is_not_settled_fails_the_next_try_too(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server, store = account(*["opened"] * 3), Store()
        failing = server.chats[1]["id"]
        server.add_fault(Fault("status", status=404, chat=failing, times=0, method="PUT"))
        for _ in range(2):
            with pytest.raises(HelpCrunchRefusedError, match=f"1 change was not made.*chat {failing}"):
                reassign({"task_state_store": store})


class TestLostAnswers:
    """A change was made, its answer was lost, and the repeat is refused because nothing is left to change."""

    @pytest.fixture
    def server(self, account: StartAccount, twist: Twist) -> Sandbox:
        server = account(*["opened"] * 7)

        def answer(request: Request, honest: Honest) -> Answer:
            shown = server.chat(request.body["id"])["assignee"]
            if (shown or {}).get("id") == request.body["assignee"]:
                return error(400, "new", {"assignee": "This value is the same as before."})
            return honest(request)

        twist(answer, PUT)
        return server

    @pytest.mark.parametrize("kind", ["close", "reset", "truncate"])
    def test_count_as_changed(self, kind: str, server: Sandbox, reassign: Reassign) -> None:
        server.add_fault(Fault(kind, path=WRITE, nth=3))
        result = reassign()
        assert (result["changed"], result["refused"], result["failed"]) == (7, 0, 0)
        assert [request.status for request in server.requests(WRITE)].count(400) == 1
        assert server.chats_of(LEAVER) == []

    def test_of_a_plan(self, server: Sandbox) -> None:
        server.add_fault(Fault("close", path=WRITE, nth=3))
        plan = [{"id": chat["id"], "assignee": 1002} for chat in server.chats]
        result = UpdateChatsOperator(task_id="update", plan=plan).execute({})
        assert outcomes(result) == ["changed"] * 7
        assert len(server.chats_of(1002)) == 7

    def test_of_one_chat(self, server: Sandbox) -> None:
        server.add_fault(Fault("close", path=WRITE))
        (chat, *_) = server.chats
        task = UpdateChatAssigneeOperator(task_id="give", chat_id=chat["id"], assignee_id=1002)
        result = task.execute({})
        assert outcomes(result) == ["changed"]
        assert [request.method for request in server.journal] == ["PUT", "PUT", "GET"]
        assert result["requests"] == 3

    def test_with_an_answer_about_another_chat(
        self, account: StartAccount, reassign: Reassign, twist: Twist
    ) -> None:
        def answer(request: Request, honest: Honest) -> Answer:
            done = honest(request)
            shown = json.loads(done.body)
            return replace(done, body=encode({**shown, "id": shown["id"] + 1000}))

        server = account(*["opened"] * 4)
        twist(answer, PUT)
        assert outcomes(reassign()) == ["changed"] * 4
        assert server.chats_of(LEAVER) == []

    def test_a_change_that_was_not_made_stays_refused(self, server: Sandbox, reassign: Reassign) -> None:
        refused = server.chats[2]["id"]
        server.add_fault(Fault("status", status=503, chat=refused, method="PUT"))
        server.add_fault(Fault("status", status=400, chat=refused, method="PUT", times=0))
        result = reassign(on_error="report")
        assert (result["changed"], result["refused"]) == (6, 1)
        assert [chat["id"] for chat in server.chats_of(LEAVER)] == [refused]
