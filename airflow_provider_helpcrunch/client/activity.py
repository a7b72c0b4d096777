"""Chats by their latest activity: an order that moves while it is read."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.client.id_set import IdSet
from airflow_provider_helpcrunch.client.timestamps import parse_timestamp
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_helpcrunch.client.pages import Page
    from airflow_provider_helpcrunch.client.paging import Fetch
    from airflow_provider_helpcrunch.client.records import Record

MOST_SWEEPS = 50
"""How often the front may be read again because more chats got a message meanwhile."""


class ActivityListing(Iterator["Record"]):
    """
    Every chat with a message at or after ``since``, once; can be read once.

    A message moves its chat to the front, so rows only ever shift towards the back, and no page can skip one of them:
    what stood behind the border still does. Only the chat that moves is then in front of the reader. So after a sweep
    down to ``since`` the front is read again, until it brings nothing new. Chats are never deleted.

    :param fetch: gets one page, latest activity first
    :param since: the moment
    :param page_size: records a page, 1 to 100
    """

    def __init__(self, fetch: Fetch, since: datetime, *, page_size: int) -> None:
        self.pages = 0
        """Pages read so far."""
        self.records = 0
        """Chats that have been yielded or stand ready."""
        self.total: int | None = None
        """How many chats HelpCrunch says the account has."""
        self.warnings: list[str] = []
        """Always empty; here because every listing has it."""
        self._fetch = fetch
        self._since = since
        self._limit = max(page_size, 2)
        self._known = IdSet()
        self._cancelled = threading.Event()
        self._rows = self._walk()

    def __next__(self) -> Record:
        return next(self._rows)

    def close(self) -> None:
        """End the listing."""
        self._cancelled.set()
        self._rows.close()

    def _walk(self) -> Generator[Record, None, None]:
        for _ in range(MOST_SWEEPS):
            before = self.records
            yield from self._sweep()
            if self.records == before:
                return
        msg = f"New chats became active throughout {MOST_SWEEPS} readings of the latest ones; given up."
        raise HelpCrunchPaginationError(msg)

    def _sweep(self) -> Iterator[Record]:
        """Read from the front until a chat is too old, or, when the rest is known, until a page brings nothing new."""
        again, offset = self.pages > 0, 0
        while True:
            page = self._fetch(offset, self._limit, self._check, self._cancelled)
            self.pages += 1
            self.total = page.total
            active = [chat for chat in page.records if self._is_active(chat)]
            new = [chat for chat in active if self._known.add(int(chat["id"]))]
            self.records += len(new)
            yield from new
            if self._reaches_old(page) or (again and not new) or not page.records:
                return
            if page.total is not None and offset + len(page) == page.total:
                return
            # Overlap by one row, so that a page that has nothing in common with what is known shows.
            offset += max(len(page) - 1, 1)

    def _check(self, page: Page) -> None:
        """Refuse a page that is not sorted: it would end the listing too early."""
        moments = [found for chat in page.records if (found := _last_message(chat)) is not None]
        if any(later > earlier for earlier, later in itertools.pairwise(moments)):
            msg = "HelpCrunch did not send the chats latest activity first, as it was asked to."
            raise HelpCrunchPaginationError(msg)

    def _is_active(self, chat: Record) -> bool:
        found = _last_message(chat)
        return found is not None and found >= self._since

    def _reaches_old(self, page: Page) -> bool:
        return any(
            (found := _last_message(chat)) is not None and found < self._since for chat in page.records
        )


def _last_message(chat: Record) -> datetime | None:
    return parse_timestamp(chat.get("lastMessageAt"))
