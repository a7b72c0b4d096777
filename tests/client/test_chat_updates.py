"""Changing one chat: what is sent, what is checked, and what is repeated when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchConnectionError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]
Change = Callable[[HelpCrunchClient, int], Any]

LATER = 2_000_000_000
AGENT, DEPARTMENT = 1002, 103

CHANGES: dict[str, tuple[Change, str, dict[str, Any], str, Any]] = {
    "assignee": (
        lambda client, chat: client.update_chat_assignee(chat, AGENT),
        *("assignee", {"assignee": AGENT}, "assignee", AGENT),
    ),
    "assignee as text": (
        lambda client, chat: client.update_chat_assignee(str(chat), "1002"),  # type: ignore[arg-type]
        *("assignee", {"assignee": AGENT}, "assignee", AGENT),
    ),
    "nobody": (
        lambda client, chat: client.update_chat_assignee(chat, None),
        *("assignee", {"assignee": None}, "assignee", None),
    ),
    "department": (
        lambda client, chat: client.update_chat_department(chat, DEPARTMENT),
        *("department", {"department": DEPARTMENT}, "department", DEPARTMENT),
    ),
    **{
        f"status {word}": (
            lambda client, chat, word=word: client.update_chat_status(chat, word),
            *("status", {"status": written}, "status", read),
        )
        for word, written, read in [
            ("new", "new", "new"),
            ("open", "opened", "opened"),
            ("pending", "pending", "pending"),
            ("onhold", "on hold", "onhold"),
            ("On-Hold", "on hold", "onhold"),
            ("no_communication", "no communication", "no communication"),
            ("closed", "closed", "closed"),
        ]
    },
    **{
        f"snooze {until!r}": (
            lambda client, chat, until=until: client.snooze_chat(chat, until),
            *("snooze", {"snoozedUntil": str(LATER)}, "snoozedUntil", str(LATER)),
        )
        for until in [
            *(
                LATER,
                str(LATER),
                float(LATER),
                f"{LATER}.999",
                "2033-05-18T03:33:20",
                "2033-05-18T05:33:20+02:00",
            ),
            *(datetime(2033, 5, 18, 3, 33, 20), datetime(2033, 5, 18, 3, 33, 20, 999, UTC)),
        ]
    },
    "snooze to a day": (
        lambda client, chat: client.snooze_chat(chat, date(2033, 5, 18)),
        *("snooze", {"snoozedUntil": "1999987200"}, "snoozedUntil", "1999987200"),
    ),
    "back from snooze": (
        lambda client, chat: client.snooze_chat(chat, None),
        *("snooze", {"snoozedUntil": None}, "snoozedUntil", None),
    ),
    **{
        f"rating {word}": (
            lambda client, chat, word=word: client.rate_chat(chat, word),
            *("rate", {"rating": written}, "rating", written),
        )
        for word, written in [
            *(("perfect", "perfect"), ("Great", "great"), ("average", "average"), ("poor", "poor")),
            *(("very poor", "very poor"), ("very-poor", "very poor")),
        ]
    },
    **{
        f"{'read' if read else 'unread'} by {side}": (
            lambda client, chat, side=side, read=read: client.mark_chat_read(chat, side, read=read),  # type: ignore[misc]
            *(field, {"read": read}, field, read),
        )
        for side, field in [("agent", "readByAgent"), ("customer", "readByCustomer")]
        for read in (True, False)
    },
}
SET = sorted(name for name in CHANGES if not name.startswith("rating"))
EACH = ["assignee", "nobody", "department", "status On-Hold", "back from snooze", "read by agent"]


def ready(account: Sandbox) -> int:
    """Return a chat that every change can be made to, and that shows none of them yet."""
    (chat,) = account.insert_chats(1, assignee=1001, status="closed")
    account.update_chat(chat["id"], lastCommunicatedAgentId=1001, snoozedUntil=LATER + 5, department=101)
    return int(chat["id"])


def prepared(account: Sandbox, name: str) -> int:
    """Return such a chat, open where it is to be closed and read where it is to be unread."""
    chat = ready(account)
    account.update_chat(chat, **({"status": "opened"} if name == "status closed" else {}))
    if name.startswith("unread"):
        account.update_chat(chat, readByAgent=True, readByCustomer=True)
    return chat


def shown(chat: dict[str, Any], field: str) -> Any:
    """Return what a chat shows of a field, of nested records the id."""
    value = chat[field]
    return value["id"] if isinstance(value, dict) else value


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_one_exact_request_and_returns_the_chat_as_it_is_then(
    sandbox: Start, client: Connect, name: str
) -> None:
    change, path, body, field, expected = CHANGES[name]
    account = sandbox(chats=3, agents=5)
    chat = prepared(account, name)
    before = account.chat(chat)
    assert shown(before, field) != expected
    returned = change(client(account), chat)
    (request,) = account.journal
    assert (request.method, request.path, request.query) == ("PUT", f"/v1/chats/{path}", {})
    assert request.body == {"id": chat, **body}
    assert list(map(type, request.body.values())) == [int, *map(type, body.values())]
    assert shown(returned, field) == shown(account.chat(chat), field) == expected
    assert (returned["id"], request.applied) == (chat, True)


@pytest.mark.parametrize("spelling", ["onhold", "on hold", "on-hold"])
def test_every_spelling_of_the_answer_confirms_on_hold(
    sandbox: Start, client: Connect, spelling: Any
) -> None:
    account = sandbox(chats=3, on_hold=spelling)
    chat = client(account).update_chat_status(ready(account), "onhold")
    assert (chat["status"], chat["statusRaw"]) == ("onhold", spelling)


@pytest.mark.parametrize("style", ["string", "integer", "fractional"])
def test_every_spelling_of_the_answer_confirms_a_snooze(sandbox: Start, client: Connect, style: Any) -> None:
    account = sandbox(chats=3, timestamps=style)
    assert client(account).snooze_chat(ready(account), LATER)["snoozedUntil"] in (
        *(LATER, str(LATER)),
        f"{LATER}.000",
    )


@pytest.mark.parametrize("shape", [lambda chat: chat, lambda chat: {"data": chat}])
@pytest.mark.parametrize(
    ("assignee", "shown"),
    [
        ({"id": 71}, {"id": 71}),
        ({"id": "71", "name": "Ada"}, {"id": 71, "name": "Ada"}),
        (71, 71),
        ("71", 71),
    ],
)
def test_a_bare_chat_or_one_under_data_confirms(
    client: Connect, shape: Any, assignee: Any, shown: Any
) -> None:
    with AnsweringServer(lambda _: shape({"id": "7", "assignee": assignee})) as server:
        chat = client(server).update_chat_assignee(7, 71)
    assert chat["assignee"] == shown
    assert server.asked == [Asked("PUT", "/v1/chats/assignee", {}, {"id": 7, "assignee": 71})]


def test_nobody_is_confirmed_by_null(client: Connect) -> None:
    with AnsweringServer(lambda _: {"id": 7, "assignee": None}) as server:
        assert client(server).update_chat_assignee(7, None)["assignee"] is None
    assert server.asked[0].body == {"id": 7, "assignee": None}


@pytest.mark.parametrize("side", ["agent", "customer"])
@pytest.mark.parametrize("read", [True, False])
def test_an_old_account_that_shows_no_read_flags_is_believed(
    sandbox: Start, client: Connect, side: Any, read: bool
) -> None:
    account = sandbox(chats=3, shape="old")
    chat = ready(account)
    client(account).mark_chat_read(chat, side, read=read)
    assert account.writes(chat)[0].body == {"id": chat, "read": read}


# An answer that does not show the change


@pytest.mark.parametrize("name", CHANGES)
def test_an_ignored_change_is_never_taken_for_done(sandbox: Start, client: Connect, name: str) -> None:
    change, _, _, field, expected = CHANGES[name]
    account = sandbox(chats=3, agents=5, faults=[Fault("ignore_write", times=0)])
    chat = prepared(account, name)
    with pytest.raises(HelpCrunchUnconfirmedError) as caught:
        change(client(account), chat)
    assert f"a change of the chat {chat}," in str(caught.value)
    assert f"shows {field} " in str(caught.value)
    assert " instead of " in str(caught.value)
    assert "(" not in str(caught.value)
    assert len(account.journal) == 1
    assert account.writes() == []
    assert shown(account.chat(chat), field) != expected


def test_what_is_shown_and_what_was_wanted_are_told(client: Connect) -> None:
    with (
        AnsweringServer(lambda _: {"id": 7, "status": "New"}) as server,
        pytest.raises(HelpCrunchUnconfirmedError) as caught,
    ):
        client(server).update_chat_status(7, "closed")
    assert str(caught.value) == (
        "HelpCrunch answered 200 to a change of the chat 7, but the chat that it sent back shows status 'new' "
        "instead of 'closed'."
    )


@pytest.mark.parametrize("answer", [{"id": 8, "assignee": {"id": 71}}, {"assignee": {"id": 71}}, {}, "Ok"])
def test_an_answer_without_that_chat_is_asked_for_again_and_then_loud(client: Connect, answer: Any) -> None:
    with (
        AnsweringServer(lambda _: answer) as server,
        pytest.raises(HelpCrunchResponseError, match=r"PUT /chats/assignee: HelpCrunch answered 200, but"),
    ):
        client(server).update_chat_assignee(7, 71)
    assert server.asked == [Asked("PUT", "/v1/chats/assignee", {}, {"id": 7, "assignee": 71})] * 6


def test_the_right_chat_after_another_one_confirms(client: Connect) -> None:
    def answer(_: Asked) -> Any:
        return {"id": 8 if len(server.asked) < 3 else 7, "assignee": {"id": 71}}

    with AnsweringServer(answer) as server:
        assert client(server).update_chat_assignee(7, 71)["id"] == 7
    assert len(server.asked) == 3


# What is repeated


def never_waiting(account: Sandbox) -> dict[str, Any]:
    """Return arguments for a client that reaches the account in process, and waits for what never comes in no time."""
    return {"http_adapter": account.adapter(sleep=lambda _: None)}


@pytest.mark.parametrize("kind", ["reset", "close", "truncate", "hang"])
@pytest.mark.parametrize("name", EACH)
def test_a_lost_answer_to_an_applied_change_is_asked_for_again(
    sandbox: Start, client: Connect, name: str, kind: str
) -> None:
    change, _, body, field, expected = CHANGES[name]
    account = sandbox(chats=3, agents=5, faults=[Fault(kind, method="PUT")])
    chat = prepared(account, name)
    caller = client(account, **never_waiting(account))
    assert shown(change(caller, chat), field) == expected
    assert [request.body for request in account.writes(chat)] == [{"id": chat, **body}] * 2
    assert caller.usage.retries == 1


@pytest.mark.parametrize("kind", ["status", "html", "errors", "garbage"])
@pytest.mark.parametrize("name", SET)
def test_a_change_that_fails_in_passing_is_made_once(
    sandbox: Start, client: Connect, name: str, kind: str
) -> None:
    change, _, _, field, expected = CHANGES[name]
    account = sandbox(chats=3, agents=5, faults=[Fault(kind, method="PUT")])
    chat = prepared(account, name)
    assert shown(change(client(account), chat), field) == expected
    assert [request.applied for request in account.journal] == [False, True]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", HelpCrunchConnectionError),
        ("truncate", HelpCrunchConnectionError),
        ("status", HelpCrunchServerError),
        ("html", HelpCrunchResponseError),
    ],
)
def test_a_rating_is_never_sent_twice(
    sandbox: Start, client: Connect, kind: str, error: type[Exception]
) -> None:
    account = sandbox(chats=3, faults=[Fault(kind, method="PUT")])
    chat = ready(account)
    with pytest.raises(error):
        client(account).rate_chat(chat, "great")
    assert len(account.journal) == 1
    assert account.chat(chat)["rating"] == ("great" if kind in ("reset", "truncate") else None)


@pytest.mark.parametrize("name", ["rating Great", *EACH])
def test_after_a_429_every_change_is_repeated(sandbox: Start, client: Connect, name: str) -> None:
    change, _, _, field, expected = CHANGES[name]
    account = sandbox(chats=3, agents=5, faults=[Fault("status", status=429, method="PUT")])
    chat = prepared(account, name)
    assert shown(change(client(account, period=0.1), chat), field) == expected
    assert [request.status for request in account.journal] == [429, 200]


# Creating


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({"customer": 880002, "application": 3}, {"customer": 880002, "application": 3}),
        ({"customer": "880002", "application": "3"}, {"customer": 880002, "application": 3}),
        (
            {"customer": 880002, "application": 3, "assignee": AGENT, "department": DEPARTMENT},
            {"customer": 880002, "application": 3, "assignee": AGENT, "department": DEPARTMENT},
        ),
        (
            {"customer": 880002, "application": 3, "assignee": None, "department": "103"},
            {"customer": 880002, "application": 3, "department": DEPARTMENT},
        ),
    ],
    ids=str,
)
def test_a_new_chat_is_one_exact_request(
    sandbox: Start, client: Connect, arguments: dict[str, Any], body: dict[str, Any]
) -> None:
    account = sandbox(chats=3, agents=5)
    chat = client(account).create_chat(**arguments)
    (request,) = account.journal
    assert (request.method, request.path, request.body, request.status) == ("POST", "/v1/chats", body, 201)
    assert list(request.body) == list(body)
    assert len(account.chats) == 4
    assert chat["id"] == account.chats[-1]["id"]
    assert (chat["status"], chat["statusRaw"], chat["applicationId"]) == ("empty", "empty", 3)
    assert chat["customer"] is not None
    assert chat["customer"]["id"] == 880002


@pytest.mark.parametrize("status", [200, 201])
def test_the_department_of_a_new_chat_may_be_shown_later(client: Connect, status: int) -> None:
    with AnsweringServer(lambda _: (status, {"id": 9, "status": "empty", "department": None})) as server:
        assert client(server).create_chat(1, 2, department=3)["id"] == 9


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", HelpCrunchConnectionError),
        ("close", HelpCrunchConnectionError),
        ("truncate", HelpCrunchConnectionError),
        ("hang", HelpCrunchConnectionError),
        ("status", HelpCrunchServerError),
        ("html", HelpCrunchResponseError),
        ("errors", HelpCrunchResponseError),
    ],
)
def test_a_chat_is_never_created_twice(
    sandbox: Start, client: Connect, kind: str, error: type[Exception]
) -> None:
    account = sandbox(chats=3, faults=[Fault(kind, method="POST")])
    with pytest.raises(error):
        client(account, **never_waiting(account)).create_chat(880002, 3)
    assert len(account.journal) == 1
    assert len(account.chats) == (4 if kind in ("reset", "close", "truncate", "hang") else 3)


@pytest.mark.parametrize("payload", [{}, "Ok", {"data": []}, {"status": "empty"}])
def test_a_creation_answered_without_a_chat_is_loud_and_not_repeated(client: Connect, payload: Any) -> None:
    with (
        AnsweringServer(lambda _: (201, payload)) as server,
        pytest.raises(HelpCrunchResponseError, match="answered 201, but the body holds no chat"),
    ):
        client(server).create_chat(1, 2)
    assert len(server.asked) == 1


def test_creating_is_repeated_after_a_429(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3, faults=[Fault("status", status=429, method="POST", times=2)])
    client(account, period=0.1).create_chat(880002, 3)
    assert [request.status for request in account.journal] == [429, 429, 201]
    assert len(account.chats) == 4


# What HelpCrunch refuses


@pytest.mark.parametrize("generation", ["new", "old"])
@pytest.mark.parametrize(
    "change",
    [
        lambda client, _: client.update_chat_assignee(99, AGENT),
        lambda client, chat: client.update_chat_assignee(chat, 99),
        lambda client, chat: client.update_chat_department(chat, 99),
        lambda client, _: client.mark_chat_read(99, "agent"),
        lambda client, _: client.snooze_chat(99, LATER),
    ],
)
def test_what_does_not_exist_costs_one_request(
    sandbox: Start, client: Connect, generation: Any, change: Change
) -> None:
    account = sandbox(chats=3, agents=5, errors=generation)
    chat = ready(account)
    with pytest.raises(HelpCrunchNotFoundError):
        change(client(account), chat)
    assert len(account.journal) == 1
    assert account.writes() == []


def test_a_rating_that_may_not_be_given_is_told_in_helpcrunchs_words(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3)
    (chat,) = account.insert_chats(1)
    with pytest.raises(HelpCrunchBadRequestError, match="Chat must me closed to rate"):
        client(account).rate_chat(chat["id"], "great")
    assert len(account.journal) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.update_chat_assignee(0, 1),
        lambda client: client.update_chat_assignee(7, 0),
        lambda client: client.update_chat_assignee(7, "nobody"),
        lambda client: client.update_chat_assignee(7, ""),
        lambda client: client.update_chat_assignee(7, True),
        lambda client: client.update_chat_assignee(7, {"id": 71}),
        lambda client: client.update_chat_department(7, None),
        lambda client: client.update_chat_department(7, 1.0),
        lambda client: client.update_chat_department("x", 1),
        lambda client: client.update_chat_status(7, "empty"),
        lambda client: client.update_chat_status(7, "archived"),
        lambda client: client.update_chat_status(7, None),
        lambda client: client.update_chat_status(None, "closed"),
        lambda client: client.snooze_chat(7, "tomorrow"),
        lambda client: client.snooze_chat(7, ""),
        lambda client: client.snooze_chat(7, True),
        lambda client: client.snooze_chat(-7, None),
        lambda client: client.rate_chat(7, "good"),
        lambda client: client.rate_chat(7, None),
        lambda client: client.rate_chat([], "great"),
        lambda client: client.mark_chat_read(7, "both"),
        lambda client: client.mark_chat_read(7, None),
        lambda client: client.mark_chat_read(0, "agent"),
        lambda client: client.create_chat(None, 3),
        lambda client: client.create_chat(1, None),
        lambda client: client.create_chat(1, 3, assignee=0),
        lambda client: client.create_chat(1, 3, department="Billing"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_no_request(
    sandbox: Start, client: Connect, change: Callable[[HelpCrunchClient], Any]
) -> None:
    account = sandbox(chats=3)
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        change(client(account))
    said = str(caught.value)
    assert ("not " in said, said[-1], "\n" in said) == (True, ".", False)
    assert account.journal == []
