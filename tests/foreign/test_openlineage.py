"""OpenLineage hears, of each operator, which files it read and wrote, and of no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow_process import run
from every_operator import every_operator
from moto.server import ThreadedMotoServer

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.foreign

DAG_FILE = """
import os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow.sdk.lineage import get_hook_lineage_collector
from airflow_names import DAG

from airflow_provider_helpcrunch.operators.agents import *
from airflow_provider_helpcrunch.operators.applications import *
from airflow_provider_helpcrunch.operators.chats import *
from airflow_provider_helpcrunch.operators.customers import *
from airflow_provider_helpcrunch.operators.departments import *
from airflow_provider_helpcrunch.operators.exports import *
from airflow_provider_helpcrunch.operators.messages import *
from airflow_provider_helpcrunch.operators.upsert import *

HERE = os.environ["AIRFLOW_HOME"]


def forget(context):
    # A worker gives each task a process, and with it a collector, of its own; ``dag.test()`` runs all of them in one.
    get_hook_lineage_collector.cache_clear()


with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1), default_args={"pre_execute": forget}) as dag:
    chats = ListChatsOperator(task_id="chats", output_path=f"{HERE}/chats.jsonl.gz")
    ListMessagesOperator(task_id="messages", chats=chats.output, output_path=f"file://{HERE}/messages.json")
    ListAgentsOperator(task_id="agents", output_path=f"{HERE}/agents.parquet")
    ListApplicationsOperator(task_id="applications", output_path=f"{HERE}/applications.csv")
    customers = ListCustomersOperator(
        task_id="customers", columns=["id"], output_path=f"{HERE}/customers.jsonl"
    )
    UpsertCustomersOperator(
        task_id="tagged",
        customers=customers.output,
        key="id",
        add_tags="seen",
        rejects_path=f"{HERE}/not_tagged.csv",
    )
    ListDepartmentsOperator(task_id="departments", output_path=f"{HERE}/departments.jsonl")
    SearchChatsOperator(task_id="new_chats", statuses=["new"], output_path=f"{HERE}/new_chats.jsonl")
    SearchCustomersOperator(task_id="known", seen_since=0, output_path=f"{HERE}/known.jsonl")
    ListAgentsOperator(task_id="to_xcom")
    remote = ListChatsOperator(task_id="remote_chats", output_path="s3://store@bucket/chats.jsonl")
    ListMessagesOperator(
        task_id="remote_messages", chats=remote.output, output_path="s3://store@bucket/messages.csv.gz"
    )

    ExportAgentsOperator(task_id="lake_agents", base_path=f"{HERE}/lake/agents")
    ExportCustomersOperator(task_id="lake_customers", base_path=f"{HERE}/lake/customers")
    ExportDepartmentsOperator(task_id="lake_departments", base_path=f"file://{HERE}/lake/departments")
    lake = ExportChatsOperator(task_id="lake_chats", base_path=f"{HERE}/lake/chats", file_format="parquet")
    messages = {"chats_path": f"{HERE}/lake/chats", "base_path": f"{HERE}/lake/messages"}
    first, second = (ExportMessagesOperator(task_id=f"lake_messages_{n}", **messages) for n in (1, 2))
    lake >> first >> second

    moves = ReassignChatsOperator(
        task_id="moves",
        from_agents=[1001],
        to_agents=[1002],
        dry_run=True,
        report_path=f"{HERE}/moves.jsonl",
    )
    moves >> UpdateChatsOperator(task_id="moved", plan=f"{HERE}/moves.jsonl", report_path=f"{HERE}/moved.csv")
    UpdateChatAssigneeOperator(task_id="moved_one", chat_id=int(os.environ["CHAT"]), assignee_id=1002)

if __name__ == "__main__":
    print("operators:" + " ".join(sorted({task.task_type for task in dag.tasks})))
    print("state:" + str(dag.test().state))
"""

SNAPSHOT, CHANGES, SYSTEM = (f"{name}-*.jsonl.gz" for name in ("snapshot", "changes", "system"))
EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    "chats": (set(), {"chats.jsonl.gz"}),
    "messages": ({"chats.jsonl.gz"}, {"messages.json"}),
    "agents": (set(), {"agents.parquet"}),
    "applications": (set(), {"applications.csv"}),
    "customers": (set(), {"customers.jsonl"}),
    "tagged": ({"customers.jsonl"}, {"not_tagged.csv"}),
    "remote_chats": (set(), {"s3://bucket/chats.jsonl"}),
    "remote_messages": ({"s3://bucket/chats.jsonl"}, {"s3://bucket/messages.csv.gz"}),
    "departments": (set(), {"departments.jsonl"}),
    "new_chats": (set(), {"new_chats.jsonl"}),
    "known": (set(), {"known.jsonl"}),
    "to_xcom": (set(), set()),
    "lake_agents": (set(), {f"lake/agents/runs/*/{name}" for name in (SNAPSHOT, CHANGES)}),
    "lake_customers": (set(), {f"lake/customers/runs/*/{name}" for name in (SNAPSHOT, CHANGES)}),
    "lake_departments": (set(), {f"lake/departments/runs/*/{name}" for name in (SNAPSHOT, CHANGES)}),
    "lake_chats": (set(), {f"lake/chats/runs/*/{name}-*.parquet" for name in ("snapshot", "changes")}),
    "lake_messages_1": (
        {"lake/chats/runs/*/snapshot-*.parquet"},
        {f"lake/messages/runs/*/{name}" for name in (SNAPSHOT, CHANGES, SYSTEM)},
    ),
    "lake_messages_2": (
        {
            "lake/chats/runs/*/snapshot-*.parquet",
            *(f"lake/messages/runs/*/{name}" for name in (SNAPSHOT, SYSTEM)),
        },
        {f"lake/messages/runs/*/{name}" for name in (SNAPSHOT, CHANGES, SYSTEM)},
    ),
    "moves": (set(), {"moves.jsonl"}),
    "moved": ({"moves.jsonl"}, {"moved.csv"}),
    "moved_one": (set(), set()),
}
"""The files that each task reads and those that it writes; ``*`` stands for what is different in each run."""

PAIRS = (
    ("chats", "messages"),
    ("remote_chats", "remote_messages"),
    ("lake_chats", "lake_messages_1"),
    ("customers", "tagged"),
    ("moves", "moved"),
)
"""A task that writes, and the one that reads what it wrote."""


@contextmanager
def _object_storage() -> Iterator[str]:
    """Serve a bucket, and yield an Airflow connection to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint, keys = f"http://{host}:{port}", {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="bucket")
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    yield json.dumps({"conn_type": "aws", "login": "x", "password": "x", "extra": extra})
    server.stop()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[dict[str, Any]]]:
    """Run all operators, and return Airflow's home, what the run printed, and the events."""
    home = tmp_path_factory.mktemp("airflow")
    events = home / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    account = Sandbox(chats=30, agents=20, messages=2, rate_limit=None)
    with account as sandbox, _object_storage() as store:
        output = run(
            DAG_FILE,
            home,
            CHAT=str(sandbox.chats[0]["id"]),
            AIRFLOW_CONN_HELPCRUNCH_DEFAULT=sandbox.connection(requests_per_minute=10_000),
            AIRFLOW_CONN_STORE=store,
            AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport),
        )
    assert "state:success" in output.splitlines(), output[-20_000:]
    return home, output, [json.loads(line) for line in events.read_text().splitlines()]


def test_every_operator_with_a_path_ran(told: tuple[Path, str, list[dict[str, Any]]]) -> None:
    _, output, _ = told
    (ran,) = (line.partition(":")[2].split() for line in output.splitlines() if line.startswith("operators:"))
    assert {operator.__name__ for operator in every_operator() if _has_path(operator)} <= set(ran)


@pytest.mark.parametrize("task", EXPECTED)
def test_what_a_task_reads_and_writes(told: tuple[Path, str, list[dict[str, Any]]], task: str) -> None:
    home, _, events = told
    (event,) = (
        each for each in events if (each["eventType"], each["job"]["name"]) == ("COMPLETE", f"dag.{task}")
    )
    assert (_files(event, "inputs", home), _files(event, "outputs", home)) == EXPECTED[task]


def test_what_one_task_writes_is_what_the_next_one_reads(
    told: tuple[Path, str, list[dict[str, Any]]],
) -> None:
    _, _, events = told
    complete = {each["job"]["name"]: each for each in events if each["eventType"] == "COMPLETE"}
    for writer, reader in PAIRS:
        read = {_id(dataset) for dataset in complete[f"dag.{reader}"]["inputs"]}
        assert read
        assert read <= {_id(dataset) for dataset in complete[f"dag.{writer}"]["outputs"]}


def _has_path(operator: Any) -> bool:
    return any(field.endswith("_path") for field in operator.template_fields)


def _id(dataset: dict[str, Any]) -> tuple[str, str]:
    return dataset["namespace"], dataset["name"]


def _files(event: dict[str, Any], side: str, home: Path) -> set[str]:
    return {_file(*_id(dataset), home) for dataset in event.get(side) or []}


def _file(namespace: str, name: str, home: Path) -> str:
    if namespace == "file":
        return _without_run(str(Path(name).relative_to(home)))
    return f"{namespace}/{name}"


def _without_run(name: str) -> str:
    return re.sub(r"/run=[^/]+/(\w+)-[0-9a-f]{8}-\d{5}", r"/*/\1-*", name)
