"""A None from upstream is refused in mapped tasks too, and a None that stands in the DAG file is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow_process import run

from airflow_provider_helpcrunch.sandbox import Sandbox

DAG_FILE = """
import json, os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow_names import DAG, task

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import SearchChatsOperator, UpdateChatAssigneeOperator

AGENT, CHATS = int(os.environ["AGENT"]), json.loads(os.environ["CHATS"])


@task
def nothing():
    return None


@task
def agents():
    return [AGENT, None]


@task
def changes():
    return [
        {"chat_id": CHATS[2], "assignee_id": AGENT},
        {"chat_id": CHATS[3], "assignee_id": None},
        {"chat_id": CHATS[4], "assignee_id": "nobody", "patience": None},
    ]


with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    SearchChatsOperator(task_id="search", assignee=nothing())
    UpdateChatAssigneeOperator(task_id="give", chat_id=CHATS[0], assignee_id=nothing())
    ListAgentsOperator.partial(task_id="literal_roles", roles=None).expand(page_size=[50, 100])
    UpdateChatAssigneeOperator.partial(task_id="literal", chat_id=CHATS[1]).expand(assignee_id=[AGENT, None])
    UpdateChatAssigneeOperator.partial(task_id="upstream", chat_id=CHATS[0]).expand(assignee_id=agents())
    UpdateChatAssigneeOperator.partial(task_id="kwargs").expand_kwargs(changes())
    UpdateChatAssigneeOperator.partial(task_id="literal_kwargs").expand_kwargs(
        [{"chat_id": CHATS[5], "assignee_id": None}, {"chat_id": CHATS[6], "assignee_id": AGENT, "patience": None}]
    )

if __name__ == "__main__":
    run = dag.test()
    states = {f"{t.task_id}[{t.map_index}]": str(t.state) for t in run.get_task_instances()}
    print("states:" + json.dumps(states))
"""


@pytest.mark.long
def test_mapped(sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    server = sandbox(chats=20)
    agent = server.agents[1]["id"]
    given = [chat["id"] for chat in server.chats if (chat["assignee"] or {}).get("id") not in (None, agent)][
        :7
    ]
    before = {chat: server.chat(chat)["assignee"] for chat in given}
    output = run(
        DAG_FILE,
        tmp_path,
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection(requests_per_minute=1000),
        AGENT=str(agent),
        CHATS=json.dumps(given),
    )
    (line,) = (line for line in output.splitlines() if line.startswith("states:"))
    states = json.loads(line.removeprefix("states:"))
    failed = {task for task, state in states.items() if state.endswith("failed")}
    assert failed == {"search[-1]", "give[-1]", "upstream[1]", "kwargs[1]", "kwargs[2]"}, output[-9000:]
    for name in ("assignee", "assignee_id", "patience"):
        assert f"{name} was rendered to None" in output
    assert "/chats/search" not in {request.path for request in server.journal}
    after = [(server.chat(chat)["assignee"] or {}).get("id") for chat in given]
    assert after.pop(1) in (agent, None)  # both stand in the DAG file, and Airflow chooses the order
    assert after == [
        agent,
        agent,
        before[given[3]]["id"],
        before[given[4]]["id"],
        None,
        agent,
    ]
