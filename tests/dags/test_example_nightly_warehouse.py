"""The example DAG of the nightly warehouse, run by Airflow twice on a local HelpCrunch with a night in between."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.storage import read_records

pytestmark = pytest.mark.long

NIGHTLY = "example_helpcrunch_nightly_warehouse"
PROGRAM = Path(__file__).with_name("run_example_dags.py")
RESOURCES = ("agents", "departments", "chats", "customers", "messages")
NIGHT = {"chats": 5, "customers": 3, "messages": 20, "silent": 6, "closed": 4, "deletions": 2}
HOURS_8 = 28_800


@pytest.fixture(scope="module")
def account():
    with Sandbox(agents=6, chats=60, rate_limit=None, now=time.time() - HOURS_8) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return tmp_path_factory.mktemp("output") / "warehouse"


@pytest.fixture(scope="module")
def nights(account, warehouse, run_python, tmp_path_factory):
    """Run the DAG, let a night pass, and run it again; return for each run what it did and what was true then."""
    result = tmp_path_factory.mktemp("result") / "runs.json"
    found = []
    for night in ({}, NIGHT):
        account.night(seconds=HOURS_8 if night else 0, **night)
        conf = json.dumps({"base_path": str(warehouse.parent)})
        connection = account.connection(requests_per_minute=100_000)
        begun = len(account.journal)
        printed = run_python(
            PROGRAM, result, f"night:{NIGHTLY}={conf}", AIRFLOW_CONN_HELPCRUNCH_DEFAULT=connection
        )
        manifests = {name: json.loads((warehouse / name / "manifest.json").read_text()) for name in RESOURCES}
        found.append(
            {
                **json.loads(result.read_text())["night"],
                "printed": printed,
                "manifests": manifests,
                "truth": {name: account.truth(name) for name in RESOURCES},
                "requests": len(account.journal) - begun,
            }
        )
    return found


@pytest.fixture(scope="module")
def example(dags_folder):
    """Import the DAG file as Python does, to call its functions."""
    spec = importlib.util.spec_from_file_location(NIGHTLY, dags_folder / f"{NIGHTLY}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(warehouse, night, name, kind="snapshot"):
    return [
        row
        for each in night["manifests"][name][kind]
        for row in read_records(str(warehouse / name / each["path"]))
    ]


def exported(night, name):
    """Return the ids of what an export has: no notes of agents and no rows that HelpCrunch itself wrote."""
    kinds = ("private", "tech")
    return {row["id"] for row in night["truth"][name] if name != "messages" or row["type"] not in kinds}


def test_every_task_succeeds(nights):
    for night in nights:
        assert night["state"] == "success"
        assert sorted(night["tasks"]) == [[name, "success", None] for name in sorted((*RESOURCES, "report"))]


@pytest.mark.parametrize("name", RESOURCES)
def test_the_last_export_is_the_account_and_the_changes_lead_to_it(nights, warehouse, name):
    for night in nights:
        assert {row["id"] for row in rows(warehouse, night, name)} == exported(night, name)
    changes = {row["id"]: row["change"] for row in rows(warehouse, nights[1], name, "changes")}
    first, second = (exported(night, name) for night in nights)
    assert {number for number, change in changes.items() if change == "inserted"} == second - first
    assert {number for number, change in changes.items() if change == "deleted"} == first - second


def test_the_second_night_reads_messages_only_of_chats_that_moved(nights):
    assert nights[1]["requests"] < nights[0]["requests"] / 2


def test_no_texts_and_neither_names_nor_addresses_of_customers(nights, warehouse):
    assert "text" not in rows(warehouse, nights[0], "messages")[0]
    chat = rows(warehouse, nights[0], "chats")[0]
    assert "lastMessageText" not in chat
    assert chat["customer"].keys() == {"id"}
    kept = {"id", "firstSeen", "lastSeen", "company", "locale", "location", "tags"}
    assert rows(warehouse, nights[0], "customers")[0].keys() == kept


def test_the_log_of_the_report_has_the_figures_and_a_table(nights):
    for night in nights:
        chats = night["truth"]["chats"]
        closed = sum(chat["status"] == "closed" for chat in chats)
        assert f"; {closed} of {len(chats)} chats" in night["printed"]
        table = night["printed"].partition("::group::Chats per agent")[2].partition("::endgroup::")[0]
        assert "created   open  closed  replies  response  to close  agent\n" in table
        for agent in night["truth"]["agents"]:
            owns = any((chat["assignee"] or {}).get("id") == agent["id"] for chat in chats)
            assert f"  {agent['name']} ({agent['id']})" in table or not owns


def test_reading_the_file_does_not_import_duckdb(run_python, dags_folder):
    code = f"import sys, runpy; runpy.run_path({str(dags_folder / f'{NIGHTLY}.py')!r}); print('duckdb' in sys.modules)"
    assert "False" in run_python("-c", code).splitlines()


def test_without_duckdb_the_report_says_what_to_install(example, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(HelpCrunchConfigurationError, match=r"^A report needs: pip install '.*\[duckdb\]'$"):
        example.report.function(str(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (1.25, "1.2 s"),
        (59.4, "59 s"),
        (60, "1.0 min"),
        (600, "10 min"),
        (5400, "1.5 h"),
        (86_400, "1.0 days"),
        (1e8, "1,157 days"),
    ],
)
def test_durations_are_short(example, seconds, text):
    assert example.duration(seconds) == text


def test_a_spread_is_the_median_and_what_nine_of_ten_stay_within(example):
    assert example.spread([]) == "none yet"
    assert (
        example.spread([60.0 * number for number in range(1, 11)])
        == "median 5.5 min, nine of ten within 9.0 min"
    )


def test_the_table_has_the_busy_agents_and_nobody(example):
    row = {"open_now": 1, "closed": 0, "median_first_response_seconds": 90.0, "median_seconds_to_close": None}
    table = example.table_of_agents(
        [
            {**row, "agent": 1001, "agent_name": "Ada Rossi", "created": 1, "replies": 12},
            {**row, "agent": 1002, "agent_name": "Idle Adler", "created": 0, "replies": 0},
            {**row, "agent": None, "agent_name": None, "created": 1234, "replies": 0},
        ]
    )
    assert table.splitlines() == [
        "created   open  closed  replies  response  to close  agent",
        "  1,234      1       0        0   1.5 min         -  nobody",
        "      1      1       0       12   1.5 min         -  Ada Rossi (1001)",
    ]
