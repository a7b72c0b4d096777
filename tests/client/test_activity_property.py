"""
The promise of a listing by activity, against chats that move to the front between any two answers.

The account lives in memory here: a socket would show nothing more, and thousands of schedules would take hours.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_helpcrunch.client.pages import Page
from airflow_provider_helpcrunch.client.pagination import ActivityListing, refuse_wrong_activity
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError
from airflow_provider_helpcrunch.unix_time import EPOCH

QUIET = settings(max_examples=60, suppress_health_check=list(HealthCheck))
SIZES = st.sampled_from([0, 1, 2, 9, 10, 11, 19, 20, 60, 200])
MOST_REQUESTS = 3000


class LivelyAccount:
    """
    Chats in the order of their last message, changed after every answer.

    :param size: chats at the beginning
    :param messages: how many chats get a message after the n-th answer
    :param removals: how many chats are deleted after the n-th answer
    :param rng: which ones; half of the messages go to the ten chats in front
    :param told: whether answers tell a total
    """

    def __init__(
        self,
        size: int,
        messages: Sequence[int],
        rng: random.Random,
        *,
        removals: Sequence[int] = (),
        told: bool = True,
    ) -> None:
        self._rng = rng
        self._messages, self._removals = iter(messages), iter(removals)
        self._told = told
        self._now = size
        self.order = [(number, number) for number in range(size, 0, -1)]
        self.throughout = set(range(1, size + 1))
        self.requests = 0

    def fetch(self, offset: int, limit: int, _: threading.Event, *, probe: bool = False) -> Page:
        """Answer one request, then change."""
        self.requests += 1
        assert self.requests < MOST_REQUESTS, "it does not end"
        rows = self.order[offset : offset + limit]
        records = [{"id": number, "lastMessageAt": time} for time, number in rows]
        page = Page(records, [number for _, number in rows], len(self.order) if self._told else None, offset)
        for _change in range(next(self._messages, 0)):
            self._message()
        for _change in range(next(self._removals, 0)):
            if self.order:
                self.throughout.discard(self.order.pop(self._rng.randrange(len(self.order)))[1])
        if not probe:
            page.refuse_empty()
            refuse_wrong_activity(page)
        return page

    def _message(self) -> None:
        if not self.order:
            return
        reach = 10 if self._rng.random() < 0.5 else len(self.order)
        _, number = self.order.pop(self._rng.randrange(min(reach, len(self.order))))
        self._now += self._rng.randrange(2)  # some share a second
        self.order.insert(0, (self._now, number))


def read(account: LivelyAccount, page_size: int) -> list[int]:
    """Return the ids in the order in which they were yielded."""
    return [chat["id"] for chat in ActivityListing(account.fetch, EPOCH, page_size=page_size)]


def assert_kept(account: LivelyAccount, got: list[int]) -> None:
    """Nothing twice, and nothing missing of what was there all the time."""
    assert len(got) == len(set(got))
    assert not account.throughout - set(got)


@QUIET
@given(
    size=SIZES,
    messages=st.lists(st.integers(0, 25), max_size=40),
    seed=st.integers(0, 2**32),
    page_size=st.sampled_from([2, 3, 10, 100]),
    told=st.booleans(),
)
def test_whatever_gets_a_message_each_chat_comes_once_or_it_is_loud(
    size: int, messages: list[int], seed: int, page_size: int, told: bool
) -> None:
    account = LivelyAccount(size, messages, random.Random(seed), told=told)
    try:
        got = read(account, page_size)
    except HelpCrunchPaginationError:
        return
    assert_kept(account, got)


@QUIET
@given(
    size=SIZES,
    messages=st.lists(st.integers(0, 5), max_size=40),
    removals=st.lists(st.integers(0, 5), max_size=40),
    seed=st.integers(0, 2**32),
    page_size=st.sampled_from([2, 10, 100]),
    told=st.booleans(),
)
def test_whatever_vanishes_each_lasting_chat_comes_once_or_it_is_loud(
    size: int, messages: list[int], removals: list[int], seed: int, page_size: int, told: bool
) -> None:
    account = LivelyAccount(size, messages, random.Random(seed), removals=removals, told=told)
    try:
        got = read(account, page_size)
    except HelpCrunchPaginationError:
        return
    assert_kept(account, got)


@QUIET
@given(
    size=SIZES,
    messages=st.lists(st.integers(0, 1), max_size=200),
    seed=st.integers(0, 2**32),
    page_size=st.sampled_from([10, 37, 100]),
)
def test_with_one_message_a_page_it_is_complete_and_never_loud(
    size: int, messages: list[int], seed: int, page_size: int
) -> None:
    account = LivelyAccount(size, messages, random.Random(seed))
    assert_kept(account, read(account, page_size))


@pytest.mark.parametrize(("size", "requests"), [(0, 2), (1, 1), (100, 2), (101, 3), (199, 4), (1000, 12)])
def test_a_quiet_account_costs_one_request_a_page_and_at_most_one_look_at_the_front(
    size: int, requests: int
) -> None:
    account = LivelyAccount(size, [], random.Random(1))
    assert read(account, 100) == list(range(size, 0, -1))
    assert account.requests <= requests
