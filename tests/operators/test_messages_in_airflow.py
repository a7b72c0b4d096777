"""The operators for messages in real DAGs: chats from a receipt, from XCom and from mapped tasks, and a task a chat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow_process import run

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

DAG_FILE = """
import json, os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow_names import DAG, task

from airflow_provider_helpcrunch.operators.chats import ListChatsOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator
from airflow_provider_helpcrunch.storage import read_records

CHATS = json.loads(os.environ["CHATS"])
HERE = os.environ["AIRFLOW_HOME"]


@task
def same(chat):
    return chat


@task
def keep(from_file, from_xcom, from_mapped, mapped, nothing):
    lists = {"from_file": list(read_records(from_file)), "from_xcom": from_xcom, "from_mapped": from_mapped}
    lists |= {"mapped": [message for messages in mapped for message in messages], "nothing": nothing}
    print("found:" + json.dumps({name: [row["id"] for row in rows] for name, rows in lists.items()}))


with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    file = ListChatsOperator(task_id="file", output_path=HERE + "/{{ task.task_id }}.parquet")
    xcom = ListChatsOperator(task_id="xcom")
    from_file = ListMessagesOperator(
        task_id="from_file", chats=file.output, output_path=HERE + "/{{ task.task_id }}.jsonl.gz"
    )
    from_xcom = ListMessagesOperator(task_id="from_xcom", chats=xcom.output)
    from_mapped = ListMessagesOperator(task_id="from_mapped", chats=same.expand(chat=CHATS))
    mapped = ListMessagesOperator.partial(task_id="mapped", oldest_first=True).expand(chats=CHATS)
    nothing = ListMessagesOperator(task_id="nothing", chats=same.override(task_id="none")([]))
    keep(from_file.output, from_xcom.output, from_mapped.output, mapped.output, nothing.output)

if __name__ == "__main__":
    run = dag.test()
    print("state:" + str(run.state))
"""


def test_chats_in_every_form(sandbox: object, tmp_path: Path) -> None:
    server: Sandbox = sandbox(chats=12)  # type: ignore[operator]
    chats = [chat["id"] for chat in server.chats][:3]

    def public(chat: int) -> list[int]:
        return [
            message["id"] for message in server.messages(chat) if message["type"] not in ("private", "tech")
        ]

    output = run(
        DAG_FILE,
        tmp_path,
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection(requests_per_minute=10_000),
        CHATS=json.dumps(chats),
    )
    (found,) = (json.loads(line.partition("found:")[2]) for line in output.splitlines() if "found:{" in line)
    everything = [message for chat in server.chats for message in public(chat["id"])[::-1]]
    assert found == {
        "from_file": everything,
        "from_xcom": everything,
        "from_mapped": [message for chat in chats for message in public(chat)[::-1]],
        "mapped": [message for chat in chats for message in public(chat)],
        "nothing": [],
    }
    assert any(line.startswith("state:") and line.endswith("success") for line in output.splitlines())


SENDING = """
import os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow_names import DAG, task

from airflow_provider_helpcrunch.operators.chats import ListChatsOperator
from airflow_provider_helpcrunch.operators.messages import SendMessageOperator


@task
def ids(chats):
    return [chat["id"] for chat in chats]


with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    chats = ListChatsOperator(task_id="chats")
    SendMessageOperator.partial(task_id="send", text="Survey of {{ dag.dag_id }}", agent_id=1002).expand(
        chat_id=ids(chats.output)
    )

if __name__ == "__main__":
    run = dag.test()
    print("state:" + str(run.state))
"""


def test_a_message_to_each_chat(sandbox: object, tmp_path: Path) -> None:
    server: Sandbox = sandbox(chats=3)  # type: ignore[operator]
    output = run(
        SENDING,
        tmp_path,
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection(requests_per_minute=10_000),
    )
    assert any(line.startswith("state:") and line.endswith("success") for line in output.splitlines())
    for chat in server.chats:
        last = server.messages(chat["id"])[-1]
        assert (last["text"], last["agent"]["id"]) == ("Survey of dag", 1002)
    assert len(server.requests("/v1/messages")) == 3
