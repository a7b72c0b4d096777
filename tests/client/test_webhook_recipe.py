"""The code blocks of ``docs/webhooks.md``: the gateway with a queue in memory, and the DAG with what it holds."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import airflow
import pytest

from airflow_provider_helpcrunch.client.webhooks import sign
from airflow_provider_helpcrunch.sandbox import Sandbox

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
KEY = "a signing key"


def block(word: str) -> str:
    (found,) = (each for each in BLOCKS if word in each)
    return found


def webhook(chat_id: int | str, **changes: Any) -> dict[str, Any]:
    data = {"chat_id": chat_id, "customer": {"id": 880012, "name": "Kim", "email": "kim@mail.example"}}
    return {"id": f"hook-{chat_id}", "event": "chat.new", "attempts": 0, "eventData": data, **changes}


def request(body: bytes, *, encoded: bool = False, **headers: str) -> dict[str, Any]:
    """Return a request as a function URL hands it over: with names of headers in small letters."""
    headers = {"x-helpcrunch-signature": sign(body, KEY), **headers}
    text = base64.b64encode(body).decode() if encoded else body.decode()
    return {"headers": headers, "body": text, "isBase64Encoded": encoded}


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A queue in memory, with the handler of the page in front of it."""
    moto = pytest.importorskip("moto", reason="moto is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with moto.mock_aws():
        client = boto3.client("sqs")
        url = client.create_queue(QueueName="helpcrunch.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        monkeypatch.setenv("QUEUE_URL", url)
        monkeypatch.setenv("HELPCRUNCH_SIGNING_KEY", KEY)
        names: dict[str, Any] = {}
        exec(block("def handler"), names)

        def received() -> list[dict[str, Any]]:
            found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            return list(found.get("Messages", []))

        yield SimpleNamespace(handler=names["handler"], received=received, client=client, url=url)


@pytest.mark.parametrize("encoded", [False, True])
def test_what_is_signed_gets_into_the_queue_once(encoded: bool, queue: SimpleNamespace) -> None:
    body = json.dumps(webhook(4410021)).encode()
    for _ in range(2):
        assert queue.handler(request(body, encoded=encoded), None) == {"statusCode": 200}
    (message,) = queue.received()
    assert json.loads(message["Body"]) == {
        "id": "hook-4410021",
        "event": "chat.new",
        "chat_id": 4410021,
        "customer_id": 880012,
    }


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (request(b"{}", **{"x-helpcrunch-signature": "0" * 40}), 401),
        ({"headers": {}, "body": "{}"}, 401),
        ({"headers": {}}, 401),
        (request(b"{}"), 400),
        (request(b"Ok"), 400),
    ],
)
def test_what_is_not_signed_or_no_webhook_does_not(
    given: dict[str, Any], status: int, queue: SimpleNamespace
) -> None:
    assert queue.handler(given, None) == {"statusCode": status}
    assert queue.received() == []


def test_an_event_is_not_confirmed_while_the_queue_is_away(queue: SimpleNamespace) -> None:
    queue.client.delete_queue(QueueUrl=queue.url)
    with pytest.raises(Exception, match="QueueDoesNotExist|does not exist"):
        queue.handler(request(json.dumps(webhook(4410021)).encode()), None)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the DAG file of the page, with a stand-in for the trigger of the messaging provider."""
    if int(airflow.__version__.split(".")[0]) < 3:
        pytest.skip("Airflow 2 has no watchers of assets")
    from airflow.triggers.base import BaseEventTrigger

    class MessageQueueTrigger(BaseEventTrigger):  # type: ignore[misc,unused-ignore]
        def __init__(self, **arguments: Any) -> None:
            self.arguments = arguments

        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "queue", self.arguments

        async def run(self) -> Any:
            raise NotImplementedError

    module = ModuleType("airflow.providers.common.messaging.triggers.msg_queue")
    module.MessageQueueTrigger = MessageQueueTrigger  # type: ignore[attr-defined]
    for depth in range(4, 7):
        name = ".".join(module.__name__.split(".")[:depth])
        monkeypatch.setitem(sys.modules, name, module if name == module.__name__ else ModuleType(name))
    found: dict[str, Any] = {}
    exec(block("AssetWatcher"), found)
    return found


def test_the_dag_gives_away_new_chats_that_nobody_has(
    names: dict[str, Any],
    queue: SimpleNamespace,
    sandbox: Callable[..., Sandbox],
    connection: Callable[..., None],
) -> None:
    server = sandbox(agents=3, chats=0)
    connection(server, requests_per_minute=1000, rate_limit_store="memory://")
    free, taken = server.insert_chats(1)[0]["id"], server.insert_chats(1, assignee=1001)[0]["id"]
    gone, unreadable = webhook(5), webhook("none")
    for event in (gone, unreadable, webhook(free), webhook(taken), webhook(9, event="chat.closed")):
        queue.handler(request(json.dumps(event).encode()), None)
    batch = queue.received()
    assert len(batch) == 5
    event = SimpleNamespace(extra={"from_trigger": True, "payload": {"message_batch": batch}})
    for _ in range(2):
        names["assign_new_chats"].function(agent=1002, triggering_asset_events={names["webhooks"]: [event]})
    assert [(request.chat, request.body["assignee"]) for request in server.writes()] == [(free, 1002)]


def test_the_last_block_of_the_page() -> None:
    exec(block("assert parse"), {})
