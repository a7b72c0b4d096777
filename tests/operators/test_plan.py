"""Forms of a plan: in each, a wrong one is refused as a whole before the first request."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import ObjectStoragePath
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.operators.chats import UpdateChatsOperator
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import Column, Table
from airflow_provider_helpcrunch.storage import Target

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]

CHAT = 4410001
GOOD = {"id": CHAT + 1, "assignee": 1002}
PLANNED = {
    **{
        "id": CHAT + 2,
        "field": "assignee",
        "before": 1001,
        "after": 1002,
        "outcome": "planned",
        "error": None,
    },
    **{"status": "opened", "department": None},
}
PLANS = Table(
    "plan",
    (
        Column("id", "int64"),
        Column("assignee", "int64"),
        Column("department", "int64"),
        Column("status", "string"),
        Column("snoozed_until", "timestamp"),
    ),
)
FORMATS = ("jsonl", "json", "csv", "parquet", "jsonl.gz", "csv.gz", "csv.zst")


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=5, chats=20)
    connection(server, requests_per_minute=1000)
    return server


def apply(plan: Any, **arguments: Any) -> dict[str, Any]:
    return UpdateChatsOperator(task_id="apply", plan=plan, **arguments).execute({})


def written(server: Sandbox) -> list[tuple[str, Any]]:
    """Return what was changed, as the end of the path and the body, in order."""
    return [(request.path.rpartition("/")[2], request.body) for request in server.writes()]


WRONG_PLANS: list[tuple[Any, str]] = [
    (None, "plan must be a list of changes, its JSON text, the result of a dry run, or a file; not NoneType"),
    (7, "not int"),
    (True, "not bool"),
    (b"[]", "not bytes"),
    (GOOD, "not dict"),
    (json.dumps(GOOD), "not dict"),
    ("[{'id': 4410002}]", "plan was rendered to"),
    ("[", "plan was rendered to"),
    ("", "path is empty"),
    ("None", "a template rendered a value that is not set"),
    ("plan.xlsx", "no suffix that names a format"),
    ({"path": "plan.xlsx"}, "no suffix that names a format"),
    ({"path": "plan", "format": "xlsx"}, "is unknown"),
]


@pytest.mark.parametrize(("plan", "said"), WRONG_PLANS, ids=lambda value: repr(value)[:40])
def test_what_is_no_plan(plan: Any, said: str, server: Sandbox) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        apply(plan)
    assert said in str(caught.value)
    assert server.journal == []


WRONG_ENTRIES: list[tuple[Any, str]] = [
    (CHAT, "it must be an object such as"),
    ([CHAT, 1002], "it must be an object such as"),
    (None, "it must be an object such as"),
    ({}, "id must be a HelpCrunch id"),
    ({"assignee": 1002}, "id must be a HelpCrunch id"),
    ({"id": "None", "assignee": 1002}, "not 'None'"),
    ({"id": 0, "assignee": 1002}, "not 0"),
    ({"id": True, "assignee": 1002}, "not True"),
    ({"id": 1.0, "assignee": 1002}, "not 1.0"),
    ({"id": "9" * 5000, "assignee": 1002}, "id must be a HelpCrunch id"),
    ({"id": [CHAT], "assignee": 1002}, "id must be a HelpCrunch id"),
    ({"id": CHAT}, f"it names the chat {CHAT} and nothing to change"),
    ({"id": CHAT, "asignee": 1002}, "it has asignee; a plan knows id, department, assignee, snoozed_until"),
    ({"id": CHAT, "assignee": 1002, "rating": "great"}, "it has rating"),
    ({"id": CHAT, "assignee": "Ada"}, "assignee must be a HelpCrunch id"),
    ({"id": CHAT, "assignee": "None"}, "assignee must be a HelpCrunch id"),
    ({"id": CHAT, "assignee": ""}, "assignee must be a HelpCrunch id"),
    ({"id": CHAT, "assignee": 0}, "assignee must be a HelpCrunch id"),
    ({"id": CHAT, "assignee": False}, "assignee must be a HelpCrunch id"),
    ({"id": CHAT, "assignee": 1002.0}, "assignee must be a HelpCrunch id"),
    ({"id": CHAT, "assignee": {"name": "Ada"}}, "assignee must be a HelpCrunch id"),
    ({"id": CHAT, "department": None}, "department must be a HelpCrunch id"),
    ({"id": CHAT, "department": "Billing"}, "department must be a HelpCrunch id"),
    ({"id": CHAT, "status": "done"}, "not to 'done'"),
    ({"id": CHAT, "status": "empty"}, "not to 'empty'"),
    ({"id": CHAT, "status": None}, "not to None"),
    ({"id": CHAT, "status": ""}, "not to ''"),
    ({"id": CHAT, "status": 3}, "not to 3"),
    ({"id": CHAT, "status": ["closed"]}, "not to ['closed']"),
    ({"id": CHAT, "status": {"name": "closed"}}, "not to {"),
    ({"id": CHAT, "snoozed_until": "soon"}, "snoozed_until must be a time"),
    ({"id": CHAT, "snoozed_until": "None"}, "snoozed_until must be a time"),
    ({"id": CHAT, "snoozed_until": ""}, "snoozed_until must be a time"),
    ({"id": CHAT, "snoozed_until": True}, "snoozed_until must be a time"),
    ({**GOOD, "before": "opened"}, "before must be an object such as"),
    ({**GOOD, "before": [1001]}, "before must be an object such as"),
    ({**GOOD, "before": {"asignee": 1001}}, "before has asignee; it knows assignee, status, department"),
    ({**GOOD, "before": {"snoozed_until": None}}, "before has snoozed_until"),
    ({**GOOD, "before": {"assignee": "Ada"}}, "before.assignee must be a HelpCrunch id"),
    ({**GOOD, "before": {"assignee": ""}}, "before.assignee must be a HelpCrunch id"),
    ({**GOOD, "before": {"department": "nobody"}}, "before.department must be a HelpCrunch id"),
    ({**GOOD, "before": {"status": "done"}}, "'done' is not a status of a chat"),
    ({**GOOD, "before": {"status": None}}, "None is not a status of a chat"),
    ({"id": CHAT, "before": {"assignee": 1001}}, "nothing to change"),
    ({**PLANNED, "outcome": "changed"}, "it is the result of a change (outcome changed)"),
    ({**PLANNED, "outcome": "skipped"}, "it is the result of a change (outcome skipped)"),
    ({**PLANNED, "outcome": None}, "it is the result of a change (outcome None)"),
    ({**PLANNED, "field": "status"}, "only a dry run's planned reassignments can be a plan"),
    ({**PLANNED, "id": None}, "id must be a HelpCrunch id"),
    (
        {**PLANNED, "status": ""},
        "its status is empty; write the one that the chat must still have, or ? for any.",
    ),
    ({**PLANNED, "status": " "}, "its status is empty; write the one that the chat must still have"),
    ({**PLANNED, "status": None}, "its status is empty; write the one that the chat must still have"),
    ({**PLANNED, "after": ""}, "assignee must be a HelpCrunch id"),
    ({**PLANNED, "after": None}, "it names no agent in after; take the whole row out"),
    (
        {name: PLANNED[name] for name in PLANNED if name != "after"},
        "it names no agent in after; take the whole row out",
    ),
]


@pytest.mark.parametrize(("entry", "said"), WRONG_ENTRIES, ids=lambda value: repr(value)[:60])
@pytest.mark.parametrize("form", [lambda plan: plan, iter], ids=["list", "iterator"])
def test_a_wrong_entry_is_named_and_nothing_is_sent(
    form: Any, entry: Any, said: str, server: Sandbox
) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        apply(form([GOOD, entry]))
    assert said in str(caught.value)
    assert str(caught.value).startswith("Entry 2 of the plan: ")
    assert "\n" not in str(caught.value)
    assert server.journal == []


@pytest.mark.parametrize("again", [{"id": CHAT + 1, "status": "closed"}, {**GOOD, "id": str(CHAT + 1)}, GOOD])
def test_a_chat_that_is_planned_twice(again: dict[str, Any], server: Sandbox) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match=f"Entry 3 .* {CHAT + 1} already has an entry"):
        apply([GOOD, {"id": CHAT, "assignee": None}, again])
    assert server.journal == []


@pytest.mark.parametrize("wrong", ["None", None, "", "yes", 1, []])
def test_a_wrong_check(wrong: Any, server: Sandbox) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="check must be true or false"):
        apply([GOOD], check=wrong)
    assert server.journal == []


def test_a_file_that_is_not_there(server: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(HelpCrunchStorageError, match="There is no object"):
        apply(str(tmp_path / "plan.jsonl"))
    assert server.journal == []


def test_a_wrong_entry_in_a_file(server: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text(f"id,assignee,name\n{CHAT},1002,Ada\n")
    with pytest.raises(HelpCrunchConfigurationError, match="Entry 1 of the plan: it has name"):
        apply(str(path))
    assert server.journal == []


@pytest.mark.parametrize("empty", [[], "[]", ()])
def test_an_empty_plan_is_done_at_once(empty: Any, server: Sandbox) -> None:
    result = apply(empty)
    assert (result["changed"], result["requests"], result["chats"]) == (0, 0, [])
    assert server.journal == []


class TestValues:
    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            *((1002, 1002), ("1002", 1002), (None, None), ("nobody", None)),
        ],
    )
    def test_assignees(self, given: Any, sent: Any, server: Sandbox) -> None:
        apply([{"id": str(CHAT), "assignee": given}])
        assert written(server) == [("assignee", {"id": CHAT, "assignee": sent})]

    @pytest.mark.parametrize(
        ("given", "sent", "then"),
        [
            *(("new", "new", "new"), ("open", "opened", "opened"), ("Closed", "closed", "closed")),
            *((spelt, "on hold", "onhold") for spelt in ("onhold", "on hold", "on-hold", "ON_HOLD")),
            ("no-communication", "no communication", "no communication"),
        ],
    )
    @pytest.mark.parametrize("shown", ["onhold", "on hold", "on-hold"])
    def test_statuses(
        self,
        given: str,
        sent: str,
        then: str,
        shown: Any,
        sandbox: StartSandbox,
        connection: SetConnection,
    ) -> None:
        server = sandbox(agents=5, chats=5, on_hold=shown)
        connection(server)
        assert apply([{"id": CHAT, "status": given}])["changed"] == 1
        assert written(server) == [("status", {"id": CHAT, "status": sent})]
        assert server.chat(CHAT)["status"] == (shown if then == "onhold" else then)

    @pytest.mark.parametrize(
        "given",
        [
            *(datetime(2026, 1, 31, 8, tzinfo=UTC), datetime(2026, 1, 31, 8), 1769846400, 1769846400.9),
            *("1769846400", "1769846400.000", "2026-01-31T08:00:00+00:00", "2026-01-31T10:00:00+02:00"),
            *("2026-01-31 08:00:00", "2026-01-31T08:00:00Z"),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("timestamps", ["string", "integer", "fractional"])
    def test_times(
        self, given: Any, timestamps: Any, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=5, chats=5, timestamps=timestamps)
        connection(server)
        assert apply([{"id": CHAT, "snoozed_until": given}])["changed"] == 1
        assert written(server) == [("snooze", {"id": CHAT, "snoozedUntil": "1769846400"})]

    def test_a_day_and_no_more_snoozing(self, server: Sandbox) -> None:
        apply([{"id": CHAT, "snoozed_until": date(2026, 1, 31)}, {"id": CHAT + 1, "snoozed_until": None}])
        assert [body["snoozedUntil"] for _, body in written(server)] == ["1769817600", None]

    def test_what_is_not_named_is_not_touched(self, server: Sandbox) -> None:
        before = server.chat(CHAT)
        apply([{"id": CHAT, "status": "pending"}])
        assert {**server.chat(CHAT), "status": before["status"], "closedAt": before["closedAt"]} == {
            **before,
            "closedBy": server.chat(CHAT)["closedBy"],
        }

    def test_the_department_comes_before_the_assignee_and_both_before_the_status(
        self, server: Sandbox
    ) -> None:
        department = server.departments[0]["id"]
        entry = {"snoozed_until": None, "status": "closed", "assignee": 1003, "department": department}
        apply([{**entry, "id": CHAT}])
        done = [what for what, _ in written(server)]
        assert [what for what in done if what != "snooze"] == ["department", "assignee", "status"]
        assert len(done) == 4


class Lazy(Sequence[Any]):
    """Stands for the lazy sequence in which Airflow hands on the results of a mapped task."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, place: Any) -> Any:
        return self._values[place]


ENTRIES: list[dict[str, Any]] = [
    {"id": CHAT, "assignee": 1003},
    {"id": CHAT + 1, "status": "pending"},
    {"id": CHAT + 2, "assignee": 1004, "snoozed_until": 1769846400},
]
CHANGES = [
    ("assignee", {"id": CHAT, "assignee": 1003}),
    ("status", {"id": CHAT + 1, "status": "pending"}),
    ("assignee", {"id": CHAT + 2, "assignee": 1004}),
    ("snooze", {"id": CHAT + 2, "snoozedUntil": "1769846400"}),
]


class TestForms:
    @pytest.mark.parametrize(
        "form",
        [list, tuple, iter, Lazy, json.dumps, lambda plan: f"\n {json.dumps(plan, indent=1)}\n"],
        ids=["list", "tuple", "iterator", "lazy", "JSON", "JSON with white space"],
    )
    def test_in_memory(self, form: Any, server: Sandbox) -> None:
        assert apply(form(ENTRIES))["changed"] == 4
        assert written(server) == CHANGES

    @pytest.mark.parametrize("suffix", FORMATS)
    @pytest.mark.parametrize("how", ["path", "receipt", "text of the receipt", "ObjectStoragePath"])
    def test_from_a_file(self, how: str, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        path = str(tmp_path / f"plan.{suffix}")
        receipt: Any = {**Target.resolve(path, PLANS).write(iter(ENTRIES))}
        given = {
            "path": path,
            "receipt": receipt,
            "text of the receipt": json.dumps(receipt),
            "ObjectStoragePath": ObjectStoragePath(f"file://{path}"),
        }[how]
        assert apply(given)["changed"] == 4
        assert written(server) == CHANGES

    def test_a_csv_file_of_a_spreadsheet(self, server: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "plan.csv"
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "assignee", "status", "snoozed_until"])
            rows.writerow([CHAT, "1003", "", ""])
            rows.writerow([CHAT + 1, "nobody", "on-hold", "2026-01-31T08:00:00Z"])
        assert apply(str(path))["changed"] == 4
        assert written(server) == [
            ("assignee", {"id": CHAT, "assignee": 1003}),
            ("assignee", {"id": CHAT + 1, "assignee": None}),
            ("snooze", {"id": CHAT + 1, "snoozedUntil": "1769846400"}),
            ("status", {"id": CHAT + 1, "status": "on hold"}),
        ]

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_a_csv_file_of_a_spreadsheet_with_its_quirks(
        self, separator: str, server: Sandbox, tmp_path: Path
    ) -> None:
        """No last line end, rows of nothing but separators, a column without a name, spaces around names."""
        path = tmp_path / "plan.csv"
        lines = [[" id", "assignee ", "status", ""], [str(CHAT), "1003", "closed", ""], [""] * 4, [""] * 4]
        path.write_text("\r\n".join(separator.join(line) for line in lines))
        assert apply(str(path))["changed"] == 2
        assert written(server) == [
            ("assignee", {"id": CHAT, "assignee": 1003}),
            ("status", {"id": CHAT, "status": "closed"}),
        ]

    @pytest.mark.parametrize(
        ("lines", "why"),
        [
            (["id,assignee,id", f"{CHAT},1003,{CHAT + 1}"], "names the column 'id' in two places, 1 and 3"),
            (["id,assignee", f"{CHAT},1003", ",", f"{CHAT + 1},1003"], "Entry 2 of the plan: id must be"),
            (["id,assignee", f"{CHAT},1003.0"], "Entry 1 of the plan: assignee must be a HelpCrunch id"),
            (["id,assignee", "4 410 021,1003"], "Entry 1 of the plan: id must be a HelpCrunch id"),
            (["ID,assignee", f"{CHAT},1003"], "Entry 1 of the plan: it has ID; a plan knows id,"),
            (
                [",id,assignee", f"0,{CHAT},1003"],
                "Entry 1 of the plan: it has a column without a name; a plan",
            ),
            (["id,assignee", f'{CHAT},"1003'], "ends in the middle of record 2, inside of quotes"),
        ],
    )
    def test_a_csv_file_that_is_wrong(
        self, lines: list[str], why: str, server: Sandbox, tmp_path: Path
    ) -> None:
        path = tmp_path / "plan.csv"
        path.write_text("\n".join(lines))
        with pytest.raises((HelpCrunchConfigurationError, HelpCrunchStorageError)) as error:
            apply(str(path))
        assert why in str(error.value)
        assert server.journal == []

    @pytest.mark.parametrize("suffix", ["jsonl", "json", "jsonl.gz"])
    def test_null_in_json_means_nobody(self, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        path = str(tmp_path / f"plan.{suffix}")
        Target.resolve(path, PLANS).write(iter([{"id": CHAT, "assignee": None, "snoozed_until": None}]))
        apply(path)
        assert written(server) == [
            ("assignee", {"id": CHAT, "assignee": None}),
            ("snooze", {"id": CHAT, "snoozedUntil": None}),
        ]

    @pytest.mark.parametrize(
        ("name", "file_format"),
        [
            *(("plan.csv", None), ("plan.csv.gz", None), ("plan.csv.zst", None), ("plan.parquet", None)),
            *(("plan.CSV", None), ("plan.Parquet", None), ("plan.csv.GZ", None)),
            *(("plan", "csv"), ("plan", "csv.gz"), ("plan", "parquet")),
        ],
    )
    def test_an_empty_cell_of_a_table_means_no_change(
        self, name: str, file_format: str | None, server: Sandbox, tmp_path: Path
    ) -> None:
        """However the file is called: else a chat of somebody would become nobody's."""
        path = str(tmp_path / name)
        receipt: Any = {**Target.resolve(path, PLANS, file_format).write(iter(ENTRIES))}
        assert apply(receipt)["changed"] == 4
        assert written(server) == CHANGES
