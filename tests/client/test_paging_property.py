"""
The promise of the walk, against lists that change anywhere between any two answers.

The account lives in memory here: a socket would show nothing more, and thousands of schedules would take hours.
"""

from __future__ import annotations

import random

import pytest
from drifting_account import DriftingAccount
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_helpcrunch.client.pages import Page
from airflow_provider_helpcrunch.client.pagination import Listing
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

SIZES = st.sampled_from([0, 1, 2, 3, 49, 50, 51, 99, 100, 101, 198, 199, 200, 250, 1000])
IN_FLIGHT = st.sampled_from([1, 8])
pytestmark = [pytest.mark.slow, pytest.mark.once]

QUIET = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def totals(kind: str) -> object:
    """Return the total that the account reports, as a function of the true one."""
    return {
        "exact": lambda true: true,
        "missing": lambda _: None,
        "zero": lambda _: 0,
        "high": lambda true: true + 7,
    }[kind]


def walk(account: DriftingAccount, page_size: int, in_flight: int) -> list[int]:
    """Return the ids in the order in which they were yielded."""
    return [record["id"] for record in Listing(account.fetch, page_size=page_size, in_flight=in_flight)]


def assert_kept(account: DriftingAccount, got: list[int]) -> None:
    """Nothing twice, and nothing missing of what was there all the time."""
    assert len(got) == len(set(got))
    assert not account.throughout - set(got)


@QUIET
@given(
    size=SIZES,
    changes=st.lists(st.integers(0, 40), max_size=40),
    seed=st.integers(0, 2**32),
    page_size=st.sampled_from([2, 3, 10, 100]),
    in_flight=IN_FLIGHT,
    total=st.sampled_from(["exact", "missing", "zero", "high"]),
)
def test_whatever_changes_each_lasting_record_comes_once_or_the_walk_raises(
    size: int, changes: list[int], seed: int, page_size: int, in_flight: int, total: str
) -> None:
    account = DriftingAccount(size, changes, random.Random(seed), totals(total))
    try:
        got = walk(account, page_size, in_flight)
    except HelpCrunchPaginationError:
        return
    assert_kept(account, got)


@QUIET
@given(
    size=SIZES,
    changes=st.lists(st.integers(0, 1), max_size=60),
    seed=st.integers(0, 2**32),
    page_size=st.sampled_from([10, 37, 100]),
    in_flight=IN_FLIGHT,
)
def test_with_one_change_a_page_the_walk_never_raises(
    size: int, changes: list[int], seed: int, page_size: int, in_flight: int
) -> None:
    account = DriftingAccount(size, changes, random.Random(seed))
    assert_kept(account, walk(account, page_size, in_flight))


@pytest.mark.parametrize(
    ("changes", "in_flight"),
    [
        (1, 1),
        (9, 8),
        *(pytest.param(changes, 1, marks=pytest.mark.long) for changes in (0, 2, 9, 30)),
        *(pytest.param(changes, 8, marks=pytest.mark.long) for changes in (0, 1, 2, 30)),
    ],
)
def test_a_hundred_walks_under_steady_change_are_all_complete(changes: int, in_flight: int) -> None:
    for seed in range(100):
        account = DriftingAccount(1000, [changes], random.Random(seed))
        assert_kept(account, walk(account, 100, in_flight))


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize(
    ("size", "requests"),
    [(0, 2), (1, 1), (99, 1), (100, 2), (101, 2), (199, 3), (200, 3), (1000, 11), (9901, 101)],
)
def test_a_quiet_account_costs_one_request_a_page_and_one_more_where_the_last_one_is_full_or_empty(
    size: int, requests: int, in_flight: int
) -> None:
    account = DriftingAccount(size, [0], random.Random(1))
    got = walk(account, 100, in_flight)
    assert got == [number for _, number in account.rows]
    assert account.requests == requests


@pytest.mark.parametrize("page_size", [10, pytest.param(100, marks=pytest.mark.long)])
def test_no_honest_account_costs_more_than_one_request_behind_its_end(page_size: int) -> None:
    new = page_size - 1  # the first record of a page is the last one of the page before
    for size in range(10 * page_size + 1):
        account = DriftingAccount(size, [0], random.Random(1))
        assert len(walk(account, page_size, 1)) == size
        more = account.requests - max(1, -(-(size - 1) // new))
        assert more == (size == 0 or (size > 1 and size % new == 1))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("stale", [{297}, {297, 396, 495}, set(range(297, 1000, 99))])
def test_pages_fetched_before_many_rows_came_in_front_do_not_hold_the_walk_up(
    stale: set[int], seed: int
) -> None:
    """They join nothing, however far the walk steps back: it has to fetch them again."""
    chance = random.Random(seed)
    before = list(range(1, 1001))
    after = [*before]
    for number in range(2001, 2251):
        after.insert(chance.randrange(len(after)), number)
    early = {0, 99, *stale}

    def fetch(offset: int, limit: int, _: object, *, probe: bool = False) -> Page:
        rows = before if offset in early else after
        early.discard(offset)
        ids = rows[offset : offset + limit]
        page = Page([{"id": number} for number in ids], ids, len(rows), offset)
        if not probe:
            page.refuse_empty()
        return page

    got = [record["id"] for record in Listing(fetch, page_size=100, in_flight=8)]
    assert len(got) == len(set(got))
    assert set(before) <= set(got)
