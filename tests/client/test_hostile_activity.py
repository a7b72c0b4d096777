"""Servers that would end, or never end, a listing by activity; over real sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError, HelpCrunchResponseError

pytestmark = pytest.mark.slow

Connect = Callable[..., HelpCrunchClient]
Rows = list[dict[str, Any]]

START = 1_700_000_000
NOW = 2_000_000_000


class Account:
    """
    Chats 1 to ``size``, each with a message a minute after that of the one before.

    :param happens: is called with the number of the request before each answer, and may change ``times``
    :param total: returns the reported total from the number of chats, the rows and the offset; ``None``: none is
    """

    def __init__(
        self,
        size: int,
        happens: Callable[[Account, int], None] = lambda *_: None,
        total: Callable[[int, Rows, int], int | None] = lambda size, *_: size,
    ) -> None:
        self.times: dict[int, int | None] = {number: START + 60 * number for number in range(1, size + 1)}
        self.requests = 0
        self._happens = happens
        self._total = total
        self._now = NOW

    def message(self, *chats: int) -> None:
        """Let chats get a message now, one after the other."""
        for chat in chats:
            self._now += 1
            self.times[chat] = self._now

    def order(self, asked: Asked) -> list[int]:
        """Return the ids in the order of the list."""
        return sorted(self.times, key=lambda chat: (self.times[chat] or 0, chat), reverse=True)

    def window(self, asked: Asked) -> tuple[int, int]:
        """Return offset and limit as this server understands them."""
        return int(asked.query["offset"]), int(asked.query["limit"])

    def row(self, chat: int) -> dict[str, Any]:
        """Return a chat as it is shown."""
        time = self.times[chat]
        return {"id": chat, "status": "opened", "lastMessageAt": None if time is None else str(time)}

    def __call__(self, asked: Asked) -> Any:
        self.requests += 1
        if self.requests > 300:
            return 400, {"errors": [{"code": "endless", "message": "It does not end"}]}
        self._happens(self, self.requests)
        offset, limit = self.window(asked)
        order = self.order(asked)
        rows = [self.row(chat) for chat in order[offset : offset + limit]]
        total = self._total(len(order), rows, offset)
        return {"data": rows, **({} if total is None else {"meta": {"total": total}})}


class WithoutOffsets(Account):
    """Heeds the limit only."""

    def window(self, asked: Asked) -> tuple[int, int]:
        """Begin at the front each time."""
        return 0, int(asked.query["limit"])


class WithLooseTies(Account):
    """Sorts chats of one second in another order for each request."""

    def order(self, asked: Asked) -> list[int]:
        """Sort by time, and else by chance."""
        chance = {chat: hashlib.sha256(f"{chat} {asked.query}".encode()).digest() for chat in self.times}
        return sorted(self.times, key=lambda chat: (self.times[chat] or 0, chance[chat]), reverse=True)


class NullsFirst(Account):
    """Puts chats without a message in front."""

    def order(self, asked: Asked) -> list[int]:
        """Sort by time."""
        return sorted(self.times, key=lambda chat: (self.times[chat] or 2 * NOW, chat), reverse=True)


def read(client: HelpCrunchClient, since: int = 0, page_size: int = 100) -> list[int]:
    """Return the ids that the listing yields."""
    return [int(chat["id"]) for chat in client.iter_active_chats(since, page_size=page_size)]


def untold(*_: Any) -> None:
    """Tell no total."""


# Offsets that are ignored


@pytest.mark.parametrize("total", [lambda size, *_: size, untold])
def test_an_ignored_offset_ends_loudly_after_a_few_requests(client: Connect, total: Any) -> None:
    with (
        AnsweringServer(account := WithoutOffsets(350, total=total)) as server,
        pytest.raises(HelpCrunchPaginationError, match="it ignored the offset"),
    ):
        read(client(server))
    assert account.requests < 12


def test_an_offset_that_is_ignored_once_is_asked_for_again(client: Connect) -> None:
    account = Account(350)

    def answer(asked: Asked) -> Any:
        again = Asked(asked.method, asked.path, {**asked.query, "offset": "0"}, None)
        return account(again if account.requests in (1, 2) else asked)

    with AnsweringServer(answer) as server:
        assert read(client(server)) == list(range(350, 0, -1))


def test_an_ignored_offset_in_a_lively_account_ends_loudly(client: Connect) -> None:
    """No two pages are the same, so only that nothing new comes shows it."""

    def happens(account: Account, request: int) -> None:
        account.message(350 - request % 7)

    with (
        AnsweringServer(account := WithoutOffsets(350, happens)) as server,
        pytest.raises(HelpCrunchPaginationError, match="led no further"),
    ):
        read(client(server))
    assert account.requests < 60


@pytest.mark.parametrize("size", [197, 350])
def test_an_ignored_offset_under_new_chats_ends_loudly(client: Connect, size: int) -> None:
    """Each page brings something new, though only in front; and once its total seems to say that it is the last."""

    def happens(account: Account, request: int) -> None:
        account.message(1000 + request)

    with (
        AnsweringServer(account := WithoutOffsets(size, happens)) as server,
        pytest.raises(HelpCrunchPaginationError, match="led no further"),
    ):
        read(client(server))
    assert account.requests < 60


def test_a_first_page_that_was_pushed_back_by_as_many_messages_is_no_ignored_offset(client: Connect) -> None:
    def happens(account: Account, request: int) -> None:
        if request == 2:
            account.message(*range(1, 10))

    with AnsweringServer(account := Account(60, happens)) as server:
        assert sorted(read(client(server), page_size=10)) == list(range(1, 61))
    assert account.requests < 30


def test_pages_of_one_row_cannot_join_and_end_loudly(client: Connect) -> None:
    class OneRow(Account):
        def window(self, asked: Asked) -> tuple[int, int]:
            return int(asked.query["offset"]), 1

    with (
        AnsweringServer(account := OneRow(60)) as server,
        pytest.raises(HelpCrunchPaginationError, match="sends too few chats per page"),
    ):
        read(client(server))
    assert account.requests < 60


# Empty pages


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_empty_page_that_its_total_contradicts_is_asked_for_again(client: Connect, nth: int) -> None:
    def answer(asked: Asked) -> Any:
        payload = account(asked)
        return {**payload, "data": []} if account.requests == nth else payload

    account = Account(350)
    with AnsweringServer(answer) as server:
        assert read(client(server)) == list(range(350, 0, -1))
    assert account.requests == 6  # four pages, one of them twice, and the front once more


@pytest.mark.parametrize("offset", ["0", "99"])
def test_a_page_that_stays_empty_though_its_total_contradicts_is_loud(client: Connect, offset: str) -> None:
    def answer(asked: Asked) -> Any:
        payload = account(asked)
        return {**payload, "data": []} if asked.query["offset"] == offset else payload

    account = Account(350)
    with (
        AnsweringServer(answer) as server,
        pytest.raises(
            HelpCrunchPaginationError, match=f"page at offset {offset} is empty, although .* 350 chats"
        ),
    ):
        read(client(server))
    assert [asked.query["offset"] for asked in server.asked][-3:] == [offset] * 3


@pytest.mark.parametrize("total", [lambda size, *_: size, untold])
def test_an_account_without_chats_is_empty(client: Connect, total: Any) -> None:
    with AnsweringServer(Account(0, total=total)) as server:
        assert read(client(server)) == []


# Rows that vanish in front


@pytest.mark.parametrize("total", [lambda size, *_: size, untold])
@pytest.mark.parametrize("vanishing", [range(300, 305), range(201, 301), range(100, 349)])
def test_pages_join_though_rows_vanish_in_front(client: Connect, vanishing: range, total: Any) -> None:
    def happens(account: Account, request: int) -> None:
        if request == 3:
            for chat in vanishing:
                account.times.pop(chat)

    with AnsweringServer(account := Account(450, happens, total=total)) as server:
        got = read(client(server))
    assert len(got) == len(set(got))
    assert set(got) >= set(account.times)


def test_a_page_joins_though_most_of_what_was_read_vanishes(client: Connect) -> None:
    def happens(account: Account, request: int) -> None:
        if request == 18:
            for chat in range(1001, 2501):
                account.times.pop(chat)

    with AnsweringServer(account := Account(2500, happens)) as server:
        assert sorted(read(client(server)))[:1000] == list(range(1, 1001))
    assert account.requests < 50


def test_a_chat_that_moves_back_joins_nothing(client: Connect) -> None:
    """Its last messages were deleted, and others vanish: what stands between its old and its new place is not met."""

    def happens(account: Account, request: int) -> None:
        if request == 3:
            account.times[400] = START + 60 * 200 + 30
            for chat in range(390, 400):
                account.times.pop(chat)

    with AnsweringServer(account := Account(450, happens)) as server:
        got = read(client(server))
    assert sorted(got) == sorted(account.times | dict.fromkeys(range(390, 400)))


def test_rows_that_vanish_before_each_answer_end_loudly(client: Connect) -> None:
    def happens(account: Account, request: int) -> None:
        if request > 1:
            for chat in sorted(account.times, reverse=True)[:5]:
                account.times.pop(chat)

    with (
        AnsweringServer(Account(600, happens)) as server,
        pytest.raises(HelpCrunchPaginationError, match="disappear or move faster than they can be listed"),
    ):
        read(client(server), page_size=10)


# How far the front is read again


def test_a_chat_behind_a_page_of_listed_ones_that_were_written_to_after_it_is_not_lost(
    client: Connect,
) -> None:
    def happens(account: Account, request: int) -> None:
        if request == 3:
            account.message(1, *range(251, 351))

    with AnsweringServer(Account(350, happens)) as server:
        assert sorted(read(client(server))) == list(range(1, 351))


def test_a_chat_that_escapes_the_second_look_too_is_not_lost(client: Connect) -> None:
    def happens(account: Account, request: int) -> None:
        if request == 3:
            account.message(1, *range(251, 351))
        if request == 6:  # between the pages of the second look
            account.message(1)

    with AnsweringServer(account := Account(350, happens)) as server:
        assert sorted(read(client(server))) == list(range(1, 351))
    assert account.requests < 10


def test_a_chat_that_moves_to_the_front_behind_chats_without_a_message_is_not_lost(client: Connect) -> None:
    def happens(account: Account, request: int) -> None:
        if request == 4:
            account.message(1)

    account = NullsFirst(350, happens)
    account.times |= dict.fromkeys(range(1000, 1120))
    with AnsweringServer(account) as server:
        assert sorted(read(client(server))) == list(range(1, 351))


@pytest.mark.parametrize(
    ("size", "since", "requests"), [(350, 0, 5), (350, 10, 5), (1000, 950, 2), (1000, 700, 5)]
)
def test_a_quiet_account_costs_one_look_at_the_front(
    client: Connect, size: int, since: int, requests: int
) -> None:
    with AnsweringServer(account := Account(size)) as server:
        got = read(client(server), START + 60 * since)
    assert got == list(range(size, max(since, 1) - 1, -1))
    assert account.requests == requests
    assert [asked.query["offset"] for asked in server.asked].count("0") == 2


@pytest.mark.parametrize(("size", "behind"), [(0, ["0"]), (1, []), (50, []), (99, []), (100, ["50"])])
def test_a_quiet_account_of_one_page_costs_a_look_behind_it_where_that_is_full_or_empty(
    client: Connect, size: int, behind: list[str]
) -> None:
    with AnsweringServer(Account(size)) as server:
        assert read(client(server)) == list(range(size, 0, -1))
    assert [asked.query["offset"] for asked in server.asked] == ["0", *behind]


@pytest.mark.parametrize("lie", [-1, 1])
def test_a_total_that_contradicts_the_end_is_a_warning(client: Connect, lie: int) -> None:
    with AnsweringServer(Account(230, total=lambda size, *_: size + lie)) as server:
        listing = client(server).iter_active_chats(0)
        assert len(list(listing)) == 230
    assert listing.warnings == [f"HelpCrunch reports {230 + lie} chats, but the list ends after 230."]


def test_a_first_page_that_is_empty_once_is_asked_for_again(client: Connect) -> None:
    account = Account(30)

    def answer(asked: Asked) -> Any:
        payload = account(asked)
        return {"data": [], "meta": {"total": 0}} if account.requests == 1 else payload

    with AnsweringServer(answer) as server:
        assert read(client(server)) == list(range(30, 0, -1))


def test_more_chats_of_one_second_than_fit_a_page_end_too(client: Connect) -> None:
    account = Account(0)
    account.times = dict.fromkeys(range(1, 351), START)
    with AnsweringServer(account) as server:
        assert read(client(server)) == list(range(350, 0, -1))
    assert account.requests == 8


def test_a_new_chat_before_each_answer_does_not_keep_it_from_ending(client: Connect) -> None:
    def happens(account: Account, request: int) -> None:
        account.message(1000 + request)

    with AnsweringServer(account := Account(350, happens)) as server:
        assert set(read(client(server))) >= set(range(1, 351))
    assert account.requests < 10


def test_more_new_chats_than_a_page_at_each_look_at_the_front_end_loudly(client: Connect) -> None:
    class Busy(Account):
        def window(self, asked: Asked) -> tuple[int, int]:
            offset, limit = super().window(asked)
            if offset == 0:
                self.message(*range(10_000 + 10 * self.requests, 10_008 + 10 * self.requests))
            return offset, limit

    with (
        AnsweringServer(Busy(20)) as server,
        pytest.raises(HelpCrunchPaginationError, match="New chats kept becoming active"),
    ):
        read(client(server), since=START, page_size=5)


# Times


@pytest.mark.parametrize(
    "shown", [str(START * 1000), START * 1000, "2024-05-01T08:00:00Z", "soon", True, [], {}]
)
def test_a_time_that_cannot_be_read_is_loud(client: Connect, shown: Any) -> None:
    class Odd(Account):
        def row(self, chat: int) -> dict[str, Any]:
            return {**super().row(chat), **({"lastMessageAt": shown} if chat == 30 else {})}

    with (
        AnsweringServer(account := Odd(50)) as server,
        pytest.raises(HelpCrunchResponseError, match="lastMessageAt is not a time in UNIX seconds"),
    ):
        read(client(server))
    assert account.requests == 6


@pytest.mark.parametrize("size", [1, 50, 250])
@pytest.mark.parametrize("given", [{}, {"lastMessageAt": None}, {"lastMessageAt": ""}])
def test_chats_none_of_which_has_a_time_are_loud(client: Connect, size: int, given: dict[str, Any]) -> None:
    class Mute(Account):
        def row(self, chat: int) -> dict[str, Any]:
            return {"id": chat, "status": "opened", **given}

    with (
        AnsweringServer(Mute(size)) as server,
        pytest.raises(HelpCrunchResponseError, match="sent no chat with lastMessageAt"),
    ):
        read(client(server))


def test_chats_that_are_empty_have_no_time_and_are_not_active(client: Connect) -> None:
    class Empty(Account):
        def row(self, chat: int) -> dict[str, Any]:
            return {"id": chat, "status": "empty", "lastMessageAt": None}

    with AnsweringServer(Empty(3)) as server:
        assert read(client(server)) == []


@pytest.mark.parametrize("account", [Account, NullsFirst])
def test_some_chats_without_a_time_are_nothing_odd(client: Connect, account: type[Account]) -> None:
    chats = account(250)
    chats.times |= dict.fromkeys(range(1000, 1120))
    with AnsweringServer(chats) as server:
        assert read(client(server)) == list(range(250, 0, -1))


# The end


@pytest.mark.parametrize("total", [lambda size, *_: size, untold])
@pytest.mark.parametrize("newer", [0, 20, 150])
def test_ties_whose_order_changes_are_loud(client: Connect, newer: int, total: Any) -> None:
    account = WithLooseTies(newer, total=total)
    account.times |= dict.fromkeys(range(1000, 1350), START)
    with (
        AnsweringServer(account) as server,
        pytest.raises(HelpCrunchPaginationError, match="order .*may be incomplete"),
    ):
        read(client(server))


def test_fewer_chats_than_every_page_told_are_loud(client: Connect) -> None:
    """A row that no page holds: nothing but the count shows it."""

    class Holed(Account):
        def order(self, asked: Asked) -> list[int]:
            order = super().order(asked)
            return order if asked.query["offset"] == "0" else [50, *(chat for chat in order if chat != 50)]

    with (
        AnsweringServer(Holed(350)) as server,
        pytest.raises(HelpCrunchPaginationError, match="reported 350 chats throughout, but .* held 349"),
    ):
        read(client(server))


@pytest.mark.parametrize("size", [1, 50, 100, 101, 199, 298, 350])
@pytest.mark.parametrize(
    "total",
    [
        untold,
        lambda _, rows, __: len(rows),
        lambda _, rows, offset: offset + len(rows),
        lambda size, *_: min(size, 100),
        lambda size, *_: min(size, 199),
        lambda size, _, offset: size - offset,
        lambda *_: 100,
        lambda *_: 0,
        lambda size, *_: size // 2,
        lambda size, *_: 2 * size,
    ],
    ids=["none", "of the page", "so far", "capped", "capped later", "left", "limit", "zero", "low", "high"],
)
def test_no_wrong_total_ends_it_too_early(client: Connect, size: int, total: Any) -> None:
    with AnsweringServer(account := Account(size, total=total)) as server:
        assert read(client(server)) == list(range(size, 0, -1))
    assert account.requests < 10
