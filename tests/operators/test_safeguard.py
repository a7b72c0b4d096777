"""Every operator as a real task, with Airflow's guard against nested operators on: it finds nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow_process import run

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

TASKS = """
import json, os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow_names import DAG
from every_operator import REQUIRED, every_operator

required = json.dumps(REQUIRED).replace("4410021", os.environ["CHAT"]).replace("1002", os.environ["AGENT"])
with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    for operator in every_operator():
        arguments = {
            **json.loads(required).get(operator.__name__, {}),
            **({"max_xcom_bytes": 2**30} if "List" in operator.__name__ else {}),
        }
        for allowed in (False, True):
            operator(
                task_id=f"{operator.__name__}_{allowed}", allow_nested_operators=allowed, **arguments
            )
    for allowed in (False, True):
        dag.get_task(f"ExportChatsOperator_{allowed}") >> dag.get_task(f"ExportMessagesOperator_{allowed}")

if __name__ == "__main__":
    run = dag.test()
    for task in run.get_task_instances():
        print("state:", task.task_id, str(task.state))
"""


def test_no_operator_calls_execute_from_outside(sandbox: object, tmp_path: Path) -> None:
    server: Sandbox = sandbox(chats=20)  # type: ignore[operator]
    chat, other = server.chats[0]["id"], server.agents[1]["id"]
    output = run(
        TASKS,
        tmp_path,
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection(requests_per_minute=1000),
        CHAT=str(chat),
        AGENT=str(other),
    )
    states = [line.split() for line in output.splitlines() if line.startswith("state:")]
    assert len(states) >= 24, output[-5000:]
    assert {state for _, _, state in states} == {"success"}, output[-5000:]
    assert "cannot be called outside" not in output
