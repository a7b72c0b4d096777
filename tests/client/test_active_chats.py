"""Chats by latest activity: where it ends, and that nothing is lost though chats move to the front meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import HelpCrunchClient, parse_timestamp
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchPaginationError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]

CHATS = "/v1/chats"
NOW = 2_000_000_000
"""Later than every message of a sandbox."""

ENOUGH = Fault("status", status=400, path=CHATS, nth=300, times=0)
"""Ends a listing that would never end."""


def ids(chats: Any) -> list[int]:
    """Return the ids of chats, in order."""
    return [int(chat["id"]) for chat in chats]


def latest_first(account: Sandbox) -> list[dict[str, Any]]:
    """Return the chats that have a message, latest first."""
    spoken = [chat for chat in account.chats if chat["lastMessageAt"]]
    return sorted(spoken, key=lambda chat: (float(chat["lastMessageAt"]), chat["id"]), reverse=True)


class Moving:
    """
    An account whose chats get messages between any two answers.

    :param times: of each chat its last message, or none
    :param happens: is told the number of the request before each answer, and changes the account
    """

    def __init__(
        self,
        times: dict[int, int | None],
        happens: Callable[[Moving, int], None] = lambda *_: None,
        total: bool = True,
        nulls_first: bool = False,
    ) -> None:
        self.times = times
        self.now = NOW
        self._happens = happens
        self._total = total
        self._nulls = 1 if nulls_first else -1
        self._requests = 0

    def message(self, chat: int) -> None:
        """Let a chat get a message now; make it when it is new."""
        self.now += 1
        self.times[chat] = self.now

    def __call__(self, asked: Asked) -> Any:
        self._requests += 1
        if self._requests > 500:
            return 400, {"errors": [{"code": "endless", "message": "It does not end"}]}
        self._happens(self, self._requests)
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        order = sorted(self.times, key=lambda chat: (self._place(chat), chat), reverse=True)
        rows = [{"id": chat, "lastMessageAt": self._shown(chat)} for chat in order[offset : offset + limit]]
        return {"data": rows, **({"meta": {"total": len(order)}} if self._total else {})}

    def _place(self, chat: int) -> float:
        time = self.times[chat]
        return self._nulls * float("inf") if time is None else time

    def _shown(self, chat: int) -> str | None:
        return None if self.times[chat] is None else str(self.times[chat])


def quiet(size: int) -> dict[int, int | None]:
    """Return chats 1 to size, each with a message a minute before that of the next."""
    return {number: 1_700_000_000 + 60 * number for number in range(1, size + 1)}


# A quiet account


def test_what_is_asked(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=250)
    listing = client(account).iter_active_chats(0)
    chats = list(listing)
    assert ids(chats) == ids(latest_first(account))
    assert [chat["statusRaw"] for chat in chats] == [chat["status"] for chat in latest_first(account)]
    assert (listing.total, listing.records, listing.warnings) == (250, len(chats), [])
    assert listing.pages == len(account.journal)
    for request in account.journal:
        assert (request.method, request.path) == ("GET", CHATS)
        assert request.query == {
            "sort": "chats.lastMessageAt",
            "order": "desc",
            "offset": str(request.offset),
            "limit": "100",
        }


@pytest.mark.parametrize("style", ["string", "integer", "fractional"])
@pytest.mark.parametrize("place", [0, 1, 99, 100, 150])
def test_the_border_is_exact(sandbox: Start, client: Connect, place: int, style: Any) -> None:
    account = sandbox(chats=250, timestamps=style)
    order = latest_first(account)
    border = parse_timestamp(order[place]["lastMessageAt"])
    assert border is not None
    inside = [chat for chat in order if (parse_timestamp(chat["lastMessageAt"]) or border) >= border]
    after = int(border.timestamp()) + 1
    for since in (border, border.isoformat(), int(border.timestamp()), str(int(border.timestamp()))):
        assert ids(client(account).iter_active_chats(since)) == ids(inside)
    assert ids(client(account).iter_active_chats(after)) == [
        chat["id"] for chat in order if float(chat["lastMessageAt"]) >= after
    ]


def test_only_pages_down_to_the_border_are_read(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=1000)
    listing = client(account).iter_active_chats(latest_first(account)[20]["lastMessageAt"])
    assert len(list(listing)) == 21
    assert len(account.journal) <= 2


def test_nothing_is_active_after_now(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=250)
    assert list(client(account).iter_active_chats(datetime(2033, 1, 1, tzinfo=UTC))) == []
    assert len(account.journal) == 1


@pytest.mark.parametrize("size", [0, 1, 2, 99, 100, 101, 199, 200])
@pytest.mark.parametrize("total", ["exact", "missing", "zero", "string", "high", "root"])
def test_every_size_ends(sandbox: Start, client: Connect, size: int, total: Any) -> None:
    account = sandbox(chats=size, total=total, faults=[ENOUGH])
    assert ids(client(account).iter_active_chats(0)) == ids(latest_first(account))


@pytest.mark.parametrize(("page_size", "cap"), [(1, 100), (2, 100), (7, 100), (100, 3), (100, 50)])
def test_every_page_size_and_cap(sandbox: Start, client: Connect, page_size: int, cap: int) -> None:
    account = sandbox(chats=60, page_cap=cap)
    assert ids(client(account).iter_active_chats(0, page_size=page_size)) == ids(latest_first(account))


def test_a_server_that_sends_one_row_a_page_loses_nothing_silently(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=60, page_cap=1)
    try:
        got = ids(client(account).iter_active_chats(0))
    except HelpCrunchPaginationError:
        return
    assert got == ids(latest_first(account))


def test_a_border_that_many_chats_share_ends_only_behind_them(client: Connect) -> None:
    with AnsweringServer(Moving(dict.fromkeys(range(1, 251), 1000) | {999: 999, 998: None})) as server:
        assert ids(client(server).iter_active_chats(1000)) == list(range(250, 0, -1))


@pytest.mark.parametrize("nulls_first", [False, True])
@pytest.mark.parametrize("nulls", [1, 99, 100, 101, 250])
def test_chats_without_a_message_are_not_active_wherever_they_stand(
    client: Connect, nulls: int, nulls_first: bool
) -> None:
    account = Moving(quiet(250) | dict.fromkeys(range(1000, 1000 + nulls)), nulls_first=nulls_first)
    with AnsweringServer(account) as server:
        assert ids(client(server).iter_active_chats(0)) == list(range(250, 0, -1))
        some = client(server).iter_active_chats(1_700_000_000 + 60 * 100)
        assert ids(some) == list(range(250, 99, -1))


@pytest.mark.parametrize("since", ["yesterday", None, "", True, []])
def test_a_wrong_moment_is_refused_before_any_request(sandbox: Start, client: Connect, since: Any) -> None:
    account = sandbox(chats=5)
    with pytest.raises(HelpCrunchConfigurationError, match="since must be a time"):
        client(account).iter_active_chats(since)
    assert account.journal == []


def test_a_closed_listing_sends_no_more(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=500)
    listing = client(account).iter_active_chats(0)
    next(listing)
    listing.close()
    assert list(listing) == []
    assert len(account.journal) == 1


# An account that goes on


def reading(listing: Iterator[Any], after: int, happens: Callable[[list[int]], None]) -> list[int]:
    """Read this many chats, let something happen, and read on to the end."""
    got = ids(itertools.islice(listing, after))
    happens(got)
    return got + ids(listing)


@pytest.mark.parametrize("after", [1, 99, 100, 150, 250])
@pytest.mark.parametrize("again", [0, 1, 98])
def test_a_chat_from_the_back_that_gets_a_message_is_not_lost(
    sandbox: Start, client: Connect, after: int, again: int
) -> None:
    """Not even when chats that were read get one after it and stand before it then."""
    account = sandbox(chats=600)
    before = ids(latest_first(account))

    def happens(got: list[int]) -> None:
        for place, chat in enumerate([before[-1], before[-2], *got[:again]]):
            account.update_chat(chat, lastMessageAt=NOW + place)

    got = reading(client(account).iter_active_chats(0), after, happens)
    assert sorted(got) == sorted(before)


def test_a_chat_is_not_lost_behind_a_page_of_others_that_got_a_message_after_it(
    sandbox: Start, client: Connect
) -> None:
    account = sandbox(chats=600)
    before = ids(latest_first(account))

    def happens(got: list[int]) -> None:
        for place, chat in enumerate([before[-1], *got[:150]]):
            account.update_chat(chat, lastMessageAt=NOW + place)

    got = reading(client(account).iter_active_chats(0), 250, happens)
    assert sorted(got) == sorted(before)


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("step", [1, 7, 40])
def test_chats_that_get_a_message_before_each_answer(client: Connect, step: int, total: bool) -> None:
    """Each is an old one, which leaves what is still to be read, and stands in front from then on."""
    oldest = iter(range(1, 400))

    def happens(account: Moving, request: int) -> None:
        for chat in itertools.islice(oldest, step):
            account.message(chat)

    with AnsweringServer(Moving(quiet(600), happens, total=total)) as server:
        got = ids(client(server).iter_active_chats(0))
    assert sorted(got) == list(range(1, 601))


def test_new_chats_that_come_in_at_first_are_listed_too(client: Connect) -> None:
    def happens(account: Moving, request: int) -> None:
        if request in (2, 3):
            for chat in range(1000 * request, 1000 * request + 30):
                account.message(chat)

    with AnsweringServer(account := Moving(quiet(300), happens)) as server:
        got = ids(client(server).iter_active_chats(0))
    assert len(got) == len(set(got))
    assert set(range(1, 301)) <= set(got) <= set(account.times)
    assert {2000, 2029, 3000, 3029} <= set(got)


def test_old_chats_that_become_active_meanwhile_are_active(client: Connect) -> None:
    def happens(account: Moving, request: int) -> None:
        if request == 2:
            account.message(1)

    since = 1_700_000_000 + 60 * 100
    with AnsweringServer(Moving(quiet(300), happens)) as server:
        got = ids(client(server).iter_active_chats(since))
    assert sorted(got) == [1, *range(100, 301)]


def test_a_chat_that_moves_behind_chats_without_a_message_is_not_lost(client: Connect) -> None:
    def happens(account: Moving, request: int) -> None:
        if request == 4:
            account.message(1)

    account = Moving(quiet(300) | dict.fromkeys(range(1000, 1150)), happens, nulls_first=True)
    with AnsweringServer(account) as server:
        got = ids(client(server).iter_active_chats(0))
    assert sorted(got) == list(range(1, 301))


def test_messages_in_chats_that_were_read_bring_nothing_new_and_it_ends(client: Connect) -> None:
    def happens(account: Moving, request: int) -> None:
        account.message(300 - request % 5)

    with AnsweringServer(Moving(quiet(300), happens)) as server:
        got = ids(client(server).iter_active_chats(0))
    assert sorted(got) == list(range(1, 301))
    assert len(server.asked) < 20


@pytest.mark.parametrize("size", [10, 150])
def test_an_account_with_a_new_chat_before_each_answer_is_not_read_for_ever(
    client: Connect, size: int
) -> None:
    def happens(account: Moving, request: int) -> None:
        account.message(10_000 + request)

    with AnsweringServer(Moving(quiet(size), happens)) as server:
        try:
            got = ids(client(server).iter_active_chats(0))
        except HelpCrunchPaginationError as error:
            assert "giving up" in str(error)  # noqa: PT017
            got = list(range(1, size + 1))
    assert set(range(1, size + 1)) <= set(got)
    assert len(server.asked) < 120


# Servers that do not keep to the rules


@pytest.mark.parametrize("order", [lambda rows: rows[::-1], lambda rows: [*rows[:50], rows[98], rows[60]]])
def test_an_order_that_is_not_latest_first_is_loud(client: Connect, order: Callable[[Any], Any]) -> None:
    def answer(asked: Asked) -> Any:
        payload = account(asked)
        return {**payload, "data": order(payload["data"])}

    account = Moving(quiet(300))
    with (
        AnsweringServer(answer) as server,
        pytest.raises(HelpCrunchPaginationError, match="did not send the chats latest activity first"),
    ):
        list(client(server).iter_active_chats(0))
    assert len(server.asked) == 3


def test_an_order_that_is_wrong_once_is_asked_for_again(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=250, faults=[Fault("shuffle", path=CHATS, nth=2)])
    assert ids(client(account).iter_active_chats(0)) == ids(latest_first(account))


@pytest.mark.parametrize("kind", ["empty_page", "short_page"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_page_that_comes_too_short_once_loses_nothing(
    sandbox: Start, client: Connect, kind: str, nth: int
) -> None:
    account = sandbox(chats=300, faults=[Fault(kind, path=CHATS, nth=nth, rows=10)])
    assert ids(client(account).iter_active_chats(0)) == ids(latest_first(account))


def test_pages_that_stay_empty_under_a_greater_total_are_loud(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=300, faults=[Fault("empty_page", path=CHATS, offset=99, times=0)])
    with pytest.raises(HelpCrunchPaginationError):
        list(client(account).iter_active_chats(0))


@pytest.mark.parametrize("total", ["exact", "missing"])
def test_an_ignored_offset_of_active_chats_is_loud_and_not_endless(
    sandbox: Start, client: Connect, total: Any
) -> None:
    account = sandbox(chats=300, ignore_offset=True, total=total, faults=[ENOUGH])
    with pytest.raises(HelpCrunchPaginationError):
        list(client(account).iter_active_chats(0))


def test_rows_that_vanish_in_front_are_bridged_or_loud(client: Connect) -> None:
    """A customer is deleted with all their chats: what stands behind moves up, past the next page's start."""

    def happens(account: Moving, request: int) -> None:
        if request == 4:
            for chat in range(590, 600):
                account.times.pop(chat)

    with AnsweringServer(account := Moving(quiet(600), happens)) as server:
        try:
            got = ids(client(server).iter_active_chats(0))
        except HelpCrunchPaginationError:
            return
    assert set(got) >= set(account.times)


@pytest.mark.parametrize("kind", ["status", "reset", "truncate", "html", "no_data"])
@pytest.mark.parametrize("nth", [1, 3])
def test_passing_faults_of_active_chats_are_survived(
    sandbox: Start, client: Connect, kind: str, nth: int
) -> None:
    account = sandbox(chats=300, faults=[Fault(kind, path=CHATS, nth=nth)])
    assert ids(client(account).iter_active_chats(0)) == ids(latest_first(account))
