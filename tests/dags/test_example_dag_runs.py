"""The example DAGs about agents, run by Airflow on a local HelpCrunch; judged by what it saw and what was written."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

TO_FILE = "example_helpcrunch_agents_to_object_storage"
TO_XCOM = "example_helpcrunch_agents_to_xcom"
PROGRAM = Path(__file__).with_name("run_example_dags.py")


@pytest.fixture(scope="module")
def account():
    with Sandbox(agents=250) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def runs(account, output, run_python, tmp_path_factory):
    result = tmp_path_factory.mktemp("result") / "runs.json"
    run_python(
        PROGRAM,
        result,
        f"{TO_XCOM}:{TO_XCOM}={{}}",
        f"{TO_FILE}:{TO_FILE}={json.dumps({'base_path': str(output)})}",
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=account.connection(),
    )
    return json.loads(result.read_text())


def test_every_task_succeeds(runs):
    assert {run["state"] for run in runs.values()} == {"success"}
    assert {state for run in runs.values() for _, state, _ in run["tasks"]} == {"success"}


def test_each_admin_and_superviser_has_a_task_that_bears_their_name(runs, account):
    wanted = [agent["name"] for agent in account.agents if agent["role"] in ("admin", "superviser")]
    mapped = [name for task, _, name in runs[TO_XCOM]["tasks"] if task == "review_access"]
    assert sorted(mapped) == sorted(wanted)
    assert Counter(task for task, *_ in runs[TO_XCOM]["tasks"])["report"] == 1


def test_the_file_holds_the_account_and_nothing_lies_beside_it(runs, account, output):
    (path,) = (path for path in output.rglob("*") if path.is_file())
    assert path.match("agents/date=????-??-??/agents.jsonl")
    assert [json.loads(line) for line in path.read_text().splitlines()] == account.agents
    assert [task for task, *_ in runs[TO_FILE]["tasks"]] == ["count_by_role", "list_agents"]


@pytest.mark.usefixtures("runs")
def test_helpcrunch_saw_three_pages_a_dag_and_refused_none(account):
    assert [request.path for request in account.journal] == ["/v1/agents"] * 6
    assert account.count(200) == 6
