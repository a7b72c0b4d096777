"""
Pages of a search whose result changes because of what is done with them.

Each page begins with the last chat of the page before it that stayed in the result, so no chat is skipped when others
leave: :class:`~airflow_provider_helpcrunch.client.cursor.Cursor` joins them.

Closed chats are left out by the search where that saves requests: not before one page turned out to be too short for
all chats. HelpCrunch documents several spellings of statuses and shows no example of ``!=``, so the search is not
trusted: after a closed chat on such a page, a refusal, or a search that finds nothing although not all chats are
closed, all chats are read.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.selection import CLOSED, NEVER, NOT_CLOSED
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE, Cursor
from airflow_provider_helpcrunch.client.pages import Page
from airflow_provider_helpcrunch.exceptions import HelpCrunchBadRequestError, HelpCrunchPaginationError

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.chats.checkpoint import SourceCheckpoint
    from airflow_provider_helpcrunch.chats.selection import Selection
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.filters import Filter

log = logging.getLogger(__name__)


class SourcePages:
    """
    Reads page after page of one source's chats.

    :param selection: which chats
    :param checkpoint: where to begin; kept up to date
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
        # Only a pass over all pages can compare what it found with the total.
        self._is_whole = not checkpoint.offset
        if checkpoint.shared is not None:
            self._cursor.resume(checkpoint.offset, checkpoint.shared)

    def restart(self) -> None:
        """Begin another pass at the first page."""
        self._at.offset, self._at.shared, self._at.moved = 0, None, False
        self._cursor = Cursor(self._page_size, "chats")
        self._gone = 0
        self._is_whole = True

    def read(self, client: HelpCrunchClient) -> Page | None:
        """
        Read the page at the checkpoint. One request.

        :param client: the account
        :return: the page; ``None`` where it does not join the one before: the next call reads from further in front
        :raises HelpCrunchPaginationError: page after page led no further
        """
        page = self._search(client)
        if self._at.narrow and any(chat.get("status") == "closed" for chat in page.records):
            self._widen("HelpCrunch sends closed chats although they were not asked for")
            page = self._search(client)
        joins = self._cursor.joins(page)
        self._at.offset = self._cursor.offset
        self._accepted += joins
        return page if joins else None

    def remaining(self, page: Page) -> int:
        """Return how many chats may stand on the page and behind it."""
        return max((page.total or 0) - page.offset, len(page))

    def next(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> bool:
        """
        Move on behind a page that was worked off.

        :param client: the account
        :param page: the page
        :param staying: ids of its chats that are still in the result, in order
        :return: whether there may be more; ``False``: that was the last page
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
        if self._at.may_narrow and not self._at.narrow and page.total != page.end:
            self._at.everything = left.total if _is_sane(page) and page.total else None
            self._at.narrow = self._at.fresh = True
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
            return self._asked(client)
        except HelpCrunchBadRequestError as error:
            if not self._at.narrow:
                raise
            self._widen(str(error))
        return self._asked(client)

    def _asked(self, client: HelpCrunchClient) -> Page:
        offset, limit = self._cursor.offset, self._cursor.limit
        try:
            page = client.search_chats_page(self._filters(), offset=offset, limit=limit)
        except HelpCrunchPaginationError as error:
            # An empty page under a total: one of the two is wrong. The documentation's own example has 4 records under
            # a total of 5, so a drain must be able to end there.
            if not self._accepted or _tells_true_totals(client):
                raise
            log.warning("HelpCrunch's totals are wrong, so this counts as the end: %s", error)
            page = Page([], [], None, offset)
        self._cursor.note_total(page)
        return page

    def _widen(self, why: str) -> None:
        log.warning("Reading closed chats too, because they cannot be excluded: %s", why)
        self._at.narrow = self._at.may_narrow = False
        self.restart()

    def _is_honest(self, client: HelpCrunchClient) -> bool:
        """Say whether the closed chats are all there are, when a search found no others."""
        filters = self._selection.filters()
        everything = self._at.everything if self._selection.source is not None else _count(client, filters)
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
