"""The example DAG about dormant customers, run by Airflow against a local HelpCrunch; judged by its customers."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

DORMANT = "example_helpcrunch_dormant_customers"
PROGRAM = Path(__file__).with_name("run_example_dags.py")
DAYS = 120


@pytest.fixture(scope="module")
def account():
    with Sandbox(agents=3, chats=150, rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def runs(account, run_python, tmp_path_factory):
    result, output = tmp_path_factory.mktemp("result") / "runs.json", tmp_path_factory.mktemp("output")
    given = {"base_path": str(output), "days": DAYS}
    confs = {"dry": given, "real": {**given, "dry_run": False}, "again": {**given, "dry_run": False}}
    run_python(
        PROGRAM,
        result,
        *(f"{name}:{DORMANT}={json.dumps(conf)}" for name, conf in confs.items()),
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=account.connection(requests_per_minute=100_000),
    )
    return json.loads(result.read_text())


def writes(account, runs, name):
    during = (entry for entry in account.journal if runs[name]["from"] <= entry.at <= runs[name]["to"])
    return [entry for entry in during if entry.applied]


def test_a_dry_run_writes_nothing(account, runs):
    assert runs["dry"]["state"] == "success", runs["dry"]
    assert writes(account, runs, "dry") == []


def test_those_who_were_not_seen_for_long_have_the_tag(account, runs):
    assert runs["real"]["state"] == "success", runs["real"]
    long_ago = time.time() - DAYS * 86_400
    dormant = {each["id"] for each in account.customers if int(each["lastSeen"]) < long_ago}
    tagged = {each["id"] for each in account.customers if "dormant" in {tag["name"] for tag in each["tags"]}}
    assert 0 < len(dormant) < len(account.customers)
    assert tagged == dormant
    assert {entry.customer for entry in writes(account, runs, "real")} == dormant


def test_another_run_finds_nothing_to_write(account, runs):
    assert runs["again"]["state"] == "success"
    assert writes(account, runs, "again") == []
