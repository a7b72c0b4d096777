"""Addresses of chats in the reports of changes: the account is asked once, and only for a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.approvals import approval_text
from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator, runner
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import CHANGES
from airflow_provider_helpcrunch.storage import read_records

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
TaskLog = Callable[[Any], list[str]]

ADDRESS = "https://shop.helpcrunch.com/inbox/chats"
IN_LOG = f"A chat's address is {ADDRESS}/<chat>"


@pytest.fixture
def run(task_log: TaskLog, tmp_path: Path) -> Callable[..., tuple[list[Any], str]]:
    """Change two chats; return the addresses in the report, if there is one, and the log."""

    def change(server: Sandbox, suffix: str | None = ".jsonl") -> tuple[list[Any], str]:
        path = None if suffix is None else str(tmp_path / f"report{suffix}")
        plan = [{"id": chat["id"], "assignee": 1002} for chat in server.chats[:2]]
        task = UpdateChatsOperator(task_id="apply", plan=plan, report_path=path, on_error="report")
        lines = task_log(task)
        try:
            task.execute({})
        except HelpCrunchAuthError:
            lines.append("refused")
        return [row["url"] for row in read_records(path)] if path else [], "\n".join(lines)

    return change


def chats_of(server: Sandbox) -> list[str]:
    return [f"{ADDRESS}/{chat['id']}" for chat in server.chats[:2]]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_the_account_is_asked_once_for_a_report(
    sandbox: StartSandbox, connection: SetConnection, run: Any, suffix: str
) -> None:
    server = sandbox(agents=3, chats=5, domain="shop")
    connection(server)
    urls, log = run(server, suffix)
    assert urls == chats_of(server)
    assert IN_LOG in log.splitlines()
    assert len(server.requests("/v1/organization")) == 1


def test_the_account_is_not_asked_for_a_log(
    sandbox: StartSandbox, connection: SetConnection, run: Any
) -> None:
    server = sandbox(agents=3, chats=5, domain="shop")
    connection(server)
    assert "address" not in run(server, None)[1]
    assert server.requests("/v1/organization") == []


@pytest.mark.parametrize("suffix", [".jsonl", None])
def test_the_account_is_not_asked_for_what_the_connection_states(
    sandbox: StartSandbox, connection: SetConnection, run: Any, suffix: str | None
) -> None:
    server = sandbox(agents=3, chats=5, domain="other")
    connection(server, inbox_domain="shop")
    urls, log = run(server, suffix)
    assert urls == (chats_of(server) if suffix else [])
    assert IN_LOG in log.splitlines()
    assert server.requests("/v1/organization") == []


def test_a_task_that_fails_reports_what_the_connection_states(
    sandbox: StartSandbox, connection: SetConnection, run: Any
) -> None:
    server = sandbox(agents=3, chats=5)
    connection(server, inbox_domain="shop")
    server.add_fault(Fault("status", status=401, path="/v1/chats/assignee", nth=2, times=0))
    urls, log = run(server)
    assert "refused" in log.splitlines()
    assert urls[0] == chats_of(server)[0]
    assert IN_LOG in log


@pytest.mark.parametrize("fault", [None, Fault("status", status=404, path="/v1/organization", times=0)])
def test_without_a_domain_there_is_no_address_and_no_failure(
    sandbox: StartSandbox, connection: SetConnection, run: Any, fault: Fault | None
) -> None:
    server = sandbox(agents=3, chats=5, domain="shop" if fault else "shop.example")
    connection(server)
    if fault:
        server.add_fault(fault)
    urls, log = run(server)
    assert urls == [None, None]
    assert "address" not in log
    assert len(server.writes()) == 2


def test_a_refusal_of_the_limit_is_waited_out_and_nothing_is_done_twice(
    sandbox: StartSandbox, connection: SetConnection, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BRIEF", 0.1)
    server = sandbox(agents=3, chats=5, domain="shop")
    connection(server)
    server.add_fault(Fault("status", status=429, path="/v1/organization", retry_after="1"))
    urls, log = run(server)
    assert urls == chats_of(server)
    assert "for the account's rate limit, in the worker slot." in log
    assert len(server.writes()) == 2
    assert len(server.requests("/v1/organization")) == 2


def test_nothing_is_asked_where_nothing_was_to_be_done(
    sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog, tmp_path: Path
) -> None:
    server = sandbox(agents=3, chats=5, domain="shop")
    connection(server)
    task = UpdateChatsOperator(task_id="apply", plan=[], report_path=str(tmp_path / "report.jsonl"))
    task_log(task)
    task.execute({})
    assert server.requests("/v1/organization") == []


def test_who_approves_can_open_each_chat(
    sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog, tmp_path: Path
) -> None:
    server = sandbox(agents=3, chats=0, domain="shop")
    connection(server)
    (chat,) = server.insert_chats(1, assignee=1001)
    task = ReassignChatsOperator(
        task_id="plan", from_agents=1001, to_agents=1002, dry_run=True, report_path=str(tmp_path / "plan.csv")
    )
    task_log(task)
    assert f"[{chat['id']}]({ADDRESS}/{chat['id']})" in approval_text(task.execute({}))


def test_a_report_has_the_column() -> None:
    assert [column.name for column in CHANGES.columns][-1] == "url"
