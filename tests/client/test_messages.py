"""Messages of one chat: newest first, while others arrive; and what a new one sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.pages import parse_page
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchConnectionError,
    HelpCrunchNotFoundError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]


def long_chat(account: Sandbox, client: HelpCrunchClient, messages: int) -> int:
    """Return a chat with exactly so many messages."""
    chat = next(each["id"] for each in account.chats if len(account.messages(each["id"])) <= 8)
    agent = account.agents[0]["id"]
    while len(account.messages(chat)) < messages:
        client.send_message(chat, f"number {len(account.messages(chat))}", agent=agent)
    return int(chat)


def ids(messages: Any) -> list[int]:
    return [message["id"] for message in messages]


@pytest.mark.parametrize("page_size", [2, 3, 7, 100])
def test_all_messages_come_once_newest_first(sandbox: Start, client: Connect, page_size: int) -> None:
    account = sandbox(agents=2, chats=20)
    connected = client(account)
    chat = long_chat(account, connected, 25)
    listing = connected.iter_messages(chat, page_size=page_size)
    got = ids(listing)
    assert got == sorted(ids(account.messages(chat)), reverse=True)
    assert (listing.total, listing.warnings) == (25, [])


@pytest.mark.parametrize("arriving", [1, 2, 5])
def test_messages_that_arrive_meanwhile_neither_hide_nor_double_any(
    sandbox: Start, client: Connect, arriving: int
) -> None:
    account = sandbox(agents=2, chats=20)
    connected = client(account)
    chat = long_chat(account, connected, 30)
    before = ids(account.messages(chat))
    got = []
    for place, message in enumerate(connected.iter_messages(chat, page_size=10)):
        got.append(message["id"])
        if place % 9 == 4 and place < 25:
            for _ in range(arriving):
                connected.send_message(chat, "meanwhile", agent=None)
    assert got == sorted(before, reverse=True)


def test_a_reader_that_stops_early_sends_no_more(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=2, chats=20)
    connected = client(account)
    chat = long_chat(account, connected, 60)
    sent = len(account.journal)
    listing = connected.iter_messages(chat, page_size=10)
    got = [next(listing)["id"] for _ in range(12)]
    listing.close()
    assert got == sorted(ids(account.messages(chat)), reverse=True)[:12]
    assert listing.total == 60
    assert len(account.journal) == sent + 2
    assert list(listing) == []


def test_private_notes_and_technical_rows_are_flagged(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=2, chats=20, tech_messages=True)
    connected = client(account)
    chat = account.chats_of(None)[0]["id"] if account.chats_of(None) else account.chats[0]["id"]
    connected.send_message(chat, "between us", agent=None, private=True)
    connected.update_chat_assignee(chat, account.agents[0]["id"])
    rows = connected.list_messages(chat)
    assert {row["type"] for row in rows if row["private"]} == {"private"}
    assert {row["type"] for row in rows if row["tech"]} == {"tech"}


def test_the_body_of_a_new_message(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=2, chats=5)
    connected, chat, agent = client(account), account.chats[0]["id"], account.agents[0]["id"]
    assert connected.send_message(chat, "Hello", agent=agent)["from"] == "agent"
    assert connected.send_message(chat, "Hello", agent=None)["from"] == "customer"
    assert connected.send_message(chat, "psst", agent=agent, private=True)["private"] is True
    connected.send_message(chat, "bold", agent=agent, markdown_text="**bold**")
    assert [request.body for request in account.journal] == [
        {"chat": chat, "text": "Hello", "type": "message", "agent": agent},
        {"chat": chat, "text": "Hello", "type": "message"},
        {"chat": chat, "text": "psst", "type": "private", "agent": agent},
        {"chat": chat, "text": "bold", "type": "message", "agent": agent, "markdownText": "**bold**"},
    ]


@pytest.mark.parametrize("text", ["", "  ", None, 5])
def test_a_message_without_a_text_is_refused(sandbox: Start, client: Connect, text: Any) -> None:
    account = sandbox(agents=2, chats=5)
    with pytest.raises(HelpCrunchConfigurationError, match="text must be a text that is not empty"):
        client(account).send_message(1, text, agent=None)
    assert account.journal == []


@pytest.mark.parametrize("status", [200, 201])
def test_any_status_of_success_will_do(sandbox: Start, client: Connect, status: int) -> None:
    account = sandbox(agents=2, chats=5, message_status=status)
    assert client(account).send_message(account.chats[0]["id"], "Hello", agent=None)["text"] == "Hello"


@pytest.mark.parametrize(
    "fault", [Fault("status", status=500, times=1), Fault("close", times=1)], ids=["500", "lost"]
)
def test_a_message_is_not_sent_twice(sandbox: Start, client: Connect, fault: Fault) -> None:
    account = sandbox(agents=2, chats=5, faults=[fault])
    with pytest.raises((HelpCrunchServerError, HelpCrunchConnectionError)):
        client(account).send_message(account.chats[0]["id"], "Hello", agent=None)
    assert len(account.journal) == 1


def test_a_chat_that_does_not_exist(sandbox: Start, client: Connect) -> None:
    connected = client(sandbox(agents=2, chats=5))
    with pytest.raises(HelpCrunchNotFoundError):
        connected.list_messages(1)
    with pytest.raises(HelpCrunchNotFoundError):
        connected.send_message(1, "Hello", agent=None)


def test_the_oldest_documentation_names_the_array_messages() -> None:
    page = parse_page({"messages": [{"id": 2}, {"id": 1}], "total": 2})
    assert (page.ids, page.total) == ([2, 1], 2)
