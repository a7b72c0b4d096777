"""Pages fetched ahead of their use, in threads."""

from __future__ import annotations

import collections
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, Self

from airflow_provider_helpcrunch.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_helpcrunch.client.pages import Page


class _Pending(NamedTuple):
    offset: int
    cancelled: threading.Event
    page: Future[Page]


class Prefetch:
    """
    A window of pages in flight. Pages that turn out not to be needed are cancelled at once.

    :param get: ``get(offset, cancelled)`` fetches one page; ends early when the event is set
    :param in_flight: how many pages are fetched at a time
    """

    def __init__(self, get: Callable[[int, threading.Event], Page], in_flight: int) -> None:
        self._get = get
        self._in_flight = in_flight
        self._window: collections.deque[_Pending] = collections.deque()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the pages that the parent's threads are fetching."""
        self._window.clear()

    def page(self, offset: int, reach: int, following: Iterable[int]) -> Page:
        """
        Return the page at ``offset``, or one in flight from shortly before it, and fetch the next ones ahead.

        Pages shorter than expected shift what is wanted; those in flight still overlap and are not wasted.

        :param offset: offset of the page that is wanted now
        :param reach: how many rows before it a page may begin and still bring something new
        :param following: offsets that will probably be wanted after it, ascending
        :raises Exception: what fetching that page raised
        """
        while self._window and (self._window[0].offset <= offset - reach or self._next_is_better(offset)):
            self._cancel(self._window.popleft())
        if not self._window or self._window[0].offset > offset:
            self._window.appendleft(self._submitted(offset))
        last = self._window[-1].offset
        for next_offset in following:
            if len(self._window) >= self._in_flight:
                break
            if next_offset > last:
                self._window.append(self._submitted(next_offset))
        pending = self._window.popleft()
        try:
            return pending.page.result()
        except BaseException:  # including one that interrupts the wait
            self._cancel(pending)
            raise

    def put_back(self, page: Page) -> None:
        """
        Keep a page that was read too early; :meth:`page` finds it again.

        :param page: the page
        """
        ready: Future[Page] = Future()
        ready.set_result(page)
        self._window.appendleft(_Pending(page.offset, threading.Event(), ready))

    def clear(self) -> None:
        """Cancel the pages in flight, without waiting for them."""
        while self._window:
            self._cancel(self._window.popleft())

    def _next_is_better(self, offset: int) -> bool:
        return len(self._window) > 1 and self._window[1].offset <= offset

    def __enter__(self) -> Self:
        """Start no thread before the first page is asked for."""
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel the pages in flight, without waiting for them."""
        self.clear()

    def _submitted(self, offset: int) -> _Pending:
        pending = _Pending(offset, threading.Event(), Future())
        # A daemon, unlike the threads of an executor: a process that ends need not wait for pages that nobody reads.
        threading.Thread(target=self._fetch, args=(pending,), name="helpcrunch-page", daemon=True).start()
        return pending

    def _fetch(self, pending: _Pending) -> None:
        try:
            page = self._get(pending.offset, pending.cancelled)
        except BaseException as error:
            pending.page.set_exception(error)
        else:
            pending.page.set_result(page)

    def _cancel(self, pending: _Pending) -> None:
        pending.cancelled.set()
