"""Pages fetched ahead of their use, in threads."""

from __future__ import annotations

import collections
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_helpcrunch.client.pages import Page


class _Pending(NamedTuple):
    offset: int
    cancelled: threading.Event
    page: Future[Page]


class Prefetch:
    """
    A window of pages in flight. Those that turn out not to be wanted are given up at once.

    :param get: ``get(offset, cancelled)`` fetches one page; ends early when the event is set
    :param in_flight: how many pages are fetched at a time
    """

    def __init__(self, get: Callable[[int, threading.Event], Page], in_flight: int) -> None:
        self._get = get
        self._in_flight = in_flight
        self._pool = ThreadPoolExecutor(in_flight, thread_name_prefix="helpcrunch-page")
        self._window: collections.deque[_Pending] = collections.deque()

    def page(self, offset: int, following: Iterator[int]) -> Page:
        """
        Return the page at ``offset``, while as many of the next ones are fetched as may be in flight.

        :param offset: the page that is wanted now
        :param following: offsets that will probably be wanted after it, ascending
        :raises Exception: what fetching that page raised
        """
        if not self._window or self._window[0].offset != offset:
            self._give_up()
            self._submit(offset)
        last = self._window[-1].offset
        for next_offset in following:
            if len(self._window) >= self._in_flight:
                break
            if next_offset > last:
                self._submit(next_offset)
        return self._window.popleft().page.result()

    def __enter__(self) -> Self:
        """Start no thread before the first page is asked for."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is in flight, without waiting for it."""
        self._give_up()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, offset: int) -> None:
        cancelled = threading.Event()
        self._window.append(_Pending(offset, cancelled, self._pool.submit(self._get, offset, cancelled)))

    def _give_up(self) -> None:
        for pending in self._window:
            pending.cancelled.set()
            pending.page.cancel()
        self._window.clear()
