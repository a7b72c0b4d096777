"""DAGs that the tests beside this folder run on the cluster; the configuration of each run says what differs."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, SearchChatsOperator

TASKS_EACH = 4
START = datetime(2026, 1, 1)
AGAIN = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG(
    "crowd",
    schedule=None,
    start_date=START,
    params={"folder": Param("", type="string"), "page_size": 100, "assignee": 0},
):
    crowd = {"page_size": "{{ params.page_size }}"}
    ListAgentsOperator.partial(task_id="agents", **crowd).expand(
        output_path=[f"{{{{ params.folder }}}}/agents-{number}.jsonl" for number in range(TASKS_EACH)]
    )
    SearchChatsOperator.partial(task_id="chats", assignee="{{ params.assignee }}", **crowd).expand(
        output_path=[f"{{{{ params.folder }}}}/chats-{number}.jsonl" for number in range(TASKS_EACH)]
    )

with DAG(
    "hand_over",
    schedule=None,
    start_date=START,
    params={"folder": Param("", type="string"), "leaver": 0, "targets": []},
    default_args=AGAIN,
):
    ReassignChatsOperator(
        task_id="reassignment",
        from_agents="{{ params.leaver }}",
        to_agents="{{ params.targets }}",
        report_path="{{ params.folder }}/report.jsonl",
        deferrable=True,
    )

with DAG(
    "listing",
    schedule=None,
    start_date=START,
    params={"folder": Param("", type="string")},
    default_args=AGAIN,
):
    SearchChatsOperator(task_id="chats", output_path="{{ params.folder }}/chats.jsonl")
