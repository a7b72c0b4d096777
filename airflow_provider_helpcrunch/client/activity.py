"""
Chats by their latest activity: an order that moves while it is read.

A message moves its chat to the front. So while the list is read downwards, rows shift towards the back, and a chat that
moves from behind the reader to the front is missed; all others are met, provided that pages join:

- Each page begins with the last row of the one before. A page with a row met before, no further back than then, joins:
  at its moment it held all rows from that one to its last. Any other shows that rows vanished in front of it (with a
  customer, say, who was deleted); pages from further in front are read until one joins.
- What moved to the front has a later message than any that the reading began with. So the front is read again, down to
  that moment, until a reading needs one page only, which is one answer, or finds that nothing has moved.

The end of the list is where :mod:`~airflow_provider_helpcrunch.client.list_end` says. If all pages told the total that
the list turns out to have, so many chats must have come.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.client.id_set import IdSet
from airflow_provider_helpcrunch.client.list_end import ListEnd
from airflow_provider_helpcrunch.client.pages import refuse_empty_chats
from airflow_provider_helpcrunch.client.timestamps import parse_timestamp
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError, HelpCrunchResponseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_helpcrunch.client.pages import Page
    from airflow_provider_helpcrunch.client.paging import Check, Fetch
    from airflow_provider_helpcrunch.client.records import Record

MOST_SWEEPS = 50
"""How often the front may be read again because more chats got a message meanwhile."""

MOST_STALLED = 20
"""Pages in a row that may lead no further down the list, because rows in front of them come and go."""


class ActivityListing(Iterator["Record"]):
    """
    Every chat with a message at or after ``since``, once; can be read once.

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
        """What a reader of the result should know: a total that contradicts the proven end."""
        self._fetch = fetch
        self._since = since
        self._limit = max(page_size, 2)
        self._known, self._seen = IdSet(), IdSet()
        self._end = ListEnd(self._limit, "chats")
        self._dated = self._mute = False
        self._cancelled = threading.Event()
        self._rows = self._walk()

    @property
    def read(self) -> int:
        """Different chats read so far, those without activity since then included."""
        return len(self._seen)

    def __next__(self) -> Record:
        return next(self._rows)

    def close(self) -> None:
        """End the listing."""
        self._cancelled.set()
        self._rows.close()

    def _walk(self) -> Generator[Record, None, None]:
        until, first = self._since, None
        for again in range(MOST_SWEEPS):
            before, sweep = self.records, _Sweep(self._get, self._end, until)
            for page in sweep.pages():
                yield from self._new(page)
            first = first or sweep
            still = self.records == before
            # The first is looked after even if it was one answer, for what is written meanwhile.
            whole = sweep.one_answer and (again or still or first.size is not None)
            if sweep.newest is None or whole or (still and sweep.newest == until):
                return self._check_seen(first.size, first.total)
            until = sweep.newest
        msg = f"New chats became active throughout {MOST_SWEEPS} readings of the latest ones; given up."
        raise HelpCrunchPaginationError(msg)

    def _get(self, offset: int, check: Check) -> Page:
        def checked(page: Page) -> None:
            self._end.note_total(page.total)
            check(page)

        page = self._fetch(offset, self._limit, checked, self._cancelled)
        self.pages += 1
        self.total = page.total
        return page

    def _new(self, page: Page) -> Iterator[Record]:
        """Return the active chats of a page that have not been yielded."""
        rows = zip(page.ids, page.records, _moments_of(page), strict=True)
        new = [chat for number, chat, at in rows if at and at >= self._since and self._known.add(number)]
        for number in page.ids:
            self._seen.add(number)
        self._dated = self._dated or any(_moments_of(page))
        # A chat without a message has no time of one, as it should.
        self._mute = self._mute or any(chat.get("status") != "empty" for chat in page.records)
        self.records += len(new)
        return iter(new)

    def _check_seen(self, size: int | None, total: int | None) -> None:
        if self._mute and not self._dated:
            msg = "HelpCrunch tells of no chat when its last message was, so which are active is unknown."
            raise HelpCrunchResponseError(msg)
        if size is not None and (warning := self._end.contradiction(size, len(self._seen), total)):
            self.warnings.append(warning)


class _Sweep:
    """
    One reading from the front down to chats whose last message is older than a moment.

    :param get: gets the page at an offset; repeats the request when its second argument refuses the answer
    :param end: finds the end of the list
    :param until: the moment
    """

    def __init__(self, get: Callable[[int, Check], Page], end: ListEnd, until: datetime) -> None:
        self.newest: datetime | None = None
        """The latest message of all when the reading began; ``None`` while no chat has one."""
        self.one_answer = False
        """Whether one page held all chats down to the moment."""
        self.size: int | None = None
        """How many chats the list has, when its end was reached."""
        self.total: int | None = None
        """How many the page there told."""
        self._get = get
        self._end = end
        self._until = until
        self._met = IdSet()
        self._front: list[int] = []
        self._edge: datetime | None = None
        self._last: int | None = None
        self._stalled = 0

    def pages(self) -> Iterator[Page]:
        """Yield the pages that join, until one reaches the moment or the end."""
        offset, step = 0, 0
        while True:
            page = self._page(offset)
            if offset and not any(self._anchors(page)):
                self._stall(offset, further=False)
                step = 2 * step or max(self._end.largest // 2, 1)
                offset = max(offset - step, 0)
                continue
            step, first = 0, self.newest is None
            further = self._meet(page)
            yield page
            if self._is_over(offset, page, further=further):
                self.one_answer = first
                return
            offset += max(len(page) - 1, 0)

    def _page(self, offset: int) -> Page:
        page = self._get(offset, lambda page: _check(page, offset))
        if offset == 0:
            self._front = page.ids
        elif len(page) > 1 and page.ids == self._front and self._page(0).ids == page.ids:
            # So many messages would have changed the front too.
            page = self._get(offset, self._refuse_front)
        return page

    def _refuse_front(self, page: Page) -> None:
        _check(page)
        if page.ids == self._front:
            msg = "HelpCrunch sent the first page once more instead of the next one: it ignored the offset."
            raise HelpCrunchPaginationError(msg)

    def _anchors(self, page: Page) -> list[bool]:
        """Say of each row whether it was met before; one that has moved further back since does not count."""
        return [
            number in self._met and (at is None or (self._edge is not None and at >= self._edge))
            for number, at in zip(page.ids, _moments_of(page), strict=True)
        ]

    def _meet(self, page: Page) -> bool:
        """Take note of a page; return whether it leads further down: what is new in front may have just moved there."""
        self._check_order(page)
        new = [self._met.add(number) for number in page.ids]
        times = [at for at in _moments_of(page) if at]
        self.newest = self.newest or next(iter(times), None)
        self._edge = min((at for at in (self._edge, *times) if at), default=None)
        further = bool(new) and new[-1]
        self._last = page.ids[-1] if further else self._last
        return further

    def _check_order(self, page: Page) -> None:
        """In front of a chat met before, only those may be new that got a message since the reading began."""
        last = max((place for place, anchor in enumerate(self._anchors(page)) if anchor), default=0)
        rows = zip(page.ids[:last], _moments_of(page)[:last], strict=True)
        if any(at and self.newest and at <= self.newest and number not in self._met for number, at in rows):
            msg = "The order of the chats changed while they were listed: completeness cannot be promised."
            raise HelpCrunchPaginationError(msg)

    def _is_over(self, offset: int, page: Page, *, further: bool) -> bool:
        if any(at and at < self._until for at in _moments_of(page)):
            return True
        reached = offset + len(page)

        def look() -> Page:
            return self._get(reached, lambda _: None)

        if self._end.is_behind(page, reached, look, last=self._last, new=further):
            self.size, self.total = reached, page.total
            return True
        self._stall(offset, further=further)
        return False

    def _stall(self, offset: int, *, further: bool) -> None:
        self._stalled = 0 if further else self._stalled + 1
        if self._stalled > MOST_STALLED:
            msg = f"{self._stalled} pages of chats in a row led no further; given up at offset {offset}."
            raise HelpCrunchPaginationError(msg)


def _moments_of(page: Page) -> list[datetime | None]:
    """Return when the last message of each chat of a page was; ``None`` for chats without one."""
    return [parse_timestamp(chat.get("lastMessageAt")) for chat in page.records]


def _check(page: Page, offset: int = 0) -> None:
    """Refuse a page that would end a reading too early, or that does not tell where."""
    moments = _moments_of(page)
    given = [chat.get("lastMessageAt") not in (None, "") for chat in page.records]
    if [at is not None for at in moments] != given:
        msg = "HelpCrunch sent a chat whose lastMessageAt is no time in UNIX seconds."
        raise HelpCrunchResponseError(msg)
    times = [at for at in moments if at]
    if any(later > earlier for earlier, later in itertools.pairwise(times)):
        msg = "HelpCrunch did not send the chats latest activity first, as it was asked to."
        raise HelpCrunchPaginationError(msg)
    refuse_empty_chats(page, offset)
