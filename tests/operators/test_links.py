"""The link to a chat: of tasks that are about one, where the connection says what the inbox's domain is."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from task_context import Instance

from airflow_provider_helpcrunch import _airflow
from airflow_provider_helpcrunch.exceptions import HelpCrunchNotFoundError
from airflow_provider_helpcrunch.get_provider_info import get_provider_info
from airflow_provider_helpcrunch.links import HelpCrunchChatLink
from airflow_provider_helpcrunch.operators.chats import UpdateChatAssigneeOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator, SendMessageOperator
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = [pytest.mark.older, pytest.mark.usefixtures("task_log")]

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
ADDRESS = "https://shop.helpcrunch.com/inbox/chats"


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=3, chats=5)
    connection(server, inbox_domain="shop")
    return server


def pushed(task: Any) -> dict[str, Any]:
    """Run a task, and return what it pushes to XCom by name."""
    instance = Instance()
    try:
        task.execute({"ti": instance})
    except HelpCrunchNotFoundError:
        instance.pushed["error"] = "not found"
    return instance.pushed


def test_the_chat_whose_assignee_changes(server: Sandbox) -> None:
    chat = server.chats[0]["id"]
    task = UpdateChatAssigneeOperator(task_id="give", chat_id=chat, assignee_id=1002)
    assert pushed(task) == {"helpcrunch_chat_address": f"{ADDRESS}/{chat}"}
    assert [(entry.method, entry.path) for entry in server.journal] == [("PUT", "/v1/chats/assignee")]


def test_a_chat_that_is_refused_too(server: Sandbox) -> None:
    task = UpdateChatAssigneeOperator(task_id="give", chat_id=1, assignee_id=1002)
    assert pushed(task) == {"helpcrunch_chat_address": f"{ADDRESS}/1", "error": "not found"}


def test_the_chat_whose_messages_are_listed(server: Sandbox) -> None:
    chat = server.chats[0]["id"]
    task = ListMessagesOperator(task_id="messages", chats=chat)
    assert pushed(task) == {"helpcrunch_chat_address": f"{ADDRESS}/{chat}"}
    assert {entry.path for entry in server.journal} == {f"/v1/chats/{chat}/messages"}


def test_the_chat_to_which_a_message_is_sent(server: Sandbox) -> None:
    chat = server.chats[0]["id"]
    task = SendMessageOperator(task_id="reply", chat_id=chat, text="It is on its way.", agent_id=1002)
    assert pushed(task) == {"helpcrunch_chat_address": f"{ADDRESS}/{chat}"}
    assert server.requests("/v1/organization") == []


def test_not_one_chat_of_many(server: Sandbox) -> None:
    chats = [chat["id"] for chat in server.chats[:2]]
    assert pushed(ListMessagesOperator(task_id="messages", chats=chats)) == {}
    assert pushed(ListMessagesOperator(task_id="messages", chats=chats[:1])) == {}


def test_no_link_and_no_request_where_the_domain_is_not_known(
    server: Sandbox, connection: SetConnection
) -> None:
    connection(server)
    chat = server.chats[0]["id"]
    assert pushed(UpdateChatAssigneeOperator(task_id="give", chat_id=chat, assignee_id=1002)) == {}
    assert pushed(ListMessagesOperator(task_id="messages", chats=chat)) == {}
    assert server.requests("/v1/organization") == []


@pytest.mark.parametrize(("value", "shown"), [(f"{ADDRESS}/7", f"{ADDRESS}/7"), (None, "")])
def test_the_link_is_what_the_task_has_pushed(
    monkeypatch: pytest.MonkeyPatch, value: Any, shown: str
) -> None:
    asked: list[dict[str, Any]] = []

    def get_value(**arguments: Any) -> Any:
        asked.append(arguments)
        return value

    monkeypatch.setattr(_airflow, "XCom", SimpleNamespace(get_value=get_value), raising=False)
    key = object()
    assert HelpCrunchChatLink().get_link(None, ti_key=key) == shown
    assert asked == [{"key": "helpcrunch_chat_address", "ti_key": key}]


def test_airflow_2_knows_the_link() -> None:
    link = HelpCrunchChatLink
    assert get_provider_info()["extra-links"] == [f"{link.__module__}.{link.__qualname__}"]
