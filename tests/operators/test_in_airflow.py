"""The operators inside Airflow itself: parsed, serialized, and run as tasks of a DAG on a database of their own."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import DAG, Asset

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

AIRFLOW_3 = int(airflow.__version__.split(".")[0]) >= 3
KEY = "hc-5fQ8wZ1nB7xK3mT9vR2cL6yD4pS0gH"


def run(code: str, home: Path, **env: str) -> str:
    """Run ``code`` in a process of its own, on an Airflow that has nothing yet; return what it prints."""
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    file = home / "code.py"
    file.write_text(code)
    done = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, **settings, **env},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout + done.stderr


def dag_with_all_arguments() -> DAG:
    with DAG("dag", schedule=None) as dag:
        ListAgentsOperator(
            task_id="agents",
            helpcrunch_conn_id="{{ params.account }}",
            output_path="/data/{{ ds }}.jsonl.gz",
            file_format="jsonl.gz",
            page_size="50",
            max_xcom_bytes=1000,
            roles=["admin", "agent"],
            outlets=[Asset("helpcrunch://agents")],
        )
        ListAgentsOperator.partial(task_id="mapped", page_size=10).expand(roles=[["admin"], ["agent"]])
    return dag


def round_trip(dag: DAG) -> Any:
    from airflow.serialization import serialized_objects

    serializer: Any = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    return serializer.from_dict(json.loads(json.dumps(serializer.to_dict(dag))))


def test_survives_serialization() -> None:
    dag = round_trip(dag_with_all_arguments())
    task = dag.get_task("agents")
    assert task.task_type == "ListAgentsOperator"
    assert set(ListAgentsOperator.template_fields) <= set(task.template_fields)
    assert task.output_path == "/data/{{ ds }}.jsonl.gz"
    assert list(task.roles) == ["admin", "agent"]
    assert type(dag.get_task("mapped")).__name__.endswith("MappedOperator")


def test_survives_a_deep_copy() -> None:
    dag = copy.deepcopy(dag_with_all_arguments())
    task, original = dag.get_task("agents"), dag_with_all_arguments().get_task("agents")
    assert {n: getattr(task, n) for n in task.template_fields} == {
        n: getattr(original, n) for n in task.template_fields
    }
    assert "hook" not in vars(task)


RUN = """
import functools, json, os, sys
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Asset, BaseOperator, task

before = set(sys.modules)
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator

ListAgentsOperator(task_id="never_run", roles=["admin"], output_path="s3://bucket/agents.parquet")
imported = sorted(set(sys.modules) - before)

from airflow_provider_helpcrunch.client import RetryPolicy
from airflow_provider_helpcrunch.hooks import helpcrunch

helpcrunch.RetryPolicy = functools.partial(RetryPolicy, max_attempts=1)
HERE = os.environ["AIRFLOW_HOME"]
ASSET = Asset(uri="helpcrunch://agents", name="agents") if os.environ["LINE"] == "3" else Asset("helpcrunch://agents")


@task
def wanted_roles():
    return ["admin", "superviser"]


@task
def keep(rendered, from_xcom, departments, mapped):
    values = {"rendered": rendered, "from_xcom": from_xcom, "departments": departments, "mapped": list(mapped)}
    with open(f"{HERE}/values.json", "w") as file:
        json.dump(values, file)


retry = {"retries": 2, "retry_delay": timedelta(0)}
with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), params={"account": "helpcrunch_default"}) as dag:
    rendered = ListAgentsOperator(
        task_id="rendered",
        helpcrunch_conn_id="{{ params.account }}",
        output_path=HERE + "/{{ dag.dag_id }}/{{ task.task_id }}.jsonl",
        page_size="{{ 5 * 10 }}",
        roles="{{ ['admin', 'agent'] | tojson }}",
        outlets=[ASSET],
    )
    from_xcom = ListAgentsOperator(task_id="from_xcom", roles=wanted_roles())
    departments = ListDepartmentsOperator(task_id="departments")
    mapped = ListAgentsOperator.partial(task_id="mapped").expand(roles=[["admin"], ["agentChatOnly"]])
    keep(rendered.output, from_xcom.output, departments.output, mapped.output)
    ListAgentsOperator(task_id="wrong_key", helpcrunch_conn_id="wrong_key", **retry)
    ListAgentsOperator(task_id="wrong_argument", page_size="{{ 101 }}", **retry)
    ListAgentsOperator(task_id="too_large", max_xcom_bytes=10, **retry)
    ListAgentsOperator(task_id="broken_server", helpcrunch_conn_id="broken_server", **retry)

if __name__ == "__main__":
    from airflow.utils.db import initdb

    initdb()
    if os.environ["LINE"] == "2":
        dag.sync_to_db()  # which makes the asset known
    dag.test()
    from sqlalchemy import select

    from airflow.settings import Session

    if os.environ["LINE"] == "3":
        from airflow.models.asset import AssetEvent
    else:
        from airflow.models.dataset import DatasetEvent as AssetEvent
    from airflow.models.taskinstance import TaskInstance

    session = Session()
    tries = {
        t.task_id: [str(t.state), t.try_number] for t in session.scalars(select(TaskInstance)) if t.map_index < 1
    }
    events = [event.extra for event in session.scalars(select(AssetEvent))]
    with open(f"{HERE}/outcome.json", "w") as file:
        json.dump({"tries": tries, "events": events, "imported": imported}, file, default=str)
"""


class Run:
    """One real run of a DAG, for several tests to look at."""

    def __init__(self, home: Path) -> None:
        with (
            Sandbox(rate_limit=None, agents=150, key=KEY) as self.server,
            Sandbox(rate_limit=None, key="another-key") as self.wrong_key,
            Sandbox(rate_limit=None, key=KEY, faults=[Fault("status", status=500, times=0)]) as self.broken,
        ):
            wrong = json.dumps({"conn_type": "helpcrunch", "password": KEY, "host": self.wrong_key.url})
            self.output = run(
                RUN,
                home,
                LINE="3" if AIRFLOW_3 else "2",
                TMPDIR=str(home),
                AIRFLOW_CONN_HELPCRUNCH_DEFAULT=self.server.connection(requests_per_minute=1000),
                AIRFLOW_CONN_WRONG_KEY=wrong,
                AIRFLOW_CONN_BROKEN_SERVER=self.broken.connection(),
            )
        self.home = home
        self.values = json.loads((home / "values.json").read_text())
        outcome = json.loads((home / "outcome.json").read_text())
        self.tries, self.events, self.imported = outcome["tries"], outcome["events"], outcome["imported"]

    def agents(self, *roles: str) -> list[dict[str, Any]]:
        return [agent for agent in self.server.agents if agent["role"] in roles]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    return Run(tmp_path_factory.mktemp("airflow"))


def test_templates_are_rendered(ran: Run) -> None:
    path = ran.home / "dag" / "rendered.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == ran.agents("admin", "agent")
    receipt = {"path": str(path), "records": len(rows), "bytes": path.stat().st_size, "format": "jsonl"}
    assert ran.values["rendered"] == receipt
    assert "50" in {request.query.get("limit") for request in ran.server.journal}


def test_roles_may_come_from_another_task(ran: Run) -> None:
    assert ran.values["from_xcom"] == ran.agents("admin", "superviser")


def test_departments_reach_the_next_task(ran: Run) -> None:
    assert ran.values["departments"] == ran.server.departments


def test_mapped_tasks(ran: Run) -> None:
    assert ran.values["mapped"] == [ran.agents("admin"), ran.agents("agentChatOnly")]


def test_asset_event_holds_the_receipt(ran: Run) -> None:
    assert [{n: event[n] for n in ran.values["rendered"]} for event in ran.events] == [ran.values["rendered"]]


@pytest.mark.parametrize("task_id", ["wrong_key", "wrong_argument", "too_large"])
def test_a_permanent_error_fails_the_task_at_its_first_try(task_id: str, ran: Run) -> None:
    assert ran.tries[task_id] == ["failed", 1]


def test_a_passing_error_uses_the_retries(ran: Run) -> None:
    assert ran.tries["broken_server"] == ["failed", 3]
    assert len(ran.broken.journal) == 3


def test_a_refused_key_is_sent_once(ran: Run) -> None:
    assert [request.status for request in ran.wrong_key.journal] == [401]


def test_the_log_tells_what_happened_and_holds_no_key(ran: Run) -> None:
    assert "Listed all departments: 5 records" in ran.output
    assert "HelpCrunch answered 401" in ran.output
    assert KEY not in ran.output


def test_parsing_a_dag_loads_next_to_nothing(ran: Run) -> None:
    heavy = {
        "requests",
        "urllib3",
        "msgspec",
        "tenacity",
        "pyarrow",
        "zstandard",
        "sqlite3",
        "aiohttp",
        "boto3",
    }
    assert {name.split(".")[0] for name in ran.imported} & heavy == set()
    parts = {name for name in ran.imported if name.startswith("airflow_provider_helpcrunch.")}
    package = "airflow_provider_helpcrunch.operators"
    assert parts == {
        package,
        *(f"{package}.{name}" for name in ("agents", "arguments", "base", "departments")),
    }
