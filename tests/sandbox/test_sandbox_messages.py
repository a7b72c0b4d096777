"""Messages in the sandbox: those of a chat, new ones, and how a chat's fields follow them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox import messages as module

NOW = "2026-01-31T08:00"
FIELDS = {
    *(
        "id",
        "chat",
        "from",
        "agent",
        "type",
        "text",
        "read",
        "edited",
        "createdAt",
        "updatedAt",
        "broadcastType",
    ),
}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(agents=3, chats=60, now=NOW)


@pytest.fixture
def call(sandbox, caller):
    return caller(sandbox)


def codes(response) -> list[str]:
    return [each["code"] for each in response.json()["errors"]]


def seconds(moment: str) -> str:
    return moment.partition(".")[0]


def assert_consistent(sandbox: Sandbox, chat: dict[str, Any]) -> None:
    """Check that a chat shows the last of its messages."""
    said = [each for each in sandbox.messages(chat["id"]) if each["type"] not in ("private", "tech")]
    assert (chat["lastMessageId"] is None) == (not said)
    if said:
        last = max(said, key=lambda each: (float(each["createdAt"]), each["id"]))
        assert [last["id"], last["text"], seconds(last["createdAt"])] == [
            chat[name] for name in ("lastMessageId", "lastMessageText", "lastMessageAt")
        ]
    customers = [each for each in said if each["from"] == "customer"]
    assert chat["lastCustomerMessageAt"] == (seconds(customers[-1]["createdAt"]) if customers else None)
    agents = [each for each in said if each["agent"]]
    assert chat["lastCommunicatedAgentId"] == (agents[-1]["agent"]["id"] if agents else None)
    assert {each["agent"]["id"] for each in agents} == {each["id"] for each in chat["agents"]}


def test_messages_have_the_documented_shape_and_fit_their_chat():
    sandbox = Sandbox(chats=900, now=NOW)
    messages = sandbox.truth("messages")
    for each in messages:
        assert set(each) == FIELDS
        assert each["from"] in ("agent", "customer")
        assert (each["updatedAt"] is not None) == each["edited"]
        assert each["from"] == "agent" or each["agent"] is None
        assert not (each["type"] == "tech" and each["agent"]) or "name" not in each["agent"]
    assert {each["type"] for each in messages} == {"message", "private", "email", "tech"}
    assert len({each["id"] for each in messages}) == len(messages)
    assert 7 < len(messages) / 900 < 9.5
    for chat in sandbox.chats:
        assert_consistent(sandbox, chat)


def test_they_come_by_the_page_newest_first(caller):
    sandbox = Sandbox(chats=300, now=NOW)
    call = caller(sandbox)
    chat = max(sandbox.chats, key=lambda each: len(sandbox.messages(each["id"])))["id"]
    expected = sandbox.messages(chat)[::-1]
    pages = [call("GET", f"/chats/{chat}/messages", offset=offset).json() for offset in (0, 100, 200)]
    assert [each for page in pages for each in page["data"]] == expected
    assert {page["total"] for page in pages} == {len(expected)}
    assert len(expected) > 150
    assert call("GET", f"/chats/{chat}/messages/", limit=7).json()["data"] == expected[:7]
    assert codes(call("GET", f"/chats/{chat}/messages", limit=101)) == ["invalid_request", "limit"]
    assert codes(call("GET", "/chats/1/messages")) == ["invalid_request", "not_found"]
    assert {entry.chat for entry in sandbox.journal} == {chat, 1}


@pytest.mark.parametrize("status", ["opened", "closed", "empty", "pending"])
@pytest.mark.parametrize("agent", [1002, None])
def test_a_message_becomes_the_last_one_of_its_chat(sandbox, call, status, agent):
    chat = sandbox.insert_chats(1, status=status)[0]
    body = {"chat": chat["id"], "text": "Hello", "type": "message", **({"agent": agent} if agent else {})}
    response = call("POST", "/messages", body)
    made = response.json()
    assert (response.status_code, made) == (200, sandbox.messages(chat["id"])[-1])
    assert (made["from"], made["agent"] and made["agent"]["id"]) == ("agent" if agent else "customer", agent)
    after = sandbox.chat(chat["id"])
    assert_consistent(sandbox, after)
    assert (after["lastMessageText"], after["readByAgent"]) == ("Hello", agent is not None)
    expected = {("empty", True): "opened", ("empty", False): "new", ("closed", False): "opened"}
    assert after["status"] == expected.get((status, agent is not None), status)
    assert sandbox.journal[-1].chat == chat["id"]


@pytest.mark.parametrize("agent", [1002, None])
def test_a_private_note_leaves_no_trace_in_the_chat(sandbox, call, agent):
    before = sandbox.chats[0]
    body = {"chat": str(before["id"]), "text": "Careful", "type": "private", "agent": agent}
    made = call("POST", "/messages", body).json()
    assert (made["type"], made["from"]) == ("private", "agent")
    assert sandbox.chat(before["id"]) == before
    assert made in sandbox.messages(before["id"])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["chat", "text", "type"]),
        ({"chat": "x", "text": 5, "type": "email"}, ["chat", "text", "type"]),
        ({"chat": 4410001, "text": "", "type": "message", "agent": "Ada"}, ["text", "agent"]),
    ],
)
def test_a_wrong_message_is_400(sandbox, call, body, fields):
    before = sandbox.truth("messages")
    response = call("POST", "/messages", body)
    assert (response.status_code, codes(response)) == (400, ["invalid_request", *fields])
    assert sandbox.truth("messages") == before


@pytest.mark.parametrize(
    ("errors", "body", "status", "code"),
    [
        ("new", {"chat": 1}, 404, "not_found"),
        ("new", {"agent": 1}, 404, "not_found"),
        ("old", {"chat": 1}, 404, "chat_not_found"),
        ("old", {"agent": 1}, 404, "entity_not_found"),
        ("old", {"chat": "x"}, 400, "invalid_chat_value"),
    ],
)
def test_errors_of_both_generations(caller, errors, body, status, code):
    call = caller(Sandbox(chats=3, errors=errors))
    response = call("POST", "/messages", {"chat": 4410001, "text": "Hi", "type": "message", **body})
    assert (response.status_code, codes(response)[-1]) == (status, code)


def test_success_has_a_switch(caller):
    call = caller(Sandbox(chats=3, message_status=201, chat_status=200))
    said = call("POST", "/messages", {"chat": 4410001, "text": "a", "markdownText": "*a*", "type": "message"})
    assert (said.status_code, said.json()["text"], "markdownText" in said.json()) == (201, "*a*", False)
    assert call("POST", "/chats", {"customer": 880001, "application": 1}).status_code == 200


def test_the_old_shape_and_the_styles_of_times():
    for style, shown in (("string", str), ("integer", int), ("fractional", str)):
        said = Sandbox(chats=90, timestamps=style, shape="old", now=NOW).truth("messages")
        assert {type(each["createdAt"]) for each in said} == {shown}
        assert all("." in each["createdAt"] for each in said if style != "integer")
        agents = [set(each["agent"]) for each in said if each["agent"] and each["type"] != "tech"]
        assert all(each == {"id", "name"} for each in agents)


def test_an_update_can_add_a_tech_message(caller):
    sandbox = Sandbox(chats=3, agents=2, tech_messages=True)
    before = sandbox.insert_chats(1)[0]
    caller(sandbox)("PUT", "/chats/status", {"id": before["id"], "status": "pending"})
    row = sandbox.messages(before["id"])[-1]
    assert (row["type"], row["text"]) == ("tech", "chat_status_changed_by_public_api")
    assert sandbox.chat(before["id"]) == {**before, "status": "pending"}


def test_a_lost_response_is_that_of_a_message_that_was_sent(caller):
    sandbox = Sandbox(chats=3, faults=[Fault("close", path="/v1/messages", chat=4410001)])
    call, body = caller(sandbox), {"chat": 4410001, "text": "Twice?", "type": "message"}
    with pytest.raises(OSError, match="aborted"):
        call("POST", "/messages", body)
    call("POST", "/messages", body)
    assert [each["text"] for each in sandbox.messages(4410001)].count("Twice?") == 2


@pytest.mark.parametrize("kind", ["duplicate_rows", "empty_page", "no_ids", "shuffle", "ignore_offset"])
def test_faults_of_rows(caller, kind):
    sandbox = Sandbox(chats=30, messages=40, faults=[Fault(kind, times=0)])
    chat = max(sandbox.chats, key=lambda each: len(sandbox.messages(each["id"])))["id"]
    honest = sandbox.messages(chat)[::-1]
    rows = caller(sandbox)("GET", f"/chats/{chat}/messages", limit=10, offset=1).json()["data"]
    assert rows != honest[1:11]


def test_only_what_is_read_of_a_large_account_is_made(caller, monkeypatch):
    made, said = [], module._said
    monkeypatch.setattr(module, "_said", lambda *given: made.append(given[1].id) or said(*given))
    sandbox = Sandbox(chats=100_000, messages=10, rate_limit=None)
    call = caller(sandbox)
    assert call("GET", "/chats", offset=99_900, sort="chats.lastMessageAt").json()["meta"]["total"] == 100_000
    assert call("GET", "/customers/930000").status_code == 200
    assert made == []
    assert call("GET", "/chats/4460000/messages").status_code == 200
    assert set(made) == {4460000}
