"""Chats whose assignee, department, status or time cannot be read: never guessed, always reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError, HelpCrunchResponseError
from airflow_provider_helpcrunch.operators.chats import SearchChatsOperator, UpdateChatsOperator
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
Twist = Callable[..., None]
Change = Callable[[dict[str, Any]], dict[str, Any]]
Shows = Callable[..., None]

LEAVER, COLLEAGUE = 1001, 1004
WRITE = "/v1/chats/assignee"
MISSING = object()
NESTED = [
    pytest.param(MISSING, id="missing"),
    pytest.param({"name": "Somebody"}, id="without an id"),
    pytest.param({"id": "1004 ", "name": "Somebody"}, id="an id with a space"),
    pytest.param({"id": None}, id="an id that is null"),
    pytest.param("Somebody", id="a name"),
]


def showing(field: str, value: Any) -> Change:
    def change(chat: dict[str, Any]) -> dict[str, Any]:
        rest = {name: shown for name, shown in chat.items() if name != field}
        return rest if value is MISSING else {**rest, field: value}

    return change


@pytest.fixture
def shows(twist: Twist) -> Shows:
    """Let every chat, or those meant, show something else, wherever HelpCrunch sends it, or in one place alone."""

    def install(
        field: str, value: Any, chat: int | None = None, where: tuple[str, ...] = ("POST", "GET", "PUT")
    ) -> None:
        change = showing(field, value)

        def shown(record: dict[str, Any]) -> dict[str, Any]:
            return change(record) if chat in (None, record["id"]) else record

        def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
            found = honest(request)
            if found.status != 200:
                return found
            payload = json.loads(found.body)
            rows = payload.get("data")
            told = shown(payload) if rows is None else {**payload, "data": [shown(row) for row in rows]}
            return replace(found, body=encode(told))

        routes = [
            ("POST", "/v1/chats/search"),
            ("GET", "/v1/chats/{id}"),
            *(("PUT", f"/v1/chats/{what}") for what in ("assignee", "department", "status", "snooze")),
        ]
        for route in routes:
            if route[0] in where:
                twist(answer, route)

    return install


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("source", [LEAVER, None])
@pytest.mark.parametrize("value", NESTED)
class TestReassign:
    def test_all_chats(
        self,
        value: Any,
        source: int | None,
        dry_run: bool,
        account: StartAccount,
        reassign: Reassign,
        shows: Shows,
    ) -> None:
        server = account()
        server.insert_chats(3, assignee=source)
        server.insert_chats(20, assignee=COLLEAGUE)
        before = server.chats
        shows("assignee", value)
        with pytest.raises(HelpCrunchResponseError, match="without a readable assignee"):
            reassign(from_agents=source, to_agents=[1002, 1003], dry_run=dry_run)
        assert server.requests(WRITE) == []
        assert server.chats == before

    def test_one_chat_of_somebody_else(
        self,
        value: Any,
        source: int | None,
        dry_run: bool,
        account: StartAccount,
        reassign: Reassign,
        shows: Shows,
    ) -> None:
        server = account()
        server.insert_chats(3, assignee=source)
        (other,) = server.insert_chats(1, assignee=source)
        shows("assignee", value, chat=other["id"])
        with pytest.raises(HelpCrunchResponseError, match=f"record {other['id']} without"):
            reassign(from_agents=source, to_agents=[1002, 1003], dry_run=dry_run)
        assert other["id"] not in {request.chat for request in server.requests(WRITE)}
        assert server.chat(other["id"]) == other

    def test_of_a_department(
        self,
        value: Any,
        source: int | None,
        dry_run: bool,
        account: StartAccount,
        reassign: Reassign,
        shows: Shows,
    ) -> None:
        server = account()
        server.insert_chats(3, assignee=source, department=103)
        shows("department", value)
        with pytest.raises(HelpCrunchResponseError, match="without a readable department"):
            reassign(from_agents=source, department=103, dry_run=dry_run)
        assert server.requests(WRITE) == []


@pytest.mark.parametrize("status", ["5", "2", 2, 5])
@pytest.mark.parametrize("arguments", [{}, {"statuses": ["opened"]}, {"from_agents": None}])
def test_statuses_that_are_numbers(
    arguments: dict[str, Any],
    status: Any,
    account: StartAccount,
    reassign: Reassign,
    shows: Shows,
) -> None:
    server = account("opened", "closed")
    server.insert_chats(2)
    shows("status", status)
    with pytest.raises(HelpCrunchResponseError, match=f"with the status {status}"):
        reassign(**arguments)
    assert server.requests(WRITE) == []


class TestSearch:
    @pytest.mark.parametrize("value", NESTED)
    @pytest.mark.parametrize(
        ("field", "wanted"),
        [("assignee", "unassigned"), ("assignee", LEAVER), ("department", 103)],
    )
    def test_nested(self, field: str, wanted: Any, value: Any, account: StartAccount, shows: Shows) -> None:
        server = account()
        server.insert_chats(3, assignee=LEAVER, department=103)
        server.insert_chats(3)
        shows(field, value)
        with pytest.raises(HelpCrunchResponseError, match=f"without a readable {field}"):
            SearchChatsOperator(task_id="search", **{field: wanted}).execute({})

    @pytest.mark.parametrize(
        "value",
        [pytest.param(MISSING, id="missing"), None, "", "soon", pytest.param({}, id="an object")],
    )
    @pytest.mark.parametrize("bound", [{"created_since": 1}, {"created_before": "2999-01-01"}])
    def test_created(self, bound: dict[str, Any], value: Any, account: StartAccount, shows: Shows) -> None:
        account(*["opened"] * 3)
        shows("createdAt", value)
        with pytest.raises(HelpCrunchResponseError, match="without a readable createdAt"):
            SearchChatsOperator(task_id="search", **bound).execute({})

    def test_closed_where_it_is_no_time(self, account: StartAccount, shows: Shows) -> None:
        account(*["closed"] * 3)
        shows("closedAt", "soon")
        with pytest.raises(HelpCrunchResponseError, match="without a readable closedAt"):
            SearchChatsOperator(task_id="search", closed_since=1).execute({})


class TestUpdate:
    @pytest.mark.parametrize("value", NESTED)
    def test_an_answer_does_not_prove_that_nobody_has_it(
        self, value: Any, account: StartAccount, shows: Shows, twist: Twist
    ) -> None:
        server = account("opened")
        (chat,) = server.chats
        # Nothing is changed, and the answer does not show it.
        twist(lambda request, _: Answer(200, encode(server.chat(request.body["id"]))), ("PUT", WRITE))
        shows("assignee", value, where=("PUT",))
        plan = [{"id": chat["id"], "assignee": None}]
        result = UpdateChatsOperator(task_id="update", plan=plan, on_error="report").execute({})
        assert (result["changed"], result["failed"]) == (0, 1)
        with pytest.raises(HelpCrunchPartialError):
            UpdateChatsOperator(task_id="update", plan=plan).execute({})
        assert server.chat(chat["id"]) == chat

    @pytest.mark.parametrize("value", NESTED)
    @pytest.mark.parametrize(
        ("field", "wanted"), [("assignee", None), ("assignee", 1002), ("department", 103)]
    )
    def test_a_check_is_not_passed(
        self, field: str, wanted: Any, value: Any, account: StartAccount, shows: Shows
    ) -> None:
        server = account("opened")
        (chat,) = server.chats
        shows(field, value, where=("GET",))
        plan = [{"id": chat["id"], field: wanted}]
        result = UpdateChatsOperator(task_id="update", plan=plan, check=True, on_error="report").execute({})
        assert result["unchanged"] == 0
        assert (result["failed"], server.requests(method="PUT")) == (1, [])

    @pytest.mark.parametrize(
        "value", [pytest.param(MISSING, id="missing"), "soon", pytest.param({}, id="an object")]
    )
    def test_a_check_of_a_time_is_not_passed(self, value: Any, account: StartAccount, shows: Shows) -> None:
        server = account("opened")
        (chat,) = server.chats
        server.update_chat(chat["id"], snoozedUntil=2_000_000_000)
        shows("snoozedUntil", value, where=("GET",))
        plan = [{"id": chat["id"], "snoozed_until": None}]
        result = UpdateChatsOperator(task_id="update", plan=plan, check=True, on_error="report").execute({})
        assert result["unchanged"] == 0
