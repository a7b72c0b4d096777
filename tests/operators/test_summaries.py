"""The last line of a task's log: it agrees with what the task returns and with what HelpCrunch saw."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.applications import ListApplicationsOperator
from airflow_provider_helpcrunch.operators.chats import (
    ListChatsOperator,
    ReassignChatsOperator,
    SearchChatsOperator,
    UpdateChatAssigneeOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.operators.customers import ListCustomersOperator, SearchCustomersOperator
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator
from airflow_provider_helpcrunch.plurals import counted
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Connect = Callable[..., None]
TaskLog = Callable[[Any], list[str]]


def log_of(operator: Any, task_log: TaskLog) -> tuple[Any, list[str]]:
    lines = task_log(operator)
    return operator.execute({}), lines


def is_grammatical(line: str) -> bool:
    """Say whether each number in a line has a noun in the right form."""
    nouns = re.findall(
        r"\b([0-9][0-9,]*) (record|page|request|agent|department|application|customer|chat|message|byte|change)(s?)\b",
        line,
    )
    retries = re.findall(r"\b([0-9][0-9,]*) retr(y|ies)\b", line)
    return all((number == "1") == (end == "") for number, _, end in nouns) and all(
        (number == "1") == (end == "y") for number, end in retries
    )


LISTS: list[tuple[type, dict[str, Any], dict[str, Any]]] = [
    *((ListAgentsOperator, {"agents": number}, {}) for number in (0, 1, 2, 99, 250, 1200)),
    *((ListAgentsOperator, {"agents": 250}, {"roles": [role]}) for role in ("admin", "agent", "nobody")),
    (ListAgentsOperator, {"agents": 1}, {"roles": ["nobody"]}),
    *((ListDepartmentsOperator, {"departments": number}, {}) for number in (0, 1, 5)),
    *((ListChatsOperator, {"chats": number}, {}) for number in (0, 1, 300)),
    *((SearchChatsOperator, {}, {"statuses": [status]}) for status in ("closed", "new", "on hold")),
    *((SearchChatsOperator, {}, {"assignee": assignee}) for assignee in ("unassigned", 1001, 9999)),
    (ListApplicationsOperator, {}, {}),
    *((ListCustomersOperator, {"chats": number}, {}) for number in (0, 1, 150)),
    *((SearchCustomersOperator, {}, {"tags": [tag]}) for tag in ("vip", "nobody")),
    *(
        (ListMessagesOperator, {"chats": 5}, {"chats": chats})
        for chats in (4410001, [1, 4410001], [4410002, 4410003])
    ),
]


@pytest.mark.parametrize(("operator", "account", "arguments"), LISTS)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_listing_says_what_it_returns(
    operator: type,
    account: dict[str, Any],
    arguments: dict[str, Any],
    *,
    is_file: bool,
    sandbox: Callable[..., Sandbox],
    connection: Connect,
    task_log: TaskLog,
    tmp_path: Path,
) -> None:
    server = sandbox(**account)
    connection(server)
    where = {"output_path": str(tmp_path / "records.jsonl")} if is_file else {}
    result, lines = log_of(operator(task_id="task", **arguments, **where), task_log)
    (summary,) = (line for line in lines if line.startswith("Listed "))
    found = re.fullmatch(
        r"Listed ([0-9,]+)(?: of ([0-9,]+))? \w+(?: read)? \([0-9,]+ pages?, ([0-9,]+) requests?\) in [0-9.]+ s",
        summary,
    )
    assert found, summary
    kept, read, requests = (int(part.replace(",", "")) if part else None for part in found.groups())
    assert kept == (result["records"] if is_file else len(result))
    assert read is None or kept < read
    assert ("read" in summary) == (read is not None)
    assert requests == len(server.journal)
    assert all(map(is_grammatical, lines))


def test_a_list_of_active_chats_says_how_many_were_read_not_how_many_there_are(
    sandbox: Callable[..., Sandbox], connection: Connect, task_log: TaskLog
) -> None:
    connection(sandbox(chats=2000, now="2026-01-31"))
    chats, lines = log_of(ListChatsOperator(task_id="task", active_since="2026-02-01"), task_log)
    assert chats == []
    assert lines[-1].startswith("Listed 0 of 100 chats read (1 page, 1 request) in ")


@pytest.mark.parametrize(
    ("fault", "arguments", "words"),
    [
        (Fault("status", status=401, times=0), {}, "0 agents read (1 request) in "),
        (Fault("status", status=404, times=0), {}, "0 agents read (1 request) in "),
        (Fault("status", status=401, offset=99, times=0), {}, "100 agents read (1 page, "),
        (Fault("insert", rows=1), {"max_xcom_bytes": 200}, "100 agents read (1 page, "),
    ],
)
def test_a_failed_listing_says_what_was_read(
    fault: Fault,
    arguments: dict[str, Any],
    words: str,
    sandbox: Callable[..., Sandbox],
    connection: Connect,
    task_log: TaskLog,
) -> None:
    connection(sandbox(agents=250, faults=[fault]))
    operator = ListAgentsOperator(task_id="task", **arguments)
    lines = task_log(operator)
    with pytest.raises(HelpCrunchError):
        operator.execute({})  # type: ignore[arg-type]
    assert lines[-1].startswith(f"Listing agents failed: {words}")
    assert all(map(is_grammatical, lines))


def test_waiting_and_retries_are_told_only_where_there_were_any(
    sandbox: Callable[..., Sandbox], connection: Connect, task_log: TaskLog
) -> None:
    faults = [Fault("status", status=429, retry_after="1"), Fault("status", status=503, nth=2)]
    connection(sandbox(agents=3, faults=faults))
    _, lines = log_of(ListAgentsOperator(task_id="task"), task_log)
    told = re.fullmatch(
        r"Listed 3 agents \(1 page, 3 requests, 2 retries\) in [0-9.]+ s, ([0-9.]+) s of it waiting for the .*",
        lines[-1],
    )
    assert told
    assert float(told[1]) == pytest.approx(1, abs=0.3)


def test_a_reassignment_says_what_skipped_and_planned_mean(
    sandbox: Callable[..., Sandbox], connection: Connect, task_log: TaskLog
) -> None:
    server = sandbox(agents=5, chats=0)
    connection(server)
    server.insert_chats(2, assignee=1001)
    server.insert_chats(1, assignee=1001, status="pending")
    arguments: dict[str, Any] = {"from_agents": 1001, "to_agents": [1002], "statuses": ["opened"]}
    _, lines = log_of(ReassignChatsOperator(task_id="dry", **arguments, dry_run=True), task_log)
    skipped = "1 skipped (in a status that is not moved)"
    assert lines[0] == f"2 planned (dry run: nothing was changed), {skipped}; 2 requests"
    _, lines = log_of(ReassignChatsOperator(task_id="real", **arguments), task_log)
    assert lines[0].startswith(f"2 changed, {skipped}; ")


def test_changes_and_requests_agree_with_the_journal(
    sandbox: Callable[..., Sandbox], connection: Connect, task_log: TaskLog
) -> None:
    server = sandbox(agents=5, chats=0)
    connection(server)
    chat = server.insert_chats(1, assignee=1001)[0]["id"]
    plan = [{"id": chat, "assignee": 1001, "status": "pending"}, {"id": 1, "assignee": 1002}]
    update = UpdateChatsOperator(task_id="plan", plan=plan, check=True, on_error="report")
    _, lines = log_of(update, task_log)
    outcomes = "1 changed, 1 unchanged (already as planned), 1 refused by HelpCrunch"
    assert f"{outcomes}; {len(server.journal)} requests" in lines
    _, lines = log_of(UpdateChatAssigneeOperator(task_id="one", chat_id=chat, assignee_id=1002), task_log)
    assert lines == [f"Assigned chat {chat} to agent 1002 with 1 request"]
    _, lines = log_of(UpdateChatsOperator(task_id="empty", plan=[]), task_log)
    assert lines == ["Nothing to do; 0 requests"]


def test_a_file_of_one_record(
    sandbox: Callable[..., Sandbox], connection: Connect, client_log: list[str], tmp_path: Path, caplog: Any
) -> None:
    caplog.set_level("INFO", logger="airflow_provider_helpcrunch")
    connection(sandbox(agents=1))
    ListAgentsOperator(task_id="task", output_path=str(tmp_path / "agents.csv")).execute({})  # type: ignore[arg-type]
    assert [line for line in client_log if line.startswith("Wrote 1 record (")]


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 retries"), (1, "1 retry"), (2, "2 retries"), (1234567, "1,234,567 retries")]
)
def test_a_number_and_its_noun(number: int, words: str) -> None:
    assert counted(number, "retry", "retries") == words
    assert counted(number, "retry").startswith(words.split()[0])
