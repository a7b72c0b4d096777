"""
Walks over the API's lists: every record once, or an error.

:class:`Listing` walks a list whose order is stable, with pages fetched ahead. :class:`ActivityListing` walks the chats
by their latest activity, an order that changes. Both use :class:`~airflow_provider_helpcrunch.client.cursor.Cursor`,
which joins the pages and finds the end; this module adds only what each order needs.
"""

from __future__ import annotations

import collections
import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE, Cursor
from airflow_provider_helpcrunch.client.prefetch import Prefetch
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_helpcrunch.client.pages import Page
    from airflow_provider_helpcrunch.schema import Record

    Fetch = Callable[..., Page]
    """``fetch(offset, limit, cancelled, probe=False)``: one page; setting the event ``cancelled`` ends the request.
    With ``probe`` the page is not checked; otherwise an impossible one is requested again, then refused."""

MOST_SWEEPS = 50
"""How often the front may be read because more chats got a message in the meantime."""

R = TypeVar("R")


class Position(NamedTuple):
    """
    Position in a listing, from which another listing of the same records can continue.

    :param offset: offset of the next page
    :param shared: id of the record expected there
    """

    offset: int
    shared: int


class Listing(Iterator[R], Generic[R]):
    """
    All records of one resource, page by page; can be read once. Closing it ends its requests.

    An order that is not stable is detected where possible: two records of one page must keep their order in other
    pages, and if every page reported the same total, that many records must have come.

    :param fetch: gets one page
    :param page_size: records per page, 1 to 100 (100)
    :param in_flight: pages fetched at a time once the total is known (8)
    """

    def __init__(self, fetch: Fetch, *, page_size: int = LARGEST_PAGE, in_flight: int = 8) -> None:
        self.warnings: list[str] = []
        """Doubts about the result: a total that contradicts the end of the list."""
        self._fetch = fetch
        self._in_flight = in_flight
        self._ahead = True
        self._cursor = Cursor(page_size)
        self._cancelled = threading.Event()
        self._recent: collections.deque[dict[int, int]] = collections.deque(maxlen=2 * in_flight)
        self._stride = 1
        self._pages = self._walk()
        # A chain has no local variables, where a later traceback could show records.
        self._rows: Iterator[R] = itertools.chain.from_iterable(self._pages)

    @property
    def pages(self) -> int:
        """Pages joined so far."""
        return self._cursor.pages

    @property
    def records(self) -> int:
        """Records yielded so far, or ready to be."""
        return len(self._cursor.known)

    @property
    def read(self) -> int:
        """Different records read so far; all of them are yielded."""
        return self.records

    @property
    def total(self) -> int | None:
        """Records that HelpCrunch reports, as of the latest page."""
        return self._cursor.total

    @property
    def position(self) -> Position | None:
        """Position behind the latest page joined; ``None`` before the first, and if the list is empty."""
        shared = self._cursor.shared
        return None if shared is None else Position(self._cursor.offset, shared)

    @property
    def is_complete(self) -> bool:
        """Whether the end of the list was found."""
        return self._cursor.end is not None

    def __next__(self) -> R:
        return next(self._rows)

    def batches(self, start: Position | None = None, known: Iterable[int] = ()) -> Iterator[list[R]]:
        """
        Yield the new records page by page, with one request at a time; instead of iterating over single records.

        Whoever stores each page together with :attr:`position` can continue after a crash, and has to read at most one
        page again. The promise of completeness holds across the interruption, however long it was.

        :param start: the :attr:`position` of an interrupted listing. Default: begin at the first record
        :param known: ids of the records that it has yielded
        """
        self._ahead = False
        if start is not None:
            self._cursor.resume(*start, known)
        return self._pages

    def close(self) -> None:
        """End the listing and cancel the pages in flight."""
        self._rows = iter(())
        self._pages.close()

    def _walk(self) -> Generator[list[R], None, None]:
        cursor = self._cursor
        put_back: Page | None = None
        try:
            with Prefetch(self._get, self._in_flight) as prefetch:
                page = self._get(cursor.offset, self._cancelled)
                while True:
                    if self._leads_on(page):
                        if cursor.joins(page):
                            self._check_order(page)
                            yield cast("list[R]", cursor.take(page, self._probe))
                            self._stride = max(len(page) - 1, 1)
                        elif page is not put_back:
                            prefetch.put_back(page)
                            put_back = page
                        else:
                            # All in front of it was read, and still it joins nothing: rows came in since it was
                            # fetched, and since those behind it were. They are fetched again.
                            prefetch.clear()
                    if cursor.end is not None:
                        break
                    page = prefetch.page(cursor.offset, max(self._stride // 2, 1), self._planned())
        finally:
            self._cancelled.set()
        if warning := cursor.check_count(self.records, cursor.end, cursor.total):
            self.warnings.append(warning)

    def _leads_on(self, page: Page) -> bool:
        """Return whether to use a page; one that was fetched ahead, from an earlier offset, may bring nothing new."""
        return page.offset == self._cursor.offset or any(
            number not in self._cursor.known for number in page.ids
        )

    def _get(self, offset: int, cancelled: threading.Event) -> Page:
        page = self._fetch(offset, self._cursor.limit, cancelled)
        self._cursor.note_total(page)
        return page

    def _probe(self, offset: int, limit: int) -> Page:
        return self._fetch(offset, limit, self._cancelled, probe=True)

    def _planned(self) -> range:
        """Return the offsets worth fetching ahead: as far as a record follows the shared one, by the total."""
        if not self._ahead:
            return range(0)
        return range(self._cursor.offset + self._stride, (self.total or 0) - 1, self._stride)

    def _check_order(self, page: Page) -> None:
        """Refuse a page in which two records of an earlier page have changed places."""
        for earlier in self._recent:
            places = [earlier[number] for number in page.ids if number in earlier]
            if places != sorted(places):
                msg = "The order of the records changed while they were listed, so the listing may be incomplete."
                raise HelpCrunchPaginationError(msg)
        self._recent.append({number: place for place, number in enumerate(page.ids)})


class ActivityListing(Iterator["Record"]):
    """
    Every chat with a message at or after ``since``, once, latest activity first; can be read once.

    A message moves its chat to the front. While the list is read downwards, rows therefore shift towards the back, and
    only a chat that moves from behind the reader to the front is missed. Its message is later than any that existed
    when the reading began. So the front is read again, down to that moment, until a reading is one page, which is one
    response, or finds that nothing has moved.

    :param fetch: gets one page, latest activity first
    :param since: only chats with a message at or after this time
    :param page_size: records per page, 1 to 100
    """

    def __init__(self, fetch: Fetch, since: datetime, *, page_size: int) -> None:
        self.pages = 0
        """Pages read so far."""
        self.records = 0
        """Chats yielded so far, or ready to be."""
        self.total: int | None = None
        """Chats in the account, as HelpCrunch reports them."""
        self.warnings: list[str] = []
        """Doubts about the result: a total that contradicts the end of the list."""
        self._fetch = fetch
        self._since = since
        self._yielded: set[int] = set()
        self._seen: set[int] = set()
        self._edge: datetime | None = None
        self._cursor = Cursor(page_size, "chats", self._stayed)
        self._dated = self._mute = False
        self._cancelled = threading.Event()
        self._rows = self._walk()

    @property
    def read(self) -> int:
        """Different chats read so far, including those whose latest activity is older."""
        return len(self._seen)

    def __next__(self) -> Record:
        return next(self._rows)

    def close(self) -> None:
        """End the listing."""
        self._cancelled.set()
        self._rows.close()

    def _walk(self) -> Generator[Record, None, None]:
        until, end, total = self._since, None, None
        for again in range(MOST_SWEEPS):
            before, newest, pages = self.records, None, 0
            for page in self._sweep(until):
                newest = newest or next(filter(None, moments_of(page)), None)
                pages += 1
                yield from self._new(page)
            if again == 0:
                end, total = self._cursor.end, self._cursor.total
            still = self.records == before
            # A first reading of one page that brought chats is followed by another, to catch messages that were written
            # in the meantime.
            is_whole = pages == 1 and (again or still or end is not None)
            if newest is None or is_whole or (still and newest == until):
                return self._check(end, total)
            until = newest
        msg = (
            f"New chats kept becoming active while the latest ones were read {MOST_SWEEPS} times; giving up."
        )
        raise HelpCrunchPaginationError(msg)

    def _sweep(self, until: datetime) -> Iterator[Page]:
        """Read from the front down to chats whose last message is before ``until``; yield the pages that join."""
        cursor, newest = self._cursor, None
        cursor.restart()
        self._edge = None
        while cursor.end is None:
            page = self._get(cursor.offset)
            if not cursor.joins(page):
                continue
            self._check_order(page, newest)
            # The oldest activity read in this sweep: a known chat that now shows an older one has moved back.
            times = [at for at in moments_of(page) if at]
            newest = newest or next(iter(times), None)
            self._edge = min((at for at in (self._edge, *times) if at), default=None)
            if any(at < until for at in times):
                yield page
                return
            cursor.take(page, self._probe)
            yield page

    def _get(self, offset: int) -> Page:
        page = self._fetch(offset, self._cursor.limit, self._cancelled)
        return self._counted(page)

    def _probe(self, offset: int, limit: int) -> Page:
        return self._counted(self._fetch(offset, limit, self._cancelled, probe=True))

    def _counted(self, page: Page) -> Page:
        self._cursor.note_total(page)
        self.pages += 1
        self.total = page.total
        return page

    def _stayed(self, chat: Record) -> bool:
        """Return whether a known chat cannot have moved further back since it was read: only such a chat may join."""
        at = parse_timestamp(chat.get("lastMessageAt"))
        return at is None or (self._edge is not None and at >= self._edge)

    def _check_order(self, page: Page, newest: datetime | None) -> None:
        """Refuse a page with a new chat in front of a known one, unless it got a message since the reading began."""
        known = self._cursor.known
        rows = list(zip(page.ids, page.records, moments_of(page), strict=True))
        met = [number in known and self._stayed(chat) for number, chat, _ in rows]
        last = max((place for place, is_met in enumerate(met) if is_met), default=0)
        if any(at and newest and at <= newest and number not in known for number, _, at in rows[:last]):
            msg = "The order of the chats changed while they were listed, so the listing may be incomplete."
            raise HelpCrunchPaginationError(msg)

    def _new(self, page: Page) -> Iterator[Record]:
        """Return the active chats of a page that were not yielded before."""
        moments = moments_of(page)
        new = {
            number: chat
            for number, chat, at in zip(page.ids, page.records, moments, strict=True)
            if at and at >= self._since and number not in self._yielded
        }
        self._yielded.update(new)
        self._seen.update(page.ids)
        self._dated = self._dated or any(moments)
        # An empty chat rightly has no lastMessageAt. If no other chat has one either, HelpCrunch does not send it.
        self._mute = self._mute or any(chat.get("status") != "empty" for chat in page.records)
        self.records += len(new)
        return iter(new.values())

    def _check(self, end: int | None, total: int | None) -> None:
        """Compare the chats read with the end and the total that the first reading found."""
        if self._mute and not self._dated:
            msg = "HelpCrunch sent no chat with lastMessageAt, so active chats cannot be found."
            raise HelpCrunchResponseError(msg)
        if end is not None and (warning := self._cursor.check_count(len(self._seen), end, total)):
            self.warnings.append(warning)


def moments_of(page: Page) -> list[datetime | None]:
    """
    Return the time of the last message of each chat of a page; ``None`` for chats without one.

    :param page: the page
    """
    return [parse_timestamp(chat.get("lastMessageAt")) for chat in page.records]


def refuse_wrong_activity(page: Page) -> None:
    """
    Refuse a page of chats that is not in order of latest activity, or whose times are unreadable.

    Such a page could end a reading too early.

    :param page: the page
    :raises HelpCrunchResponseError: a chat has no readable time
    :raises HelpCrunchPaginationError: the chats are not in this order
    """
    moments = moments_of(page)
    given = [chat.get("lastMessageAt") not in (None, "") for chat in page.records]
    if [at is not None for at in moments] != given:
        msg = "HelpCrunch sent a chat whose lastMessageAt is not a time in UNIX seconds."
        raise HelpCrunchResponseError(msg)
    times = [at for at in moments if at]
    if any(later > earlier for earlier, later in itertools.pairwise(times)):
        msg = "HelpCrunch did not send the chats latest activity first, as it was asked to."
        raise HelpCrunchPaginationError(msg)
