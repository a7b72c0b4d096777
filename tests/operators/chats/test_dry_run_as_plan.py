"""A dry run's result and its report are plans: what was shown is what is done, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.operators.chats import UpdateChatsOperator
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CHANGES
from airflow_provider_helpcrunch.storage import Target, read_records

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]

LEAVER, COLLEAGUE = 1001, 1005
BILLING = Sandbox().departments[1]["id"]
FORMATS = ("jsonl", "json", "csv", "parquet", "jsonl.gz", "csv.zst")


def apply(plan: Any) -> dict[str, Any]:
    return UpdateChatsOperator(task_id="apply", plan=plan).execute({})


def written(server: Sandbox) -> dict[int, int]:
    return {write.body["id"]: write.body["assignee"] for write in server.writes()}


@pytest.fixture
def server(account: StartAccount) -> Sandbox:
    server = account("opened", "new", "pending", "opened")
    server.update_chat(server.chats[2]["id"], department=BILLING)
    return server


@pytest.mark.parametrize("source", [LEAVER, None])
@pytest.mark.parametrize(
    "form",
    [
        lambda result: result,
        lambda result: result["chats"],
        json.dumps,
        lambda result: {**result, "chats": None},
        lambda result: result["report"],
        lambda result: result["report"]["path"],
    ],
    ids=["the result", "its chats", "as JSON", "too large for XCom", "the receipt", "the path"],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_form(
    suffix: str, form: Any, source: Any, server: Sandbox, reassign: Reassign, tmp_path: Path
) -> None:
    for chat in server.chats:
        server.update_chat(chat["id"], assignee=source)
    dry = reassign(dry_run=True, from_agents=source, report_path=str(tmp_path / f"plan.{suffix}"))
    wanted = {row["id"]: row["after"] for row in dry["chats"]}
    taken, closed, moved, left = wanted
    server.update_chat(taken, assignee=COLLEAGUE)
    server.update_chat(closed, status="closed")
    server.update_chat(moved, department=None)
    result = apply(form(dry))
    assert (result["changed"], result["skipped"]) == (1, 3)
    assert written(server) == {left: wanted[left]}


def test_on_a_quiet_account_all_of_it_is_done(server: Sandbox, reassign: Reassign) -> None:
    dry = reassign(dry_run=True)
    assert apply(dry)["changed"] == 4
    assert written(server) == {row["id"]: row["after"] for row in dry["chats"]}


def test_an_account_that_sends_no_departments(server: Sandbox, reassign: Reassign) -> None:
    """What the dry run could not read is no condition."""
    dry = reassign(dry_run=True)
    rows = [{**row, "department": "?"} for row in dry["chats"]]
    server.update_chat(rows[0]["id"], department=BILLING)
    assert apply(rows)["changed"] == 4


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("status", {"status": "pending"}),
        ("before", {"assignee": COLLEAGUE}),
        ("department", {"department": BILLING}),
    ],
)
def test_a_condition_that_is_left_out_of_a_row_is_none(
    column: str, change: dict[str, Any], server: Sandbox, reassign: Reassign
) -> None:
    rows = [{name: row[name] for name in row if name != column} for row in reassign(dry_run=True)["chats"]]
    server.update_chat(rows[0]["id"], **change)
    assert apply(rows)["changed"] == 4


def test_a_result_without_its_list(server: Sandbox, reassign: Reassign) -> None:
    dry = reassign(dry_run=True, max_xcom_bytes=10)
    sent = len(server.journal)
    with pytest.raises(HelpCrunchConfigurationError, match=r"Set report_path on the task that made it"):
        apply(dry)
    assert len(server.journal) == sent


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_status_that_somebody_has_deleted_is_refused_before_anything_is_sent(
    suffix: str, server: Sandbox, reassign: Reassign, tmp_path: Path
) -> None:
    dry = reassign(dry_run=True, report_path=str(tmp_path / "plan.jsonl"))
    edited = str(tmp_path / f"edited.{suffix}")
    rows = [
        row | ({"status": None} if number == 1 else {})
        for number, row in enumerate(read_records(dry["report"]))
    ]
    receipt = Target.resolve(edited, CHANGES).write(iter(rows))
    sent = len(server.journal)
    with pytest.raises(HelpCrunchConfigurationError) as error:
        apply({**receipt})
    assert str(error.value) == (
        "Entry 2 of the plan: its status is empty; write the one that the chat must still have, or ? for any. "
        "Nothing was changed."
    )
    assert len(server.journal) == sent


def test_the_result_of_a_real_run_is_no_plan(server: Sandbox, reassign: Reassign) -> None:
    result = reassign()
    sent = len(server.journal)
    with pytest.raises(
        HelpCrunchConfigurationError, match="Entry 1 of the plan: it is the result of a change"
    ):
        apply(result)
    assert len(server.journal) == sent


def test_a_plan_of_ones_own_in_a_table(server: Sandbox, tmp_path: Path) -> None:
    first, second, *_ = (chat["id"] for chat in server.chats)
    path = tmp_path / "plan.csv"
    before = json.dumps({"status": "opened"}).replace('"', '""')
    path.write_text(f'id,assignee,before\n{first},1002,"{before}"\n{second},1002,"{before}"\n,,\n')
    result = apply(str(path))
    assert (result["changed"], result["skipped"]) == (1, 1)
    path.write_text(f"id,assignee,before\n{first},1002,opened\n")
    sent = len(server.journal)
    with pytest.raises(
        HelpCrunchConfigurationError, match="before was rendered to 'opened', which is not JSON"
    ):
        apply(str(path))
    assert len(server.journal) == sent


def test_the_log_says_why_and_who_has_it_now(
    server: Sandbox, reassign: Reassign, task_log: Callable[[Any], list[str]]
) -> None:
    dry = reassign(dry_run=True)
    server.update_chat(dry["chats"][0]["id"], assignee=COLLEAGUE)
    operator = UpdateChatsOperator(task_id="apply", plan=dry)
    lines = task_log(operator)
    operator.execute({})
    names = {agent["id"]: f"{agent['name']} ({agent['id']})" for agent in server.agents}
    log = " ".join(" ".join(lines).split())  # a long reason is continued on the next line
    assert "3 changed, 1 skipped (no longer as planned)" in log
    assert f"skipped: it is assigned to {names[COLLEAGUE]} now, not to {names[LEAVER]}" in log
