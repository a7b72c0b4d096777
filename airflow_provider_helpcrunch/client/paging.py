"""
Offset paging that is complete, or loud.

HelpCrunch pages by offset, without a snapshot: while a run pages, rows appear and vanish in front of it and shift all
others. The promise of :class:`Listing` all the same: **every record that exists during the whole run is yielded
exactly once, or** :class:`~airflow_provider_helpcrunch.exceptions.HelpCrunchPaginationError` **is raised.**

It rests on one rule: each page begins with the last record of the page before it. Why that suffices, for any order
that is stable:

- Say everything up to the furthest known record has been yielded (of the records that exist throughout).
- A page is one answer, so at its moment it held *all* records between its first and its last.
- If it holds any known record, nothing is missing between what is known and what stands behind that record in the
  page. So everything up to the page's last record has now been yielded. It does not matter in which order, or how much
  earlier, the pages were fetched: eight may be in flight.
- A page without a known record shows that rows were deleted in front of it; pages from further in front are read
  until one joins. A page from offset 0 always joins: nothing stands before it.
- The end is where :mod:`~airflow_provider_helpcrunch.client.list_end` says.

The total is a hint for fetching ahead and a check, never the reason to stop before the end is seen. That the order is
stable is checked where it shows: records that stood in one page must keep their order in others, and where every page
told the same total, so many records must have come.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar, cast

from airflow_provider_helpcrunch.client.id_set import IdSet
from airflow_provider_helpcrunch.client.list_end import ListEnd
from airflow_provider_helpcrunch.client.pages import Page
from airflow_provider_helpcrunch.client.prefetch import Prefetch
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

LARGEST_PAGE = 100
STALLED_PAGES = 50
"""Pages in a row that may bring nothing new, because rows inserted in front push known ones back."""

MOST_TIMES_TOTAL = 20
"""So many times the total may come before the list counts as endless; a total may be capped, hence the next."""

NOT_ENDLESS = 1_000_000
"""So many records are no endless list, whatever the total."""

FRUITLESS_BRIDGES = 20
"""How often deleted rows may be bridged without getting further down the list."""

R = TypeVar("R")
Check = Callable[[Page], None]
Fetch = Callable[[int, int, Check, threading.Event], Page]
"""``fetch(offset, limit, check, cancelled)``: one page; repeats the request when ``check`` refuses the answer."""


class Listing(Iterator[R], Generic[R]):
    """
    All records of one resource, page by page; can be read once. Closing it ends its requests.

    :param fetch: gets one page
    :param page_size: records a page, 1 to 100. Pages overlap by one record, so 1 is read as 2
    :param in_flight: pages fetched at a time once the total is known
    """

    def __init__(self, fetch: Fetch, *, page_size: int = LARGEST_PAGE, in_flight: int = 8) -> None:
        self.pages = 0
        """Pages that have been joined so far."""
        self.records = 0
        """Records that have been yielded or stand ready."""
        self.total: int | None = None
        """How many records HelpCrunch says there are, as of the newest page."""
        self.warnings: list[str] = []
        """What a reader of the result should know: a total that contradicts the proven end."""
        self._limit = max(page_size, 2)
        self._in_flight = in_flight
        self._fetch = fetch
        self._cancelled = threading.Event()
        self._known = IdSet()
        self._recent: collections.deque[dict[int, int]] = collections.deque(maxlen=2 * in_flight)
        self._first: Page | None = None
        self._end = ListEnd(self._limit)
        self._stride = 1
        self._last: int | None = None
        self._position = 0
        self._ended = False
        self._stalled = 0
        self._furthest = 0
        self._bridges = 0
        self._rows = self._walk()

    @property
    def read(self) -> int:
        """Different records read so far: all of them are yielded."""
        return self.records

    def __next__(self) -> R:
        return next(self._rows)

    def close(self) -> None:
        """End the listing: pages still in flight are given up."""
        self._rows.close()

    def _walk(self) -> Generator[R, None, None]:
        try:
            with Prefetch(self._get, self._in_flight) as prefetch:
                yield from self._accept(0, self._get(0, self._cancelled))
                while not self._ended:
                    wanted = self._position
                    offset, page = prefetch.page(wanted, max(self._stride // 2, 1), self._planned(wanted))
                    if offset == wanted or any(number not in self._known for number in page.ids):
                        yield from self._join(offset, page)
        finally:
            self._cancelled.set()

    def _get(self, offset: int, cancelled: threading.Event) -> Page:
        return self._fetch(offset, self._limit, lambda page: self._check(offset, page), cancelled)

    def _planned(self, offset: int) -> range:
        """Offsets worth fetching ahead: as far as the total promises a record behind the shared one."""
        return range(offset + self._stride, (self.total or 0) - 1, self._stride)

    def _check(self, offset: int, page: Page) -> None:
        """Refuse an answer that no honest server gives."""
        self._end.note_total(page.total)
        if not page.ids and page.total is not None and page.total > offset:
            msg = f"The page at offset {offset} is empty, though there should be {page.total} records."
            raise HelpCrunchPaginationError(msg)
        promised = page.total is not None and page.total > offset + len(page)
        if promised and self._starts_over(offset, page) and not self._pushed_back(offset, page):
            msg = f"The page at offset {offset} is the first page once more: HelpCrunch ignored the offset."
            raise HelpCrunchPaginationError(msg)

    def _starts_over(self, offset: int, page: Page) -> bool:
        return offset > 0 and self._first is not None and len(page) > 1 and page.ids == self._first.ids

    def _pushed_back(self, offset: int, page: Page) -> bool:
        """Whether so many rows were inserted in front that the first page may well stand at ``offset`` now."""
        before, now = self._first.total if self._first else None, page.total
        return before is not None and now is not None and now - before >= offset

    def _join(self, offset: int, page: Page) -> Iterator[R]:
        if self._starts_over(offset, page) and self._is_unpaged(page):
            self._finish(len(page))
        elif self._joins(offset, page):
            yield from self._accept(offset, page)
        else:
            yield from self._bridge(offset, page)

    def _joins(self, offset: int, page: Page) -> bool:
        return offset == 0 or any(number in self._known for number in page.ids)

    def _bridge(self, offset: int, page: Page) -> Iterator[R]:
        """Rows were deleted in front of ``page``: read from further in front, at growing distance, until it joins."""
        step = self._limit // 2
        if self.total is not None and page.total is not None:
            step += max(self.total - page.total, 0)
        self._bridges = 1 if offset > self._furthest else self._bridges + 1
        self._furthest = max(self._furthest, offset)
        if self._bridges > FRUITLESS_BRIDGES:
            msg = f"Records vanish, or move, faster than they can be listed; given up at offset {offset}."
            raise HelpCrunchPaginationError(msg)
        back, bridge = offset, page
        while not self._joins(back, bridge):
            back = max(offset - step, 0)
            bridge = self._get(back, self._cancelled)
            step *= 2
        yield from self._accept(back, bridge)
        if not self._ended and self._position >= offset and self._joins(offset, page):
            yield from self._accept(offset, page)

    def _accept(self, offset: int, page: Page) -> Iterator[R]:
        """Take over a page that joins: return what is new in it, move on to its last record, see if that is the end."""
        self._check_order(page)
        self._first = self._first or page
        new = [
            record for number, record in zip(page.ids, page.records, strict=True) if self._known.add(number)
        ]
        self.pages += 1
        self.records += len(new)
        self._stride = max(len(page) - 1, 1)
        self._position = offset + max(len(page) - 1, 0)
        self.total = page.total
        if self.total and self.records > max(MOST_TIMES_TOTAL * self.total, NOT_ENDLESS):
            msg = f"HelpCrunch says that there are {self.total} records, but no end after {self.records}."
            raise HelpCrunchPaginationError(msg)
        fresh = bool(new) and new[-1] is page.records[-1]
        self._last = page.ids[-1] if fresh else self._last
        self._see_end(offset + len(page), page, new=bool(new))
        return iter(cast("list[R]", new))

    def _see_end(self, reached: int, page: Page, *, new: bool) -> None:
        def look() -> Page:
            return self._unchecked(reached, self._limit)

        if self._end.is_behind(page, reached, look, last=self._last, new=new):
            self._finish(reached)
            return
        self._stalled = 0 if new else self._stalled + 1
        if self._stalled > STALLED_PAGES + self.pages // 2:
            msg = (
                f"{self._stalled} pages in a row brought no new record; given up at offset {self._position}."
            )
            raise HelpCrunchPaginationError(msg)

    def _finish(self, reached: int) -> None:
        self._ended = True
        if warning := self._end.contradiction(reached, self.records, self.total):
            self.warnings.append(warning)

    def _check_order(self, page: Page) -> None:
        """Two records that once stood in one page must stand in the same order in every other page."""
        for earlier in self._recent:
            places = [earlier[number] for number in page.ids if number in earlier]
            if places != sorted(places):
                msg = "The order of the records changed while they were listed: completeness cannot be promised."
                raise HelpCrunchPaginationError(msg)
        self._recent.append({number: place for place, number in enumerate(page.ids)})

    def _is_unpaged(self, page: Page) -> bool:
        """
        Tell apart why the first page came once more.

        A server without paging (the older documentation) sends everything, whatever the limit. One that ignores the
        offset heeds the limit, and its list still begins with the same record. Else rows were inserted in front.
        """
        start = self._unchecked(0, 1).ids
        if len(start) == 1 and start == page.ids[:1]:
            msg = "HelpCrunch sent the first page once more instead of the next one: it ignored the offset."
            raise HelpCrunchPaginationError(msg)
        return start == page.ids

    def _unchecked(self, offset: int, limit: int) -> Page:
        return self._fetch(offset, limit, lambda page: self._end.note_total(page.total), self._cancelled)
