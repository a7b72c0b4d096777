"""``UpdateChatsOperator`` and ``UpdateChatAssigneeOperator``, against a sandbox over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_names import OutletEvents
from hand_time import HandTime
from task_context import Instance, Store

from airflow_provider_helpcrunch._airflow import AirflowException, AirflowFailException, Asset, TaskDeferred
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchPartialError,
    HelpCrunchRefusedError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.hooks import helpcrunch
from airflow_provider_helpcrunch.operators.chats import (
    UpdateChatAssigneeOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.storage import read_records

pytestmark = pytest.mark.older

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
TaskLog = Callable[[Any], list[str]]

CHAT = 4410001


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries as ever, only with shorter pauses between them."""
    policy = helpcrunch.RetryPolicy

    def shorter(**arguments: Any) -> Any:
        return policy(**{"first_pause": 0.01, "longest_pause": 0.02, "max_attempts": 2, **arguments})

    monkeypatch.setattr(helpcrunch, "RetryPolicy", shorter)


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=5, chats=40)
    connection(server, requests_per_minute=10_000)
    return server


def apply(plan: Any, context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    return UpdateChatsOperator(task_id="apply", plan=plan, **arguments).execute(context or {})  # type: ignore[arg-type]


def to_agent(agent: int, *chats: int) -> list[dict[str, Any]]:
    return [{"id": chat, "assignee": agent} for chat in chats]


def outcomes(result: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(change["id"], change["field"], change["outcome"]) for change in result["chats"]]


class TestResult:
    def test_changes_and_counts(self, server: Sandbox) -> None:
        result = apply([*to_agent(1003, CHAT, CHAT + 1), {"id": CHAT + 2, "status": "pending"}])
        assert {n: result[n] for n in ("changed", "planned", "unchanged", "refused", "failed")} == {
            **{"changed": 3, "planned": 0, "unchanged": 0},
            **{"refused": 0, "failed": 0},
        }
        assert result["chats"][0] == {
            **{"id": CHAT, "field": "assignee", "before": "?", "after": 1003},
            **{"outcome": "changed", "error": None, "status": "?", "department": "?"},
        }
        assert result["requests"] == len(server.journal) == 4  # one of them is the list of agents
        assert json.loads(json.dumps(result)) == result
        assert [server.chat(CHAT + n)["assignee"]["id"] for n in (0, 1)] == [1003, 1003]
        assert server.chat(CHAT + 2)["status"] == "pending"

    @pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
    def test_report(self, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        path, asset = tmp_path / f"report.{suffix}", Asset("helpcrunch://chats")
        events = OutletEvents([(asset, type("Event", (), {"extra": None})())])
        result = apply(
            to_agent(1003, CHAT, CHAT + 1),
            {"outlet_events": events},
            report_path=str(path),
            outlets=[asset],
            check=True,
        )
        assert result["report"] == {
            **{"path": str(path), "records": 2},
            **{"bytes": path.stat().st_size, "format": suffix},
        }
        assert events[asset].extra == result["report"]
        rows = list(read_records(result["report"]))
        assert [int(row["id"]) for row in rows] == [CHAT, CHAT + 1]
        name = next(agent["name"] for agent in server.agents if agent["id"] == 1003)
        assert {(str(row["after"]), row["after_name"], row["outcome"]) for row in rows} == {
            ("1003", name, "changed")
        }

    def test_too_many_changes_for_xcom(self, server: Sandbox, tmp_path: Path) -> None:
        path = str(tmp_path / "report.jsonl")
        result = apply(to_agent(1003, CHAT, CHAT + 1), max_xcom_bytes="20", report_path=path)
        assert (result["chats"], result["changed"], result["report"]["records"]) == (None, 2, 2)

    def test_the_log_has_a_table(self, server: Sandbox, task_log: TaskLog) -> None:
        operator = UpdateChatsOperator(task_id="apply", plan=to_agent(1003, CHAT))
        lines = task_log(operator)
        operator.execute({})  # type: ignore[arg-type]
        name = next(agent["name"] for agent in server.agents if agent["id"] == 1003)
        assert "1 changed; 2 requests" in lines
        (table,) = (line for line in lines if line.startswith("1 result:"))
        assert table.splitlines()[-1] == f"{CHAT}  assignee  ?       {name} (1003)  changed"


class TestLookUp:
    def test_agents_and_departments_are_looked_up_once_before_anything_is_changed(
        self, server: Sandbox
    ) -> None:
        department = server.departments[0]["id"]
        apply([{"id": CHAT, "assignee": 1003, "department": department}, *to_agent(1004, CHAT + 1)])
        assert [request.path for request in server.journal[:2]] == ["/v1/agents", "/v1/departments"]
        assert [request.method for request in server.journal[2:]] == ["PUT"] * 3

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ({"assignee": 9999}, "agent 9999"),
            ({"department": 9999}, "department 9999"),
        ],
        ids=str,
    )
    def test_somebody_who_does_not_exist(self, entry: dict[str, Any], said: str, server: Sandbox) -> None:
        with pytest.raises(HelpCrunchConfigurationError, match=f"{said}, and the account has no such"):
            apply([*to_agent(1003, CHAT), {"id": CHAT + 1, **entry}])
        assert server.writes() == []
        assert {request.method for request in server.journal} == {"GET"}

    def test_nothing_is_looked_up_that_is_not_named(self, server: Sandbox) -> None:
        apply([{"id": CHAT, "status": "pending", "assignee": None}])
        assert {request.method for request in server.journal} == {"PUT"}


class TestCheck:
    @pytest.mark.parametrize("check", [True, "True", "true"])
    def test_what_is_so_already_is_left_alone(self, check: Any, server: Sandbox) -> None:
        server.update_chat(CHAT, assignee=1003, status="onhold")
        server.update_chat(CHAT + 1, assignee=1002, status="onhold", snoozedUntil=1769846400)
        server.update_chat(CHAT + 2, assignee=None)
        plan = [
            {"id": CHAT, "assignee": 1003, "status": "on-hold"},
            {"id": CHAT + 1, "assignee": 1003, "status": "on hold", "snoozed_until": "2026-01-31T08:00:00Z"},
            {"id": CHAT + 2, "assignee": "nobody"},
        ]
        result = apply(plan, check=check)
        assert outcomes(result) == [
            *((CHAT, "assignee", "unchanged"), (CHAT, "status", "unchanged")),
            (CHAT + 1, "assignee", "changed"),
            *((CHAT + 1, "snoozed_until", "unchanged"), (CHAT + 1, "status", "unchanged")),
            (CHAT + 2, "assignee", "unchanged"),
        ]
        assert result["chats"][2]["before"] == 1002
        assert [request.body for request in server.writes()] == [{"id": CHAT + 1, "assignee": 1003}]
        reads = [r.path for r in server.requests(method="GET") if r.path.startswith("/v1/chats/")]
        assert reads == [f"/v1/chats/{CHAT + n}" for n in range(3)]

    @pytest.mark.parametrize("check", [False, "False"])
    def test_without_it_everything_is_written(self, check: Any, server: Sandbox) -> None:
        server.update_chat(CHAT, assignee=1003)
        assert outcomes(apply(to_agent(1003, CHAT), check=check)) == [(CHAT, "assignee", "changed")]
        assert len(server.writes()) == 1

    def test_twice_is_harmless_and_the_second_time_writes_nothing(self, server: Sandbox) -> None:
        plan = to_agent(1003, CHAT, CHAT + 1)
        apply(plan)
        before = server.chats
        assert apply(plan, check=True)["unchanged"] == 2
        assert (server.chats, len(server.writes())) == (before, 2)

    def test_a_chat_that_does_not_exist_costs_one_read(self, server: Sandbox) -> None:
        result = apply([{"id": 1, "assignee": 1003, "status": "pending"}], check=True, on_error="report")
        assert outcomes(result) == [(1, "assignee", "refused"), (1, "status", "refused")]
        assert server.requests(method="PUT") == []


class TestFailures:
    """By default all that can be done is done, and then the task fails."""

    PLAN = (*to_agent(1003, CHAT), {"id": 1, "assignee": 1003}, *to_agent(1003, CHAT + 1))

    def test_at_the_end(self, server: Sandbox) -> None:
        instance = Instance()
        with pytest.raises(HelpCrunchRefusedError, match="1 change was not made; the log") as caught:
            apply(self.PLAN, {"ti": instance})
        assert "chat 1: " in str(caught.value)
        assert isinstance(caught.value, AirflowFailException)  # a retry would be refused as well
        assert [request.chat for request in server.writes()] == [CHAT, CHAT + 1]
        assert outcomes(instance.pushed["return_value"]) == [
            (CHAT, "assignee", "changed"),
            (1, "assignee", "refused"),
            (CHAT + 1, "assignee", "changed"),
        ]

    def test_at_once(self, server: Sandbox) -> None:
        instance = Instance()
        with pytest.raises(HelpCrunchNotFoundError):
            apply(self.PLAN, {"ti": instance}, on_error="fail_fast")
        assert [request.chat for request in server.writes()] == [CHAT]
        assert len(instance.pushed["return_value"]["chats"]) == 2

    def test_only_reported(self, server: Sandbox) -> None:
        result = apply(self.PLAN, on_error="report")
        assert (result["changed"], result["refused"]) == (2, 1)
        assert result["chats"][1]["error"]

    def test_a_fault_is_worth_a_retry(self, server: Sandbox) -> None:
        server.add_fault(Fault("status", method="PUT", chat=CHAT, status=500, times=0))
        with pytest.raises(HelpCrunchPartialError) as caught:
            apply(to_agent(1003, CHAT, CHAT + 1))
        assert not isinstance(caught.value, AirflowFailException)
        assert [request.chat for request in server.writes()] == [CHAT + 1]

    def test_a_change_that_was_not_made_is_not_believed(self, server: Sandbox) -> None:
        server.update_chat(CHAT, assignee=1001)
        server.add_fault(Fault("ignore_write", chat=CHAT, times=0))
        result = apply(to_agent(1003, CHAT, CHAT + 1), on_error="report")
        assert outcomes(result) == [(CHAT, "assignee", "failed"), (CHAT + 1, "assignee", "changed")]

    def test_a_lost_answer_is_asked_for_again(self, server: Sandbox) -> None:
        server.add_fault(Fault("reset", method="PUT", chat=CHAT))
        assert apply(to_agent(1003, CHAT))["changed"] == 1
        assert server.chat(CHAT)["assignee"]["id"] == 1003

    def test_three_chats_in_a_row_mean_that_the_service_is_down(self, server: Sandbox) -> None:
        server.add_fault(Fault("status", method="PUT", status=503, times=0))
        with pytest.raises(HelpCrunchServerError):
            apply(to_agent(1003, *range(CHAT, CHAT + 10)))
        assert {request.chat for request in server.requests(method="PUT")} == {CHAT, CHAT + 1, CHAT + 2}

    def test_three_chats_that_are_not_in_a_row_do_not(self, server: Sandbox) -> None:
        for chat in range(CHAT, CHAT + 10, 2):
            server.update_chat(chat, assignee=None)
            server.add_fault(Fault("status", method="PUT", chat=chat, status=503, times=0))
        result = apply(to_agent(1003, *range(CHAT, CHAT + 10)), on_error="report")
        assert (result["changed"], result["failed"]) == (5, 5)

    @pytest.mark.parametrize("check", [True, False])
    def test_one_chat_with_three_changes_does_not_either(self, *, check: bool, server: Sandbox) -> None:
        server.add_fault(Fault("status", chat=CHAT, status=503, times=0))
        three = {"assignee": 1003, "status": "pending", "snoozed_until": None}
        result = apply([{"id": CHAT, **three}, *to_agent(1003, CHAT + 1)], check=check, on_error="report")
        assert (result["changed"], result["failed"]) == (1, 3)

    def test_a_refused_key_ends_it(self, server: Sandbox) -> None:
        server.add_fault(Fault("status", method="PUT", nth=3, status=401, times=0))
        instance = Instance()
        with pytest.raises(HelpCrunchAuthError):
            apply(to_agent(1003, *range(CHAT, CHAT + 10)), {"ti": instance})
        assert len(server.requests(method="PUT")) == 3
        assert instance.pushed["return_value"]["changed"] == 2

    def test_a_report_that_cannot_be_written_does_not_hide_the_error(
        self, server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        server.add_fault(Fault("status", method="PUT", nth=2, status=401, times=0))
        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(HelpCrunchAuthError):
            apply(to_agent(1003, CHAT, CHAT + 1), report_path=str(tmp_path / "report.jsonl"))


def stop_after(server: Sandbox, changes: int) -> None:
    """Let the key be refused after this many changes, which ends a task at once."""
    server.add_fault(Fault("status", method="PUT", nth=changes + 1, status=401, times=0))


class TestPlace:
    """Where a task is tried again: with a store it goes on, without one it starts over."""

    PLAN = to_agent(1003, *range(CHAT, CHAT + 30))

    def test_a_retry_goes_on_after_the_last_change(self, server: Sandbox) -> None:
        store = Store()
        stop_after(server, 12)
        with pytest.raises(HelpCrunchAuthError):
            apply(self.PLAN, {"task_state_store": store})
        server.clear_faults()
        result = apply(self.PLAN, {"task_state_store": store})
        assert [request.chat for request in server.writes()] == [entry["id"] for entry in self.PLAN]
        assert outcomes(result) == [(entry["id"], "assignee", "changed") for entry in self.PLAN]
        assert store.kept == {}

    def test_without_a_store_it_starts_over_and_ends_the_same(self, server: Sandbox) -> None:
        stop_after(server, 12)
        with pytest.raises(HelpCrunchAuthError):
            apply(self.PLAN)
        server.clear_faults()
        result = apply(self.PLAN)
        assert Counter(Counter(request.chat for request in server.writes()).values()) == {2: 12, 1: 18}
        assert result["changed"] == 30
        assert {server.chat(entry["id"])["assignee"]["id"] for entry in self.PLAN} == {1003}

    @pytest.mark.parametrize("changes", [99, 100, 101, 199, 200, 201])
    def test_around_the_borders_of_the_chunks(
        self, changes: int, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server, store = sandbox(agents=5, chats=260), Store()
        connection(server, requests_per_minute=10_000)
        plan = to_agent(1003, *range(CHAT, CHAT + 260))
        stop_after(server, changes)
        with pytest.raises(HelpCrunchAuthError):
            apply(plan, {"task_state_store": store})
        server.clear_faults()
        assert apply(plan, {"task_state_store": store})["changed"] == 260
        assert [request.chat for request in server.writes()] == [entry["id"] for entry in plan]
        assert store.kept == {}
        assert store.largest < 65_535  # what Airflow stores without a warning

    def test_failed_changes_are_tried_again_and_refused_ones_too(self, server: Sandbox) -> None:
        store = Store()
        server.add_fault(Fault("status", method="PUT", chat=CHAT + 4, status=500, times=0))
        server.add_fault(Fault("status", method="PUT", chat=CHAT + 9, status=400, times=0))
        with pytest.raises(HelpCrunchPartialError, match="2 changes were not made"):
            apply(self.PLAN, {"task_state_store": store})
        server.clear_faults()
        result = apply(self.PLAN, {"task_state_store": store})
        assert (result["changed"], result["failed"], result["refused"]) == (30, 0, 0)
        assert Counter(Counter(request.chat for request in server.writes()).values()) == {1: 30}

    def test_another_plan_is_another_job(self, server: Sandbox) -> None:
        store = Store()
        stop_after(server, 5)
        with pytest.raises(HelpCrunchAuthError):
            apply(self.PLAN, {"task_state_store": store})
        server.clear_faults()
        other = to_agent(1004, *range(CHAT, CHAT + 30))
        assert apply(other, {"task_state_store": store})["changed"] == 30
        assert {server.chat(entry["id"])["assignee"]["id"] for entry in other} == {1004}

    def test_a_plan_that_was_replaced_for_a_while_starts_over(self, server: Sandbox) -> None:
        store, ids = Store(), [entry["id"] for entry in self.PLAN]
        stop_after(server, 5)
        with pytest.raises(HelpCrunchAuthError):
            apply(self.PLAN, {"task_state_store": store})
        server.clear_faults()
        apply(to_agent(1004, *ids), {"task_state_store": store})
        assert apply(self.PLAN, {"task_state_store": store})["changed"] == 30
        assert {server.chat(number)["assignee"]["id"] for number in ids} == {1003}

    def test_once_done_it_can_be_run_again(self, server: Sandbox) -> None:
        store = Store()
        apply(self.PLAN, {"task_state_store": store})
        assert apply(self.PLAN, {"task_state_store": store})["changed"] == 30
        assert len(server.writes()) == 60

    def test_a_store_that_cannot_be_written_stops_nothing(
        self, server: Sandbox, client_log: list[str]
    ) -> None:
        class Broken(Store):
            def set(self, key: str, value: Any, **_: Any) -> None:
                raise RuntimeError("no database")

        assert apply(self.PLAN, {"task_state_store": Broken()})["changed"] == 30
        told = [line for line in client_log if "no database" in line]
        assert told == ["Airflow's state store cannot be used, so a retry would start over: no database"]

    def test_a_killed_process_starts_over_harmlessly(self, server: Sandbox, tmp_path: Path) -> None:
        server.add_fault(Fault("hang", method="PUT", nth=12, times=0))
        code = (
            "import json, sys; from airflow_provider_helpcrunch.operators.chats import UpdateChatsOperator;"
            "UpdateChatsOperator(task_id='apply', plan=json.loads(sys.argv[1])).execute({})"
        )
        arguments = [sys.executable, "-c", code, json.dumps(self.PLAN)]
        task = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 300
            while len(server.writes()) < 12 and task.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            assert task.poll() is None, "the task ended before it could be killed"
        finally:
            task.send_signal(signal.SIGKILL)
            task.wait()
        server.clear_faults()
        assert apply(self.PLAN)["changed"] == 30
        assert {server.chat(entry["id"])["assignee"]["id"] for entry in self.PLAN} == {1003}


class TestSpentBudget:
    """Twenty requests in a minute."""

    PLAN = to_agent(1003, *range(CHAT, CHAT + 30))

    @pytest.fixture
    def server(self, sandbox: StartSandbox, connection: SetConnection, hand_time: HandTime) -> Sandbox:
        server = sandbox(agents=5, chats=40, clock=hand_time.busy)
        connection(server, requests_per_minute=20)
        return server

    def test_is_waited_for(self, server: Sandbox) -> None:
        result = apply(self.PLAN)
        assert (result["changed"], result["requests"]) == (30, 31)
        assert [request.chat for request in server.writes()] == [entry["id"] for entry in self.PLAN]
        assert server.busiest_window(60) <= 20

    def test_frees_the_slot_of_a_deferrable_task(self, server: Sandbox, hand_time: HandTime) -> None:
        operator = UpdateChatsOperator(task_id="apply", plan=self.PLAN, deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute({})  # type: ignore[arg-type]
        assert 0 < len(server.writes()) < 30
        carried = json.loads(json.dumps(deferred.value.trigger.state))
        assert deferred.value.method_name == "execute_complete"
        hand_time.sleep(deferred.value.trigger.until - hand_time())
        another = UpdateChatsOperator(task_id="apply", plan=self.PLAN, deferrable=True)
        result = another.execute_complete({}, event=carried)  # type: ignore[arg-type]
        assert (result["changed"], result["requests"]) == (30, len(server.journal))
        assert [request.chat for request in server.writes()] == [entry["id"] for entry in self.PLAN]

    def test_a_trigger_without_an_event_fails_loudly(self, server: Sandbox) -> None:
        operator = UpdateChatsOperator(task_id="apply", plan=self.PLAN, deferrable=True)
        with pytest.raises(HelpCrunchError, match="The trigger ended without an event"):
            operator.execute_complete({}, event=None)  # type: ignore[arg-type]
        assert server.journal == []


def test_an_assignee_that_was_not_read_is_not_called_nobody(
    server: Sandbox, task_log: Callable[[Any], list[str]]
) -> None:
    operator = UpdateChatsOperator(task_id="apply", plan=to_agent(1003, CHAT))
    lines = task_log(operator)
    result = operator.execute({})  # type: ignore[arg-type]
    assert result["chats"][0]["before"] == "?"
    assert not any("nobody" in line for line in lines)
    assert any("  ?  " in line for line in lines)


@pytest.mark.parametrize("wrong", ["perhaps", 2, None])
def test_deferrable_is_checked_too(wrong: Any, server: Sandbox) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="deferrable must be true or false"):
        apply(to_agent(1003, CHAT), deferrable=wrong)
    assert server.journal == []


class TestOneChat:
    def give(self, chat: Any, agent: Any, **arguments: Any) -> Any:
        operator = UpdateChatAssigneeOperator(task_id="give", chat_id=chat, assignee_id=agent, **arguments)
        return operator.execute({})  # type: ignore[arg-type]

    def test_one_request(self, server: Sandbox) -> None:
        result = self.give(CHAT, 1003)
        assert outcomes(result) == [(CHAT, "assignee", "changed")]
        assert result["requests"] == len(server.journal) == 1
        assert server.chat(CHAT)["assignee"]["id"] == 1003

    @pytest.mark.parametrize(("chat", "agent"), [(1, 1003), (CHAT, 9999)])
    def test_somebody_or_something_that_does_not_exist(self, chat: int, agent: int, server: Sandbox) -> None:
        with pytest.raises(HelpCrunchNotFoundError) as caught:
            self.give(chat, agent)
        assert isinstance(caught.value, AirflowFailException)
        assert [request.status for request in server.journal] == [404]

    def test_to_nobody(self, server: Sandbox) -> None:
        assert self.give(CHAT, None)["chats"] == [
            {
                "id": CHAT,
                "field": "assignee",
                "before": "?",
                "after": None,
                "outcome": "changed",
                "error": None,
                "status": "?",
                "department": "?",
            }
        ]
        assert server.chat(CHAT)["assignee"] is None

    def test_a_server_that_is_down_may_be_tried_again(self, server: Sandbox) -> None:
        server.add_fault(Fault("status", status=503, method="PUT", times=0))
        with pytest.raises(HelpCrunchServerError) as caught:
            self.give(CHAT, 1003)
        assert not isinstance(caught.value, AirflowFailException)
        assert {request.status for request in server.journal} == {503}

    def test_a_retry_that_was_refused_although_the_first_attempt_did_nothing(self, server: Sandbox) -> None:
        server.add_fault(Fault("status", status=503, method="PUT"))
        server.add_fault(Fault("status", status=400, method="PUT", times=0))
        with pytest.raises(HelpCrunchBadRequestError):
            self.give(CHAT, 1003)
        assert [request.status for request in server.journal] == [503, 400, 200]
        assert server.writes() == []

    @pytest.mark.parametrize(
        "removed", ["on_error", "report_path", "report_format", "deferrable", "max_xcom_bytes"]
    )
    def test_arguments_of_a_plan_are_refused(self, removed: str) -> None:
        with pytest.raises((AirflowException, TypeError), match=removed):
            self.give(CHAT, 1003, **{removed: None})
