"""
The pages of a search whose result changes because of what is done with them.

Each page begins with the last chat of the page before it that stayed in the result. So no chat is skipped when others
leave: where the pages do not join, it is read from further in front until they do.

Closed chats are left out by the search where that saves requests, not before one page turned out to be too short for
all chats. HelpCrunch documents several spellings of statuses and shows no example of ``!=``, so this is not taken on
trust: a closed chat on such a page, a refusal, or a search that finds nothing although the closed chats are not all
there are, ends it, and all chats are read.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE, Cursor
from airflow_provider_helpcrunch.client.pages import Page
from airflow_provider_helpcrunch.exceptions import HelpCrunchBadRequestError, HelpCrunchPaginationError
from airflow_provider_helpcrunch.operators.chats.selection import CLOSED, NEVER, NOT_CLOSED

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.filters import Filter
    from airflow_provider_helpcrunch.operators.chats.selection import Selection

log = logging.getLogger(__name__)


class SearchPages:
    """
    Reads page after page.

    :param selection: which chats
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        # Nobody's chats: without it, every chat that the account ever had would be read.
        self._narrow = selection.source is None and not selection.wants_closed
        self._may_narrow = not selection.wants_closed
        self._fresh = True
        self._left: int | None = None
        self._accepted = 0
        self.passes = 0
        """How often it has begun at the first page."""
        self._begin()

    def _begin(self) -> None:
        self.passes += 1
        self._cursor = Cursor(LARGEST_PAGE, "chats")
        self._gone = 0
        self._is_whole = True

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands, as plain JSON."""
        return {
            "offset": self._cursor.offset,
            "anchor": self._cursor.shared,
            "narrow": self._narrow,
            "may_narrow": self._may_narrow,
            "left": self._left,
            "fresh": self._fresh,
        }

    @place.setter
    def place(self, place: dict[str, Any]) -> None:
        if place["offset"]:
            self._cursor.resume(place["offset"], place["anchor"])
            self._is_whole = False
        self._narrow, self._may_narrow = place["narrow"], place["may_narrow"]
        self._left, self._fresh = place["left"], place["fresh"]

    def restart(self) -> None:
        """Go back to the first page."""
        self._begin()

    def read(self, client: HelpCrunchClient) -> Page | None:
        """
        Read the page where it stands. One request.

        :return: the page; ``None`` when it does not join the one before: the next call reads from further in front
        :raises HelpCrunchPaginationError: page after page led no further
        """
        page = self._search(client)
        if self._narrow and any(chat.get("status") == "closed" for chat in page.records):
            self._widen("HelpCrunch sends closed chats although they were not asked for")
            page = self._search(client)
        if not self._cursor.joins(page):
            return None
        self._accepted += 1
        return page

    def remaining(self, page: Page) -> int:
        """Return how many chats may stand on the page and behind it."""
        return max((page.total or 0) - page.offset, len(page))

    def next(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> bool:
        """
        Move on behind a page that was worked off.

        :param staying: ids of its chats that are still in the result, in order
        :return: whether there may be more; ``False``: that was the last page
        :raises HelpCrunchPaginationError: the pages cannot hold all chats
        """
        if self._narrow and self._fresh and not page.ids and not self._is_honest(client):
            self._widen("HelpCrunch does not find by status what it should")
            return True
        self._fresh = False
        left = page.without(set(page.ids).difference(staying))
        self._gone += left.removed
        if self._is_cleared(page, left) or self._is_over(client, left):
            return False
        if self._may_narrow and not self._narrow and page.total != page.end:
            self._left = left.total if _is_sane(page) and page.total else None
            self._narrow = self._fresh = True
            self.restart()
        elif page.offset and not staying:
            self.restart()
        return True

    def _is_cleared(self, page: Page, left: Page) -> bool:
        """Say whether nothing is left of the only page. The next pass begins there, and so looks behind it."""
        if left.ids or page.offset:
            return False
        return page.total == page.end if page.ids else self._accepted > 1

    def _is_over(self, client: HelpCrunchClient, left: Page) -> bool:
        cursor = self._cursor

        def probe(offset: int, limit: int) -> Page:
            return client.search_chats_page(self._filters(), offset=offset, limit=limit, probe=True)

        cursor.take(left, probe)
        if cursor.end is None:
            return False
        if self._is_whole and not self._gone:
            cursor.check_count(len(cursor.known), cursor.end, cursor.total)
        return True

    def _filters(self) -> list[Any]:
        return [*self._selection.filters(), *([NOT_CLOSED] if self._narrow else [])]

    def _search(self, client: HelpCrunchClient) -> Page:
        try:
            return self._asked(client)
        except HelpCrunchBadRequestError as error:
            if not self._narrow:
                raise
            self._widen(str(error))
        return self._asked(client)

    def _asked(self, client: HelpCrunchClient) -> Page:
        try:
            page = client.search_chats_page(self._filters(), offset=self._cursor.offset)
        except HelpCrunchPaginationError as error:
            # An empty page under a total. Which of the two is wrong?
            if not self._accepted or _tells_true_totals(client):
                raise
            log.warning("HelpCrunch's totals are wrong, so this is taken for the end: %s", error)
            page = Page([], [], None, self._cursor.offset)
        self._cursor.note_total(page)
        return page

    def _widen(self, why: str) -> None:
        log.warning("Closed chats are read too, since they cannot be left out: %s", why)
        self._narrow = self._may_narrow = False
        self.restart()

    def _is_honest(self, client: HelpCrunchClient) -> bool:
        """Say whether the closed chats are all there are, when a search found no others."""
        filters = self._selection.filters()
        everything = self._left if self._selection.source is not None else _count(client, filters)
        return everything is not None and _count(client, [*filters, CLOSED]) == everything


def _tells_true_totals(client: HelpCrunchClient) -> bool:
    """Say whether a search that cannot find anything has a total of nothing."""
    try:
        client.search_chats_page([NEVER], limit=1)
    except HelpCrunchPaginationError:
        return False
    return True


def _is_sane(page: Page) -> bool:
    """Say whether the page tells a total that is not less than what it holds."""
    return page.total is not None and page.total >= len(page)


def _count(client: HelpCrunchClient, filters: list[Filter]) -> int | None:
    """Return the total of a search; ``None`` where it may be no more than the length of the page."""
    try:
        page = client.search_chats_page(filters, limit=1)
    except HelpCrunchPaginationError:  # empty under a total
        return None
    return page.total if _is_sane(page) and (page.total != 1 or not page.ids) else None
