"""Example DAGs that read the whole account, run side by side from the trigger form within its rate limit."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import pytest
from dag_pages import DagPages, StartedRun
from playwright.sync_api import Page, expect
from stack import AIRFLOWS, Stack

pytestmark = [
    pytest.mark.ui,
    pytest.mark.slow,
    pytest.mark.parametrize("airflow", [AIRFLOWS["3.3.2"]], ids=["3.3.2"], indirect=True),
]

RESOURCES = ("agents", "departments", "chats", "customers", "messages")
DAYS, TAG = 250, "vip"
"""What is entered for dormant customers. Customers of the account have the tag, and not for being dormant."""

READ_SNAPSHOTS = """
import json, sys
from pathlib import Path
from airflow_provider_helpcrunch.storage import read_records

ids = {}
for manifest in Path(sys.argv[1]).glob("*/manifest.json"):
    files = [manifest.parent / each["path"] for each in json.loads(manifest.read_text())["snapshot"]]
    ids[manifest.parent.name] = sorted(row["id"] for file in files for row in read_records(str(file)))
print(json.dumps(ids))
"""
"""A program that prints the ids in each export: the browser's environment cannot read Parquet."""


@dataclass(frozen=True)
class Started:
    """The two runs, and how it was when they began."""

    nightly: StartedRun
    dormant: StartedRun
    customers: list[dict[str, Any]]
    requests: int


@pytest.fixture(scope="module")
def started(page: Page, airflow: Stack) -> Started:
    customers, requests = airflow.truth("customers"), len(airflow.journal())
    # First, because the other run takes the rest of the account's limit, and waits for more while this one is read.
    dormant = DagPages(page, "example_helpcrunch_dormant_customers")
    dormant.open_trigger_form()
    dormant.param("Days").fill(str(DAYS))
    dormant.param("Tag").fill(TAG)
    dormant.param("Base path").fill(str(airflow.home / "elsewhere"))
    dormant.switch("Dry run", on=False)
    tags = StartedRun(dormant, dormant.start())

    nightly = DagPages(page, "example_helpcrunch_nightly_warehouse")
    nightly.open_trigger_form()
    # This switches the DAG on, so Airflow makes up for last night first. That run has the base path of the form.
    expect(nightly.param("Base path")).to_have_value(str(airflow.home / "helpcrunch"))
    exports = StartedRun(nightly, nightly.start())
    return Started(exports, tags, customers, requests)


@pytest.fixture(scope="module")
def dormant_run(started: Started) -> StartedRun:
    started.dormant.wait("customers", "segment", "tag", "untag")
    return started.dormant


@pytest.fixture(scope="module")
def dormant(started: Started) -> set[int]:
    """Return who has not been seen for the days of the form."""
    long_ago = time.time() - DAYS * 86_400
    return {each["id"] for each in started.customers if float(each["lastSeen"]) < long_ago}


@pytest.fixture(scope="module")
def tagged(started: Started) -> set[int]:
    """Return who had the tag before the run."""
    return with_tag(started.customers)


class TestDormantCustomers:
    def test_the_tag_is_where_the_form_said(
        self, dormant_run: StartedRun, started: Started, dormant: set[int], tagged: set[int], airflow: Stack
    ) -> None:
        assert dormant_run.dag.dag_id.endswith("dormant_customers")
        assert dormant - tagged
        assert tagged - dormant
        assert with_tag(airflow.truth("customers")) == dormant
        applied = [request["path"] for request in airflow.journal()[started.requests :] if request["applied"]]
        wrote = [int(path.split("/")[3]) for path in applied if path.startswith("/v1/customers/")]
        assert sorted(wrote) == sorted(dormant ^ tagged)

    def test_the_logs_say_what_was_done(
        self, dormant_run: StartedRun, started: Started, dormant: set[int], tagged: set[int], airflow: Stack
    ) -> None:
        everybody, folder = len(started.customers), airflow.home / "elsewhere" / "dormant-customers"
        dormant_run.log_says("customers", f"Wrote {everybody} records", str(folder / "customers.jsonl.gz"))
        dormant_run.log_says(
            "segment", f"{len(dormant)} customers are dormant, and {everybody - len(dormant)} are not"
        )
        dormant_run.log_says("tag", f"Customers: {len(dormant - tagged)} updated")
        dormant_run.log_says("untag", f"Customers: {len(tagged - dormant)} updated")

    def test_xcom_has_the_counts(self, dormant_run: StartedRun, dormant: set[int], tagged: set[int]) -> None:
        assert dormant_run.result("tag")["updated"] == len(dormant - tagged)
        assert dormant_run.result("untag")["updated"] == len(tagged - dormant)


@pytest.fixture(scope="module")
def nightly_run(started: Started) -> StartedRun:
    started.nightly.wait(*RESOURCES, "report")
    return started.nightly


class TestNightlyWarehouse:
    def test_the_files_are_the_account(self, nightly_run: StartedRun, airflow: Stack) -> None:
        assert nightly_run.dag.dag_id.endswith("nightly_warehouse")
        printed = airflow.run_python("-c", READ_SNAPSHOTS, str(airflow.home / "helpcrunch" / "warehouse"))
        assert json.loads(printed.splitlines()[-1]) == {name: exported(airflow, name) for name in RESOURCES}

    def test_the_logs_say_what_was_exported(self, nightly_run: StartedRun, airflow: Stack) -> None:
        for name in RESOURCES:
            nightly_run.log_says(name, f"{len(exported(airflow, name))} records of {name}: ")

    def test_the_report_is_in_the_log_and_in_xcom(self, nightly_run: StartedRun, airflow: Stack) -> None:
        chats = airflow.truth("chats")
        closed = sum(chat["status"] == "closed" for chat in chats)
        nightly_run.log_says(
            "report",
            re.compile(rf"Time to close +median .*; {closed} of {len(chats)} chats"),
            "created   open  closed  replies  response  to close  agent",
        )
        assert nightly_run.result("report")["closed"] == closed


def with_tag(customers: list[dict[str, Any]]) -> set[int]:
    return {each["id"] for each in customers if TAG in {tag["name"] for tag in each["tags"]}}


def exported(airflow: Stack, resource: str) -> list[int]:
    """Return the ids that an export has: without notes of agents, and rows that HelpCrunch itself wrote."""
    return sorted(
        record["id"]
        for record in airflow.truth(resource)
        if resource != "messages" or record["type"] not in ("private", "tech")
    )
