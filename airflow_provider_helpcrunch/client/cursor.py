"""
Cursor over a list that changes while it is read: it joins the pages, steps back where they do not join, finds the end.

HelpCrunch pages by offset, without a snapshot: during a run, rows appear and disappear in front of it and shift all
others. The cursor promises nevertheless: **every record that exists during the whole run is read exactly once, or**
:class:`~airflow_provider_helpcrunch.exceptions.HelpCrunchPaginationError` **is raised.** It rests on one rule:

    Each page begins with the last record of the page before it.

Why that suffices, for any order that is stable:

- Assume that everything up to the furthest known record has been read (of the records that exist throughout).
- A page is one response, so it holds *all* records that stood between its first and its last at one moment.
- If it holds any known record, nothing is missing between that record and those that stand behind it in the page. So
  everything up to the page's last record has now been read. It does not matter in which order, or how much earlier, the
  pages were fetched.
- A page without a known record shows that rows were deleted in front of it; pages from further in front are read until
  one joins. A page from offset 0 always joins: nothing stands before it.

The end is harder than it looks, because a total proves nothing by itself. Some servers send the length of the page, or
the offset plus that; a search engine stops counting at 10,000; and a total may be counted a moment before the rows are
selected. So a page ends the list at once only if two signs agree: it is shorter than a full page, and its total, which
never changed in this run, says that nothing follows. In every other case one more request decides, which overlaps with
the page: if its response is short and holds nothing new, the list ends. An empty first page is checked in the same way,
by sending the same request again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_helpcrunch.client.pages import Page

    Probe = Callable[[int, int], Page]
    """``probe(offset, limit)``: a page unchecked, empty or not, whatever its total says."""

log = logging.getLogger(__name__)

LARGEST_PAGE = 100
"""Most records that HelpCrunch sends in one page."""

MOST_STALLED = 30
"""Pages in a row that may bring no progress, on top of as many as brought some before: after an import in front of
them, all of those are read once more."""

MOST_STEPS_BACK = 20
"""How often deleted rows may make the cursor step back without progress down the list."""

MOST_REPEATED = 2
"""Times in a row that the first page may come instead of the requested one: a cache may do that once."""

MOST_BARREN = 25
"""Short pages that may bring nothing new although more records follow."""

MOST_GROWTH = 5
"""Times in a row that the cursor follows a list that only grows at its end, by less than half a page at a time."""


class Cursor:
    """
    Position in one list, and the proof that nothing before it was missed.

    A walk over the list gets the page at :attr:`offset`, asks whether it :meth:`joins`, and if so lets the cursor
    :meth:`take` it, until there is an :attr:`end`.

    :param page_size: records per page, 1 to 100 (100). Pages overlap by one record, so 1 counts as 2
    :param noun: name of the records, in the plural, for messages (``records``)
    :param may_join: whether a known record may join a page; if the order changes, one that has moved must not. Default:
        every one may
    """

    def __init__(
        self,
        page_size: int = LARGEST_PAGE,
        noun: str = "records",
        may_join: Callable[[dict[str, Any]], bool] = lambda record: True,
    ) -> None:
        self.limit = max(page_size, 2)
        """Records to request per page."""
        self.offset = 0
        """Offset of the next page."""
        self.shared: int | None = None
        """Id of the record at that offset, which the next page begins with."""
        self.known: set[int] = set()
        """Ids of all records in the pages taken so far, except those that left the list."""
        self.pages = 0
        """Pages taken."""
        self.total: int | None = None
        """Records that HelpCrunch reports, as of the latest page taken."""
        self.end: int | None = None
        """Length of the list, once its end was found."""
        self._noun = noun
        self._may_join = may_join
        self._front: Page | None = None
        self._last: int | None = None
        self._step = 0
        self._steps_back = 0
        self._furthest = 0
        self._stalled = 0
        self._led_further = 0
        self._repeated = 0
        # Facts about the list and the server, which a restart does not change.
        self._totals: set[int | None] = set()
        self._removed = 0
        # Two at least: a page of one record, which no other can join, counts as short.
        self._largest = 2
        self._met_page = False
        self._barren = 0
        self._growth = 0

    def restart(self) -> None:
        """Go back to the first page and forget what was read; the totals of the list still count."""
        self.offset, self.known, self.end = 0, set(), None
        self.shared = self._front = self._last = None
        self._step = self._steps_back = self._furthest = 0
        self._stalled = self._led_further = self._repeated = 0

    def resume(self, offset: int, shared: int, known: Iterable[int] = ()) -> None:
        """
        Continue where another cursor stopped.

        :param offset: its :attr:`offset`
        :param shared: its :attr:`shared`
        :param known: ids of the records that it has read. Default: only the shared one, which suffices to join pages
        """
        self.offset, self.shared, self._last, self.known = offset, shared, shared, {shared, *known}

    def note_total(self, page: Page) -> None:
        """
        Record the total of a response, whether or not the walk uses its records.

        :param page: the response
        """
        # Records that the caller took out of the list are added back, so that only changes by others alter the total.
        self._totals.add(None if page.total is None else page.total + self._removed)

    def joins(self, page: Page) -> bool:
        """
        Return whether a page joins the records read so far; if not, move the offset towards the front.

        :param page: the page
        :raises HelpCrunchPaginationError: too many pages in a row brought no progress
        """
        if page.offset == 0 or any(
            number in self.known and self._may_join(record)
            for number, record in zip(page.ids, page.records, strict=True)
        ):
            self._step = 0
            return True
        if self._step == 0:
            self._count_step_back(page)
        # Doubled each time, so that a page that joins is found in a few requests, however many rows were deleted.
        self._step = 2 * self._step or self.limit // 2 + self._shrunk_by(page)
        self.offset = max(page.offset - self._step, 0)
        self._count_stall(page, further=False)
        return False

    def take(self, page: Page, probe: Probe) -> list[dict[str, Any]]:
        """
        Take a page that joins, move on to its last record, and check whether the list ends there.

        :param page: the page
        :param probe: gets a page unchecked; called at most once, at the end or if the first page comes again
        :return: the records that were not known before
        :raises HelpCrunchPaginationError: the server ignores the offset, or too many pages in a row brought no progress
        """
        if self._starts_over(page) and not self._went_on(page, probe):
            return []
        self._repeated = 0
        new = [
            record for number, record in zip(page.ids, page.records, strict=True) if number not in self.known
        ]
        # A new record only counts as progress at the end of the page. Anywhere else it was inserted during the run, and
        # a list that grows in front could keep the walk busy for ever.
        leads_on = bool(new) and new[-1] is page.records[-1]
        further = leads_on or page.removed > 0
        self.known.update(page.ids)
        self._removed += page.removed
        self.pages += 1
        self.total = page.total
        self._last = page.ids[-1] if leads_on else self._last
        self._front = page if page.offset == 0 else self._front
        # One less than the end of the page: the shared record is what shows that no row in between was missed.
        self.offset = page.offset + max(len(page) - 1, 0)
        self.shared = page.ids[-1] if page.ids else self.shared
        if self._is_end(page, probe, further=further):
            self.end = page.end
        else:
            self._count_stall(page, further=further)
        return new

    def check_count(self, found: int, end: int, total: int | None) -> str | None:
        """
        Compare the number of records read, once the end is found, with the reported totals.

        :param found: number of different records read
        :param end: length of the list
        :param total: number of records that HelpCrunch reports
        :return: a warning, also logged, if the reported number is not the length; else ``None``
        :raises HelpCrunchPaginationError: every response reported the length of the list, but fewer records were read
        """
        # With totals that changed, fewer records are no fault: some were deleted before they could be read.
        if self._totals == {end} and found < end:
            msg = (
                f"HelpCrunch reported {end} {self._noun} throughout, but its pages held {found} "
                "different ones: the order changed in between, so the listing may be incomplete."
            )
            raise HelpCrunchPaginationError(msg)
        if total in (None, end):
            return None
        warning = f"HelpCrunch reports {total} {self._noun}, but the list ends after {end}."
        log.warning("%s", warning)
        return warning

    def _shrunk_by(self, page: Page) -> int:
        """Return by how much the list shrank since the latest page: a good guess at how far the rows have moved."""
        known = self.total is not None and page.total is not None
        return max(self.total - page.total, 0) if known else 0  # type: ignore[operator]

    def _starts_over(self, page: Page) -> bool:
        front = self._front.ids if self._front else []
        return page.offset > 0 and len(front) > 1 and page.ids[: len(front)] == front

    def _went_on(self, page: Page, probe: Probe) -> bool:
        """
        Find out why the first page came again; return whether the walk may use it.

        A server without paging (the older documentation) sends everything, whatever the limit: that is the end. A
        server that ignores the offset respects the limit, and its list still begins with the same record: the page is
        requested again. Otherwise rows were inserted in front, and the page is correct.
        """
        start = probe(0, 1)
        self.note_total(start)
        if start.ids == page.ids:
            self.end = len(page)
            return False
        if len(start) != 1 or start.ids != page.ids[:1]:
            return True
        self._repeated += 1
        if self._repeated > MOST_REPEATED:
            msg = (
                f"HelpCrunch sent the same {self._noun} again at offset {page.offset}: it ignored the offset."
            )
            raise HelpCrunchPaginationError(msg)
        return False

    def _is_end(self, page: Page, probe: Probe, *, further: bool) -> bool:
        says_end = self._says_end(page) and page.total is not None
        is_full = self._is_full(page)
        is_barren = not further and page.size < self._largest
        # The largest page so far, not the limit: some servers send fewer records than requested, and their full pages
        # must not pass for short ones.
        self._largest, self._met_page = max(self._largest, page.size), True
        if says_end and page.ids and not is_full and (len(self._totals) == 1 or self._only_grows(page)):
            return True
        if not (says_end or is_barren):
            return False
        if self._nothing_follows(page, probe):
            return True
        self._growth += says_end
        self._barren += is_barren and not says_end
        if self._barren > MOST_BARREN:
            msg = (
                f"HelpCrunch sends too few {self._noun} per page to join the pages safely; "
                f"giving up at offset {page.end}."
            )
            raise HelpCrunchPaginationError(msg)
        return False

    def _nothing_follows(self, page: Page, probe: Probe) -> bool:
        """
        Return whether a request past a page finds nothing new. One request.

        It begins in the middle of the page, because it must join like any other page: if it began behind the page, rows
        deleted in front in the meantime would have moved those that follow out of its range. It begins behind only if
        pages cannot overlap, because the server sends one record at a time or the list is empty.
        """
        if page.size < 2 or not page.ids:
            behind = probe(page.end, self.limit)
            self.note_total(behind)
            # The same page again is a list of one record from a server without paging (the older documentation).
            return not behind.ids or (behind.ids == page.ids and behind.total is None)
        behind = probe(page.offset + len(page) // 2, self.limit)
        self.note_total(behind)
        return bool(behind.ids) and self.known.issuperset(behind.ids) and not self._is_full(behind)

    def _is_full(self, page: Page) -> bool:
        """Return whether the server may have cut the page off: some send fewer records than requested."""
        return page.size >= (self._largest if self._met_page else self.limit)

    def _says_end(self, page: Page) -> bool:
        """Return whether the page ends with the last known record and its total does not contradict that."""
        last = [] if self._last is None else [self._last]
        return page.total in (None, page.end) and page.ids[-1:] == last

    def _only_grows(self, page: Page) -> bool:
        """Return whether records are added faster than the end is found; the promise does not cover these."""
        self._growth *= 2 * page.size <= self._largest
        return self._growth >= MOST_GROWTH

    def _count_stall(self, page: Page, *, further: bool) -> None:
        self._stalled = 0 if further else self._stalled + 1
        self._led_further += further
        if self._stalled > MOST_STALLED + self._led_further:
            msg = f"{self._stalled} pages of {self._noun} in a row led no further; giving up at offset {page.offset}."
            raise HelpCrunchPaginationError(msg)

    def _count_step_back(self, page: Page) -> None:
        """Count a step back: each page may bring new records without progress, if rows in front disappear faster."""
        self._steps_back = 1 if page.offset > self._furthest else self._steps_back + 1
        self._furthest = max(self._furthest, page.offset)
        if self._steps_back > MOST_STEPS_BACK:
            msg = (
                f"The {self._noun} disappear or move faster than they can be listed; "
                f"giving up at offset {page.offset}."
            )
            raise HelpCrunchPaginationError(msg)
