"""
Pages of a search whose result shrinks while its chats are moved.

Each page begins with the last chat of the previous page that stayed in the result, so no chat is skipped when others
leave: :class:`~airflow_provider_helpcrunch.client.cursor.Cursor` joins the pages.

The search excludes closed chats only where that saves requests: when the chats do not fit on one page. HelpCrunch
documents several spellings of statuses and shows no example of ``!=``, so such a search is not trusted. All chats are
read after a closed chat on a page, a refusal, or a search that finds nothing although not all chats are closed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.selection import CLOSED, NOT_CLOSED
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE, Cursor
from airflow_provider_helpcrunch.exceptions import HelpCrunchBadRequestError, HelpCrunchPaginationError

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.chats.checkpoint import SourceCheckpoint
    from airflow_provider_helpcrunch.chats.selection import Selection
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.filters import Filter
    from airflow_provider_helpcrunch.client.pages import Page

log = logging.getLogger(__name__)


class SourcePages:
    """
    Reads page after page of one source's chats.

    :param selection: the chats to read
    :param checkpoint: position in them, kept up to date
    :param page_size: chats per page, 1 to 100 (100)
    """

    def __init__(
        self, selection: Selection, checkpoint: SourceCheckpoint, page_size: int = LARGEST_PAGE
    ) -> None:
        self._selection = selection
        self._at = checkpoint
        self._page_size = page_size
        self._cursor = Cursor(page_size, "chats")
        self._gone = 0
        self._accepted = 0
        # The number of chats found can be compared with the total only after a pass over all pages, and a pass that
        # is resumed in the middle has not seen the first ones.
        self._is_whole = not checkpoint.offset
        if checkpoint.shared is not None:
            self._cursor.resume(checkpoint.offset, checkpoint.shared)

    def restart(self) -> None:
        """Begin another pass at the first page."""
        self._at.offset, self._at.shared, self._at.furthest, self._at.moved = 0, None, 0, False
        self._cursor = Cursor(self._page_size, "chats")
        self._gone = 0
        self._is_whole = True

    def read(self, client: HelpCrunchClient) -> Page | None:
        """
        Read the page at the checkpoint. One request.

        :param client: the account
        :return: the page; ``None`` if it does not join the previous one: the next call reads from a smaller offset
        :raises HelpCrunchPaginationError: page after page brought nothing new
        """
        page = self._search(client)
        if self._at.narrow and any(chat.get("status") == "closed" for chat in page.records):
            self._widen("HelpCrunch sends closed chats although they were not asked for")
            page = self._search(client)
        joins = self._cursor.joins(page)
        self._at.offset = self._cursor.offset
        self._at.furthest = max(self._at.furthest, page.offset if joins else 0)
        self._accepted += joins
        return page if joins else None

    def remaining(self, page: Page) -> int:
        """
        Return the most chats that can be on the page and behind it.

        :param page: the page
        """
        return max((page.total or 0) - page.offset, len(page))

    def next(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> bool:
        """
        Step to the next page.

        :param client: the account
        :param page: the processed page
        :param staying: ids of its chats that are still in the result, in order
        :return: whether there may be more chats; ``False`` after the last page
        :raises HelpCrunchPaginationError: the pages cannot hold all chats
        """
        if self._at.narrow and self._at.fresh and not page.ids and not self._is_honest(client):
            self._widen("HelpCrunch's search by status misses chats")
            return True
        self._at.fresh = False
        left = page.without(set(page.ids).difference(staying))
        self._gone += left.removed
        if self._is_cleared(page, left) or self._is_over(client, left):
            return False
        # More than one page: from here on closed chats are excluded. The number of all chats is kept for _is_honest,
        # which compares it with the number of closed ones if the narrow search finds nothing.
        if self._at.may_narrow and not self._at.narrow and page.total != page.end:
            self._at.everything = left.total if _is_sane(page) and page.total else None
            self._at.narrow = self._at.fresh = True
            self.restart()
        # No chat of the page is left that the next page could begin with.
        elif page.offset and not staying:
            self.restart()
        return True

    def _is_cleared(self, page: Page, left: Page) -> bool:
        """Say whether the only page is empty now. The next pass begins there, so it sees any chat that follows."""
        if left.ids or page.offset:
            return False
        return page.total == page.end if page.ids else self._accepted > 1

    def _is_over(self, client: HelpCrunchClient, left: Page) -> bool:
        cursor = self._cursor

        def probe(offset: int, limit: int) -> Page:
            return client.search_chats_page(self._filters(), offset=offset, limit=limit, probe=True)

        cursor.take(left, probe)
        self._at.offset, self._at.shared = cursor.offset, cursor.shared
        if cursor.end is None:
            return False
        if self._is_whole and not self._gone:
            cursor.check_count(len(cursor.known), cursor.end, cursor.total)
        return True

    def _filters(self) -> list[Any]:
        return [*self._selection.filters(), *([NOT_CLOSED] if self._at.narrow else [])]

    def _search(self, client: HelpCrunchClient) -> Page:
        try:
            return self._fetch(client)
        except HelpCrunchBadRequestError as error:
            if not self._at.narrow:
                raise
            self._widen(str(error))
        return self._fetch(client)

    def _fetch(self, client: HelpCrunchClient) -> Page:
        page = client.search_chats_page(self._filters(), offset=self._cursor.offset, limit=self._cursor.limit)
        self._cursor.note_total(page)
        return page

    def _widen(self, why: str) -> None:
        log.warning("Reading closed chats too, because they cannot be excluded: %s", why)
        self._at.narrow = self._at.may_narrow = False
        self.restart()

    def _is_honest(self, client: HelpCrunchClient) -> bool:
        """Check a search that found no chats but closed ones: whether the account has only closed ones."""
        filters = self._selection.filters()
        everything = self._at.everything if self._selection.source is not None else total_of(client, filters)
        return has_only_closed(client, filters, everything)


def has_only_closed(client: HelpCrunchClient, filters: list[Filter], everything: int | None) -> bool:
    """
    Say whether all chats of a search are closed; ``False`` where the totals do not prove it.

    :param client: the account. One request; none if the number of chats is unknown
    :param filters: the search
    :param everything: number of its chats; ``None``: unknown
    """
    return everything is not None and total_of(client, [*filters, CLOSED]) == everything


def _is_sane(page: Page) -> bool:
    """Say whether the page has a total that is at least its own length."""
    return page.total is not None and page.total >= len(page)


def total_of(client: HelpCrunchClient, filters: list[Filter]) -> int | None:
    """
    Return the total of a search; ``None`` if it is missing, or may be only the length of the page.

    :param client: the account. One request
    :param filters: the search
    """
    try:
        page = client.search_chats_page(filters, limit=1)
    except HelpCrunchPaginationError:  # empty under a total
        return None
    return page.total if _is_sane(page) and (page.total != 1 or not page.ids) else None
