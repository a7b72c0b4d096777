"""The recipe of ``docs/webhooks.md`` on a real Airflow: gateway, SQS, ``MessageQueueTrigger``, DAG run, chat."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from code_blocks import MESSAGING, blocks
from moto.server import ThreadedMotoServer

from airflow_provider_helpcrunch.client.webhooks import SIGNATURE_HEADER, sign
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.foreign

KEY = "a signing key"
REGION = "eu-central-1"
PATIENCE = 900.0


def block(word: str) -> str:
    (found,) = (
        each.text for each in blocks("python") if each.page.name == "webhooks.md" and word in each.text
    )
    return found


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve Amazon's API on 127.0.0.1, and let ``boto3`` in this process find it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    yield url
    server.stop()


@pytest.fixture
def queue(endpoint: str) -> str:
    """Return the URL of an empty queue."""
    created = boto3.client("sqs").create_queue(QueueName="helpcrunch.fifo", Attributes={"FifoQueue": "true"})
    return str(created["QueueUrl"])


@pytest.fixture
def gateway(queue: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Return what HelpCrunch does when something happens to a chat."""
    monkeypatch.setenv("QUEUE_URL", queue)
    monkeypatch.setenv("HELPCRUNCH_SIGNING_KEY", KEY)
    names: dict[str, Any] = {}
    exec(block("def handler"), names)

    def send(event: str, chat: int) -> None:
        body = json.dumps({"id": f"{event}-{chat}", "event": event, "eventData": {"chat_id": chat}})
        headers = {SIGNATURE_HEADER: sign(body.encode(), KEY)}
        assert names["handler"]({"headers": headers, "body": body}, None) == {"statusCode": 200}

    return send


@pytest.fixture
def scripts() -> Any:
    """Return the module that starts Airflow for ``make airflow``."""
    return importlib.import_module("airflow_ui")


@pytest.fixture
def account(scripts: Any) -> Iterator[Sandbox]:
    with Sandbox(agents=3, chats=0, rate_limit=None, key=scripts.SANDBOX_KEY) as account:
        yield account


@pytest.fixture
def wait(
    scripts: Any, account: Sandbox, queue: str, endpoint: str, tmp_path: Path
) -> Iterator[Callable[[Callable[[], object], str], None]]:
    """Run all parts of Airflow with the DAG of the page; return what waits for something that they do."""
    home, dags = tmp_path / "home", tmp_path / "dags"
    (home / "tmp").mkdir(parents=True)
    dags.mkdir()
    source = block(MESSAGING)
    address = "https://sqs.eu-central-1.amazonaws.com/123456789012/helpcrunch.fifo"
    assert source.count(address) == 1
    (dags / "webhooks.py").write_text(source.replace(address, queue))
    aws = {"conn_type": "aws", "login": "x", "password": "x"}
    aws["extra"] = json.dumps({"endpoint_url": endpoint, "region_name": REGION})
    port = scripts.free_port()
    own = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws)}
    with scripts.parts_of_airflow(home, port, own, patience=PATIENCE) as processes:
        scripts.start_airflow(processes, port, account.url)
        yield functools.partial(processes.wait_until, pause=1.0)


def test_a_webhook_starts_the_dag_and_so_does_the_next_one(
    gateway: Callable[[str, int], None],
    wait: Callable[[Callable[[], object], str], None],
    account: Sandbox,
    queue: str,
) -> None:
    taken = account.insert_chats(1, assignee=1001)[0]["id"]
    free = [chat["id"] for chat in account.insert_chats(3)]

    def given() -> list[tuple[int | None, int]]:
        return sorted((write.chat, write.body["assignee"]) for write in account.writes())

    gateway("chat.new", taken)
    gateway("chat.new", free[0])
    gateway("chat.closed", free[2])
    wait(lambda: given() == [(free[0], 1002)], "triggerer")
    # The trigger ends with each event, and Airflow starts it again.
    gateway("chat.new", free[1])
    wait(lambda: given() == [(free[0], 1002), (free[1], 1002)], "triggerer")
    assert account.chat(taken)["assignee"]["id"] == 1001
    assert account.chat(free[2])["assignee"] is None
    left = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == left["ApproximateNumberOfMessagesNotVisible"] == "0"
