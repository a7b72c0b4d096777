"""Servers that answer searches and changes of chats in ways that must not be believed; over real sockets."""

from __future__ import annotations

import itertools
import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import Filter, HelpCrunchClient
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.client.vocabulary import (
    known_status,
    written_rating,
    written_status,
    written_statuses,
)
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
    HelpCrunchPaginationError,
    HelpCrunchUnconfirmedError,
)

Connect = Callable[..., HelpCrunchClient]
Change = Callable[[HelpCrunchClient], Any]

MINE = Filter("chats.assignee", "=", 1001)
FOUND = {"data": [{"id": 7, "status": "opened"}], "total": 1}
NONE = {"data": [], "total": 0}
KEY = "SECRETKEYabcdefghijklmnopqrstuvwxyz0123456789"


def refusal(status: int, message: str) -> tuple[int, Any]:
    """Return an error answer."""
    return status, {"errors": [{"code": "not_found", "message": message}]}


# A search that is answered 404


def kind(asked: Asked) -> str:
    """Say which of the requests it is that follow a 404, or an empty page under a total."""
    if asked.method == "GET":
        return "list"
    first = asked.body["filter"][0]
    if first["field"] != "chats.createdAt":
        return "search"
    return "control" if first["operator"] == ">=" else "never"


class Script:
    """
    Answers each kind of request with what is scripted for it; 404 says how many times it was asked.

    :param answers: of each kind the answers in order; the last one is repeated
    """

    def __init__(self, **answers: list[Any]) -> None:
        self.asked: list[Asked] = []
        self._answers = {
            name: itertools.chain(given, itertools.repeat(given[-1])) for name, given in answers.items()
        }

    def __call__(self, asked: Asked) -> Any:
        self.asked.append(asked)
        answer = next(self._answers[kind(asked)])
        return refusal(404, f"refusal {len(self.asked)}") if answer == 404 else answer

    @property
    def kinds(self) -> list[str]:
        """Return the kinds of all requests, in order."""
        return [kind(asked) for asked in self.asked]


def test_a_404_that_does_not_come_again_loses_nothing(client: Connect) -> None:
    with AnsweringServer(script := Script(search=[404, FOUND], control=[FOUND])) as server:
        page = client(server).search_chats_page([MINE])
    assert (page.ids, page.total) == ([7], 1)
    assert script.kinds == ["search", "control", "search"]
    assert script.asked[0] == script.asked[2]


def test_where_a_search_for_every_chat_is_404_too_the_first_one_is_raised(client: Connect) -> None:
    with (
        AnsweringServer(script := Script(search=[404], control=[404], list=[404])) as server,
        pytest.raises(HelpCrunchNotFoundError, match=r"POST /chats/search: .*refusal 1\.") as caught,
    ):
        client(server).search_chats_page([MINE], comparison="OR", offset=3)
    assert caught.value.__cause__ is None
    assert script.kinds == ["search", "control", "list"]
    assert script.asked[1].body == {
        "filter": [{"field": "chats.createdAt", "operator": ">=", "value": 0}],
        "comparison": "AND",
        "sort": "chats.createdAt",
        "order": "asc",
        "offset": 0,
        "limit": 1,
    }


def test_nothing_matches_where_the_account_has_no_chat_at_all(client: Connect) -> None:
    with AnsweringServer(script := Script(search=[404], control=[404], list=[NONE])) as server:
        assert client(server).search_chats_page([MINE]).ids == []
    assert script.kinds == ["search", "control", "list", "search"]


def test_a_search_that_fails_beside_a_list_of_chats_is_no_empty_one(client: Connect) -> None:
    with (
        AnsweringServer(Script(search=[404], control=[404], list=[FOUND])) as server,
        pytest.raises(HelpCrunchNotFoundError, match=r"refusal 1\."),
    ):
        client(server).search_chats_page([MINE])


def test_nothing_matches_where_only_this_search_is_404(client: Connect) -> None:
    with AnsweringServer(script := Script(search=[404], control=[FOUND])) as server:
        page = client(server).search_chats_page([MINE])
        assert (page.records, page.ids, page.total) == ([], [], None)
        assert script.kinds == ["search", "control", "search"]
        assert client(server).search_chats([MINE]) == []


@pytest.mark.parametrize(
    "answers",
    [
        {"search": [404], "control": [refusal(401, "No")]},
        {"search": [404], "control": [404], "list": [refusal(401, "No")]},
        {"search": [404, refusal(401, "No")], "control": [FOUND]},
    ],
    ids=["at the search for every chat", "at the list", "at the second search"],
)
def test_another_error_meanwhile_is_raised(client: Connect, answers: dict[str, Any]) -> None:
    with AnsweringServer(Script(**answers)) as server, pytest.raises(HelpCrunchAuthError):
        client(server).search_chats_page([MINE])


# One page of a search


@pytest.mark.parametrize(("offset", "total"), [(0, 1), (0, 280), (100, 101)])
def test_an_empty_page_of_a_search_that_its_total_contradicts_is_asked_for_again(
    client: Connect, offset: int, total: int
) -> None:
    empty = {"data": [], "total": total}
    with AnsweringServer(script := Script(search=[empty, FOUND])) as server:
        assert client(server).search_chats_page([MINE], offset=offset).ids == [7]
    assert script.kinds == ["search", "search"]
    with (
        AnsweringServer(Script(search=[empty], never=[NONE])) as server,
        pytest.raises(
            HelpCrunchPaginationError, match=f"page at offset {offset} is empty, although .* {total} chats"
        ),
    ):
        client(server).search_chats_page([MINE], offset=offset)


@pytest.mark.parametrize(("offset", "total"), [(0, 1), (0, 280), (100, 101)])
def test_a_total_means_nothing_where_even_nothing_has_one(
    client: Connect, offset: int, total: int, caplog: pytest.LogCaptureFixture
) -> None:
    empty = {"data": [], "total": total}
    with AnsweringServer(script := Script(search=[empty], never=[empty])) as server:
        page = client(server).search_chats_page([MINE], offset=offset)
    assert (page.ids, page.total, page.offset) == ([], None, offset)
    assert "HelpCrunch's totals are wrong, so nothing follows" in caplog.text
    assert script.kinds[-1] == "never"
    assert set(script.kinds[:-1]) == {"search"}


@pytest.mark.parametrize("never", [FOUND, 404, {"data": [], "total": None}])
def test_a_total_counts_where_nothing_contradicts_it(client: Connect, never: Any) -> None:
    with (
        AnsweringServer(Script(search=[{"data": [], "total": 1}], never=[never])) as server,
        pytest.raises(HelpCrunchPaginationError, match="is empty, although"),
    ):
        client(server).search_chats_page([MINE])


@pytest.mark.parametrize(("offset", "total"), [(0, 0), (0, None), (100, 100), (100, 7)])
def test_an_empty_page_of_a_search_may_be_empty(client: Connect, offset: int, total: int | None) -> None:
    with AnsweringServer(script := Script(search=[{"data": [], "total": total}])) as server:
        assert client(server).search_chats_page([MINE], offset=offset).ids == []
    assert script.kinds == ["search"]


# An answer to a change that does not show it


CHANGES: dict[str, Change] = {
    "assignee": lambda client: client.update_chat_assignee(7, 71),
    "nobody": lambda client: client.update_chat_assignee(7, None),
    "department": lambda client: client.update_chat_department(7, 71),
    "status": lambda client: client.update_chat_status(7, "closed"),
    "snooze": lambda client: client.snooze_chat(7, 2_000_000_000),
    "back": lambda client: client.snooze_chat(7, None),
    "rating": lambda client: client.rate_chat(7, "great"),
}
FIELDS = {"nobody": "assignee", "snooze": "snoozedUntil", "back": "snoozedUntil"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_is_missing_confirms_nothing(client: Connect, name: str) -> None:
    field = FIELDS.get(name, name)
    with (
        AnsweringServer(lambda _: {"id": 7, "customer": {"id": 5}}) as server,
        pytest.raises(
            HelpCrunchUnconfirmedError, match=f"a change of the chat 7, .* shows .*{field}.* instead of"
        ),
    ):
        CHANGES[name](client(server))
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["assignee", "nobody", "department", "snooze", "back"])
@pytest.mark.parametrize(
    "shown", [{"name": "Somebody"}, {"id": None}, {"id": "x"}, {"id": True}, [], "x", 1.5]
)
def test_a_field_that_cannot_be_read_confirms_nothing(client: Connect, name: str, shown: Any) -> None:
    field = FIELDS.get(name, name)
    with (
        AnsweringServer(lambda _: {"id": 7, field: shown}) as server,
        pytest.raises(HelpCrunchUnconfirmedError, match=f"shows (no )?{field} .*instead of"),
    ):
        CHANGES[name](client(server))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *(
            ("assignee", {"assignee": given})
            for given in (71, "71", 71.0, {"id": 71}, {"id": "71"}, {"id": 71.0})
        ),
        *(("nobody", {"assignee": None}), ("department", {"department": {"id": 71.0, "name": "Billing"}})),
        *(("snooze", {"snoozedUntil": given}) for given in (2_000_000_000, "2000000000", "2000000000.000")),
        *(("back", {"snoozedUntil": given}) for given in (None, "")),
        *(("status", {"status": "Closed"}), ("rating", {"rating": "Great"})),
    ],
    ids=str,
)
def test_every_readable_spelling_confirms(client: Connect, name: str, answer: dict[str, Any]) -> None:
    with AnsweringServer(lambda _: {"id": 7, **answer}) as server:
        assert CHANGES[name](client(server))["id"] == 7


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        *(("status", KEY), ("status", {"is": f"Bearer {KEY}"}), ("rating", [KEY]), ("assignee", {"id": KEY})),
        *(("nobody", {"id": 5, "name": KEY}), ("snooze", KEY), ("back", KEY), ("department", KEY)),
    ],
    ids=str,
)
def test_a_key_in_an_answer_that_confirms_nothing_is_never_shown(
    client: Connect, name: str, shown: Any
) -> None:
    with (
        AnsweringServer(lambda _: {"id": 7, "lastMessageText": KEY, FIELDS.get(name, name): shown}) as server,
        pytest.raises(HelpCrunchUnconfirmedError) as caught,
    ):
        CHANGES[name](client(server, key=KEY))
    assert KEY not in str(caught.value) + repr(caught.value) + json.dumps(caught.value.__dict__, default=repr)
    ours = [
        frame
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if "client/" in frame.f_code.co_filename
    ]
    del ours[0]  # this test's own
    assert len(ours) > 1
    assert [frame for frame in ours if KEY in repr(frame.f_locals)] == []
    assert caught.value.__context__ is None


def test_something_else_under_data_is_no_chat(client: Connect) -> None:
    with AnsweringServer(lambda _: {"data": 7}) as server, pytest.raises(Exception, match="holds no chat"):
        client(server).get_chat(7)


# Spellings of statuses


class Speller:
    """
    Takes only some spellings of a status, as every change of it.

    :param taken: these
    """

    def __init__(self, *taken: str) -> None:
        self.written: list[str] = []
        self._taken = taken

    def __call__(self, asked: Asked) -> Any:
        word = asked.body["status"]
        self.written.append(word)
        if word not in self._taken:
            return refusal(400, f"{word} value is invalid")
        return {"id": asked.body["id"], "status": {"on-hold": "on hold", "open": "opened"}.get(word, word)}


@pytest.mark.parametrize(
    ("word", "taken", "tried"),
    [
        ("onhold", "on hold", ["on hold"]),
        ("on hold", "on-hold", ["on hold", "on-hold"]),
        ("on hold", "onhold", ["on hold", "on-hold", "onhold"]),
        ("Open", "opened", ["opened"]),
        ("opened", "open", ["opened", "open"]),
    ],
)
def test_the_spelling_that_is_taken_is_found_and_remembered(
    client: Connect, word: str, taken: str, tried: list[str]
) -> None:
    with AnsweringServer(server_side := Speller(taken)) as server:
        caller = client(server)
        caller.update_chat_status(7, word)
        assert server_side.written == tried
        chat = caller.update_chat_status(8, word)
        assert (chat["id"], server_side.written) == (8, [*tried, taken])
        client(server).update_chat_status(9, word)  # another client has its own memory
        assert server_side.written == [*tried, taken, *tried]


def test_each_status_has_its_own_memory(client: Connect) -> None:
    with AnsweringServer(server_side := Speller("on-hold", "open", "closed")) as server:
        caller = client(server)
        for word in ("on hold", "opened", "closed", "on hold", "opened", "closed"):
            caller.update_chat_status(7, word)
    assert server_side.written == [
        "on hold",
        "on-hold",
        "opened",
        "open",
        "closed",
        "on-hold",
        "open",
        "closed",
    ]


@pytest.mark.parametrize(
    ("word", "tried"),
    [
        ("on hold", ["on hold", "on-hold", "onhold"]),
        ("open", ["opened", "open"]),
        *((word, [word]) for word in ("new", "pending", "no communication", "closed")),
    ],
)
def test_where_no_spelling_is_taken_the_first_refusal_is_raised(
    client: Connect, word: str, tried: list[str]
) -> None:
    with AnsweringServer(server_side := Speller()) as server:
        caller = client(server)
        for _ in range(2):  # nothing is remembered
            server_side.written.clear()
            with pytest.raises(HelpCrunchBadRequestError, match=f"{tried[0]} value is invalid"):
                caller.update_chat_status(7, word)
            assert server_side.written == tried


def test_a_spelling_that_was_taken_once_is_not_blamed_for_a_later_refusal(client: Connect) -> None:
    def answer(asked: Asked) -> Any:
        return refusal(400, "The chat is locked") if asked.body["id"] == 8 else speller(asked)

    speller = Speller("on-hold")
    with AnsweringServer(answer) as server:
        caller = client(server)
        caller.update_chat_status(7, "on hold")
        with pytest.raises(HelpCrunchBadRequestError, match="The chat is locked"):
            caller.update_chat_status(8, "on hold")
    assert [asked.body["id"] for asked in server.asked] == [7, 7, 8]


def test_a_chat_that_does_not_exist_is_not_asked_for_in_another_spelling(client: Connect) -> None:
    with (
        AnsweringServer(lambda _: refusal(404, "Chat not found")) as server,
        pytest.raises(HelpCrunchNotFoundError),
    ):
        client(server).update_chat_status(7, "on hold")
    assert len(server.asked) == 1


def test_a_spelling_is_confirmed_by_the_chat_too(client: Connect) -> None:
    with (
        AnsweringServer(lambda _: {"id": 7, "status": "new"}) as server,
        pytest.raises(HelpCrunchUnconfirmedError, match="shows status 'new' instead of 'onhold'"),
    ):
        client(server).update_chat_status(7, "on hold")
    assert len(server.asked) == 1


# Arguments


@pytest.mark.parametrize("word", [[], {}, ["closed"], {"closed": 1}, set(), bytearray(b"closed"), None, 5])
@pytest.mark.parametrize("read", [known_status, written_status, written_statuses, written_rating])
def test_what_is_no_word_is_one_sentence(read: Callable[[Any], Any], word: Any) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        read(word)
    assert repr(word) in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        *map(datetime.fromisoformat, ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")),
        *("20261301", "20260230"),
    ],
    ids=str,
)
def test_a_moment_beyond_the_calendar_is_one_sentence(value: Any) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="until must be a time: a datetime, ISO 8601 text"):
        moment("until", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T14:00:00+14:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_the_ends_of_the_calendar_are_moments(value: str, expected: datetime) -> None:
    assert moment("until", value) == expected


@pytest.mark.parametrize("value", ["20240501", " 20240501\n", "2024-05-01", 20240501])
def test_a_day_without_dashes_is_a_day_and_not_a_second_of_1970(value: str | int) -> None:
    assert moment("since", value) == datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(("offset", "limit"), [(-1, 10), (0, 0), (0, 101)])
def test_a_page_that_is_not_served_is_one_sentence(client: Connect, offset: int, limit: int) -> None:
    with (
        AnsweringServer(lambda _: FOUND) as server,
        pytest.raises(HelpCrunchConfigurationError, match="offset must be 0 or more, and limit 1 to 100"),
    ):
        client(server).search_chats_page(offset=offset, limit=limit)
    assert server.asked == []
