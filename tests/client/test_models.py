"""Chats, customers and messages as they leave the client: some fields get one form, all others stay as they came."""

from __future__ import annotations

from typing import Any

import pytest
from in_process import client_of, send_ids_as_text

from airflow_provider_helpcrunch.client.ids import with_integer_ids
from airflow_provider_helpcrunch.client.models import chat_of, customer_of, message_of
from airflow_provider_helpcrunch.sandbox import Sandbox


@pytest.mark.parametrize(
    "word", ["archived", "3", "", None, 3, True, ["closed"], {"name": "closed"}], ids=repr
)
def test_what_no_documentation_names_stays_as_it_came(word: Any) -> None:
    chat = chat_of({"id": 7, "status": word, "rating": word})
    assert [chat[name] for name in ("status", "statusRaw", "rating", "ratingRaw")] == [word] * 4


def test_all_other_fields_stay_as_they_came() -> None:
    record = {"id": "7", "createdAt": 5, "closedAt": "5.100", "agents": [{"id": 1}], "new one": {"x": [1]}}
    chat = chat_of(record)
    assert {name: chat[name] for name in record} == record
    assert chat.keys() - record.keys() == {"status", "statusRaw", "rating", "ratingRaw"}
    assert "statusRaw" not in record


@pytest.mark.parametrize("agents", [{"id": 1, "name": "Ada"}, [{"id": 1, "name": "Ada"}]])
def test_a_single_agent_becomes_a_list(agents: Any) -> None:
    assert chat_of({"id": 7, "agents": agents})["agents"] == [{"id": 1, "name": "Ada"}]
    assert "agents" not in chat_of({"id": 7})


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"plan": "gold"}, {"plan": "gold"}),
        ([{"property": "plan", "value": "gold"}], {"plan": "gold"}),
        ([], {}),
        ({}, {}),
        (None, None),
    ],
)
def test_every_shape_of_custom_data(sent: Any, shown: Any) -> None:
    assert customer_of({"id": 1, "customData": sent})["customData"] == shown


@pytest.mark.parametrize("kind", ["message", "email", "private", "tech", "article", None])
def test_a_message_says_whether_it_is_private_or_technical(kind: str | None) -> None:
    record = {"id": 7, "type": kind, "text": "chat_status_changed", "new one": [1]}
    assert message_of(record) == {**record, "private": kind == "private", "tech": kind == "tech"}
    assert "private" not in record


def test_all_ids_are_integers_also_where_helpcrunch_writes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Sandbox(agents=3, chats=6, rate_limit=None, now="2023-11-20")
    chat, customer = account.chats[0]["id"], account.customers[0]["id"]
    client = client_of(account)

    def everything() -> list[Any]:
        lists = ("agents", "departments", "applications", "chats", "customers")
        return [
            client.get_organization(),
            client.get_chat(chat),
            client.get_customer(customer),
            *(getattr(client, f"list_{name}")() for name in lists),
            client.list_messages(chat),
        ]

    before = everything()
    send_ids_as_text(monkeypatch)
    assert everything() == before


def test_what_is_no_id_stays_as_it_came() -> None:
    record = {
        "id": "7",
        "assignee": None,
        "customer": {"id": "x"},
        "agents": ["?"],
        "customData": {"id": "8"},
    }
    assert with_integer_ids(record) == {**record, "id": 7}
