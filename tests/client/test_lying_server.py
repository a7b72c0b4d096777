"""Servers that break the rules offset paging rests on: the walk finds out and says so, or is still complete."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from in_process import client_of

from airflow_provider_helpcrunch.client.pages import Page, parse_page
from airflow_provider_helpcrunch.client.pagination import Listing
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.sandbox import Sandbox, endpoints, responses

Answer = Callable[[list[int], int, int, int], tuple[list[int], int | None]]
"""``answer(ids, offset, limit, request)``: the ids of the page, and the total it tells."""


def listing(answer: Answer, size: int = 1000, in_flight: int = 1) -> tuple[list[int], Listing[Any]]:
    """Return what a walk yields from a server that answers so, and the walk."""
    counter = iter(range(1, 10**6))
    lock = threading.Lock()

    def fetch(offset: int, limit: int, _: threading.Event, *, probe: bool = False) -> Page:
        with lock:
            ids, total = answer(list(range(size)), offset, limit, next(counter))
        page = Page([{"id": number} for number in ids], ids, total, offset)
        if not probe:
            page.refuse_empty()
        return page

    walk: Listing[Any] = Listing(fetch, in_flight=in_flight)
    return [record["id"] for record in walk], walk


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize("told", [True, False])
def test_pages_shrink_to_one_record_midway(told: bool, in_flight: int) -> None:
    def answer(ids: list[int], offset: int, limit: int, request: int) -> tuple[list[int], int | None]:
        rows = ids[offset : offset + (1 if offset > 300 else limit)]
        return rows, len(ids) if told else None

    with pytest.raises(HelpCrunchPaginationError, match="too few records per page"):
        listing(answer, in_flight=in_flight)


@pytest.mark.parametrize("told", [True, False])
def test_one_page_is_cut_to_the_shared_record_twice(told: bool) -> None:
    seen = []

    def answer(ids: list[int], offset: int, limit: int, request: int) -> tuple[list[int], int | None]:
        if offset == 396:
            seen.append(request)
        rows = ids[offset : offset + (1 if offset == 396 and len(seen) <= 2 else limit)]
        return rows, len(ids) if told else None

    got, walk = listing(answer)
    assert (got, walk.warnings) == (list(range(1000)), [])


def test_the_last_page_is_the_first_one_again_under_a_fitting_total() -> None:
    def answer(ids: list[int], offset: int, limit: int, request: int) -> tuple[list[int], int | None]:
        return (ids[:100], 1090) if offset == 990 else (ids[offset : offset + limit], 1000)

    with pytest.raises(HelpCrunchPaginationError, match="ignored the offset"):
        listing(answer)


@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_record_that_moves_to_the_front_under_a_steady_total_is_missed_loudly(in_flight: int) -> None:
    def answer(ids: list[int], offset: int, limit: int, request: int) -> tuple[list[int], int | None]:
        order = [700, *(number for number in ids if number != 700)] if request > 3 else ids
        return order[offset : offset + limit], len(ids)

    with pytest.raises(HelpCrunchPaginationError, match="reported 1000 records throughout"):
        listing(answer, in_flight=in_flight)


def test_every_other_page_is_empty_and_the_total_is_zero() -> None:
    def answer(ids: list[int], offset: int, limit: int, request: int) -> tuple[list[int], int | None]:
        return ([] if request % 2 == 0 else ids[offset : offset + limit]), 0

    try:
        got, _ = listing(answer)
    except HelpCrunchPaginationError:
        return
    assert got == list(range(1000))


def test_offsets_that_are_off_by_one_or_counted_from_one() -> None:
    for shift in (-1, 1):

        def answer(
            ids: list[int], offset: int, limit: int, request: int, shift: int = shift
        ) -> tuple[list[int], int | None]:
            start = max(offset + shift, 0) if offset else 0
            return ids[start : start + limit], len(ids)

        got, _ = listing(answer)
        assert got == list(range(1000))


@pytest.mark.parametrize("total", ["1" * 5000, 10**400, 1e308, -1, True, [5], "x", 2**63])
def test_a_total_that_is_no_number_of_records_is_none(total: Any) -> None:
    assert parse_page({"data": [], "meta": {"total": total}}).total is None


def test_two_records_with_one_id_are_no_page_but_one_record_twice_is() -> None:
    with pytest.raises(ValueError, match="two different records have the same id"):
        parse_page({"data": [{"id": 7, "name": "a"}, {"id": "7", "name": "b"}]})
    assert len(parse_page({"data": [{"id": 7, "name": "a"}] * 3})) == 1


def test_a_listing_with_two_records_of_one_id_fails_after_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    page = {"data": [{"id": 7, "name": "a"}, {"id": 7, "name": "b"}], "meta": {"total": 2}}
    answer = responses.Answer(200, responses.encode(page))
    monkeypatch.setitem(endpoints.ROUTES, ("GET", "/v1/agents"), lambda *_: answer)
    account = Sandbox()
    with pytest.raises(HelpCrunchResponseError, match="200, but two different records have the same id"):
        client_of(account).list_agents()
    assert len(account.journal) == 6
