"""Totals that would end a list too early, or let a loss pass without a word: in every walk there is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
from airflow_provider_helpcrunch.client.pages import Page
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

Connect = Callable[..., HelpCrunchClient]
Total = Callable[[int, int, int], Any]
"""``total(size, offset, rows)``: what a page tells."""

LIES: dict[str, Total] = {
    "rows of this page": lambda size, offset, rows: rows,
    "offset and rows": lambda size, offset, rows: offset + rows,
    "offset and rows, as text": lambda size, offset, rows: str(offset + rows),
    "the limit": lambda size, offset, rows: 100,
    "capped at a page": lambda size, offset, rows: min(size, 100),
    "capped at two pages": lambda size, offset, rows: min(size, 199),
    "capped": lambda size, offset, rows: min(size, 1000),
    "what is left": lambda size, offset, rows: size - offset,
    "zero": lambda size, offset, rows: 0,
    "one too few": lambda size, offset, rows: size - 1,
    "falling": lambda size, offset, rows: max(size - offset // 2, 0),
    "nothing": lambda size, offset, rows: None,
}
SIZES = [1, 99, 100, 101, 150, 199, 200, 250, 298, 1000, 1090, 1200]


def walk(
    size: int, total: Total, *, cap: int = 100, page_size: int = 100, in_flight: int = 1
) -> tuple[list[int], Listing[Any]]:
    """Return what a walk over a list in memory yields, and the walk."""

    def fetch(offset: int, limit: int, _: threading.Event, *, probe: bool = False) -> Page:
        ids = list(range(size))[offset : offset + min(limit, cap)]
        told = total(size, offset, len(ids))
        page = Page([{"id": number} for number in ids], ids, None if told is None else int(told), offset)
        if not probe:
            page.refuse_empty()
        return page

    listing: Listing[Any] = Listing(fetch, page_size=page_size, in_flight=in_flight)
    return [record["id"] for record in listing], listing


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lie", LIES)
def test_no_total_ends_a_list_too_early(lie: str, size: int, in_flight: int) -> None:
    assert walk(size, LIES[lie], in_flight=in_flight)[0] == list(range(size))


@pytest.mark.parametrize("page_size", [2, 10, 37])
@pytest.mark.parametrize("lie", LIES)
def test_nor_at_another_page_size(lie: str, page_size: int) -> None:
    assert walk(250, LIES[lie], page_size=page_size)[0] == list(range(250))


@pytest.mark.parametrize("cap", [10, 50])
@pytest.mark.parametrize("most", [100, 199, 1000])
def test_a_capped_total_of_a_server_that_sends_less_than_it_is_asked_for(cap: int, most: int) -> None:
    """Full is what is full for that server."""
    for size in range(most - 2, most + 120, 7):
        got, _ = walk(size, lambda size, *_: min(size, most), cap=cap)
        assert got == list(range(size))


def test_a_total_capped_far_below_the_size_is_no_endless_list() -> None:
    """More than twenty times the total, as with a search engine that stops counting at 10,000."""
    assert len(walk(25_000, lambda *_: 100)[0]) == 25_000
    assert len(walk(25_000, lambda size, *_: min(size, 10_000))[0]) == 25_000


def test_a_total_that_is_counted_before_the_rows_are_selected() -> None:
    """Rows come in between: the page is full, and its total says that it is the last one."""
    sizes = iter([100, *[250] * 20])
    assert walk(250, lambda *_: next(sizes))[0] == list(range(250))


def test_a_record_that_is_missing_under_a_steady_total_is_loud_at_an_end_without_a_total_too() -> None:
    """The last page ends with a record met before, so only a look behind it shows the end."""

    def fetch(offset: int, limit: int, _: threading.Event, *, probe: bool = False) -> Page:
        order = [*range(229), 5] if offset else list(range(230))
        ids = order[offset : offset + limit]
        page = Page([{"id": number} for number in ids], ids, 230, offset)
        if not probe:
            page.refuse_empty()
        return page

    with pytest.raises(
        HelpCrunchPaginationError, match="reported 230 records throughout, but its pages held 229"
    ):
        list(Listing(fetch, in_flight=1))


@pytest.mark.parametrize("lie", [-1, 1])
def test_a_proven_end_that_contradicts_a_steady_total_is_a_warning(lie: int) -> None:
    got, listing = walk(229, lambda size, *_: size + lie)
    assert got == list(range(229))
    assert listing.warnings == [f"HelpCrunch reports {229 + lie} records, but the list ends after 229."]


# Over the wire, through every way of the client


def read(client: HelpCrunchClient, what: str) -> list[int]:
    """Return the ids of a list."""
    listings: dict[str, Callable[[], Any]] = {
        "agents": client.iter_agents,
        "departments": client.iter_departments,
        "chats": client.iter_chats,
        "search": client.iter_search_chats,
        "activity": lambda: client.iter_active_chats(0),
    }
    return sorted(record["id"] for record in listings[what]())


class Server:
    """
    Answers every list with records 1 to ``size``.

    :param total: what it tells
    :param empty: how many of its first answers hold nothing
    """

    def __init__(self, size: int, total: Total, empty: int = 0, place: str = "meta") -> None:
        self.size, self.total, self.place = size, total, place
        self.requests, self.empty = 0, empty

    def __call__(self, asked: Asked) -> Any:
        self.requests += 1
        if self.requests <= self.empty:
            return {"data": [], "meta": {"total": 0}}
        given = asked.body or asked.query
        offset, limit = int(given["offset"]), int(given["limit"])
        rows = [
            {"id": number, "status": "opened", "lastMessageAt": str(2_000_000_000 - number)}
            for number in range(1, self.size + 1)
        ][offset : offset + limit]
        told = {"total": self.total(self.size, offset, len(rows))}
        return {"data": rows, **(told if self.place == "root" else {"meta": told})}


WHAT = ["agents", "departments", "chats", "search", "activity"]


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("place", ["root", "meta"])
@pytest.mark.parametrize("lie", LIES)
def test_every_list_survives_it(client: Connect, what: str, place: str, lie: str) -> None:
    with AnsweringServer(Server(250, LIES[lie], place=place)) as server:
        assert read(client(server), what) == list(range(1, 251))


@pytest.mark.parametrize("what", WHAT)
def test_nothing_at_all_as_the_first_answer_is_asked_for_once_more(client: Connect, what: str) -> None:
    with AnsweringServer(Server(7, lambda size, *_: size, empty=1)) as server:
        assert read(client(server), what) == list(range(1, 8))
    with AnsweringServer(answer := Server(0, lambda size, *_: size)) as server:
        assert read(client(server), what) == []
    assert answer.requests == 2


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize(("size", "requests"), [(1, 1), (99, 1), (100, 2), (101, 2), (199, 3)])
def test_every_list_costs_the_same(client: Connect, what: str, size: int, requests: int) -> None:
    with AnsweringServer(answer := Server(size, lambda size, *_: size)) as server:
        read(client(server), what)
    front = what == "activity" and size > 100  # read once more, for what moved there meanwhile
    assert answer.requests == requests + front
