"""The link to a chat in a real Airflow, from the task to the page of the task; ``test_links.py`` tests who has one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow_process import run

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = [pytest.mark.older, pytest.mark.long]

DAG_FILE = """
import json, os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow_names import DAG

from airflow_provider_helpcrunch.operators.chats import UpdateChatAssigneeOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator

CHATS = json.loads(os.environ["CHATS"])

with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    ListMessagesOperator(task_id="one", chats=CHATS[0])
    ListMessagesOperator(task_id="many", chats=CHATS)
    ListMessagesOperator(task_id="unknown", chats=CHATS[0], helpcrunch_conn_id="without_domain")
    UpdateChatAssigneeOperator(task_id="refused", chat_id=1, assignee_id=1001)
    UpdateChatAssigneeOperator.partial(task_id="mapped", assignee_id=1001).expand(chat_id=CHATS)

if __name__ == "__main__":
    dag.test()

    from airflow.models.taskinstance import TaskInstance
    from airflow.serialization import serialized_objects
    from airflow.settings import Session
    from sqlalchemy import select

    serializer = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    shown = serializer.from_dict(json.loads(json.dumps(serializer.to_dict(dag))))
    links = {}
    with Session() as session:
        for ti in session.scalars(select(TaskInstance)):
            task = shown.get_task(ti.task_id)
            (link,) = task.operator_extra_links
            assert link.name == "Open chat in HelpCrunch"
            links[f"{ti.task_id} {ti.map_index}"] = link.get_link(task, ti_key=ti.key)
    print("links:" + json.dumps(links))
"""


def test_a_task_about_one_chat_links_to_it(sandbox: object, tmp_path: Path) -> None:
    server: Sandbox = sandbox(chats=12)  # type: ignore[operator]
    chats = [chat["id"] for chat in server.chats][:2]
    output = run(
        DAG_FILE,
        tmp_path,
        CHATS=json.dumps(chats),
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection(inbox_domain="shop"),
        AIRFLOW_CONN_WITHOUT_DOMAIN=server.connection(),
    )
    (line,) = [line for line in output.splitlines() if line.startswith("links:")]
    base = "https://shop.helpcrunch.com/inbox/chats"
    assert json.loads(line.removeprefix("links:")) == {
        "one -1": f"{base}/{chats[0]}",
        "many -1": "",
        "unknown -1": "",
        "refused -1": f"{base}/1",
        "mapped 0": f"{base}/{chats[0]}",
        "mapped 1": f"{base}/{chats[1]}",
    }
    assert server.requests("/v1/organization") == []
    assert len(server.writes()) == len(chats)
