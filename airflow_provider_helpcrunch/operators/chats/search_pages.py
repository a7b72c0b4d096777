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

from airflow_provider_helpcrunch.client.list_end import ListEnd
from airflow_provider_helpcrunch.client.pages import Page
from airflow_provider_helpcrunch.client.paging import LARGEST_PAGE
from airflow_provider_helpcrunch.exceptions import HelpCrunchBadRequestError, HelpCrunchPaginationError
from airflow_provider_helpcrunch.operators.chats.selection import CLOSED, NEVER, NOT_CLOSED

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.filters import Filter
    from airflow_provider_helpcrunch.operators.chats.selection import Selection

log = logging.getLogger(__name__)

MOST_STALLED = 30
"""Pages in a row that may bring nothing new."""

FIRST_STEP = LARGEST_PAGE // 2
"""Chats to go back where pages do not join; doubles each time."""


class SearchPages:
    """
    Reads page after page.

    :param selection: which chats
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._offset = 0
        self._anchor: int | None = None
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
        self._seen: set[int] = set()
        self._end = ListEnd(LARGEST_PAGE, "chats")
        self._gone = 0
        self._front: int | None = None
        self._stalled = 0
        self._step = FIRST_STEP
        self._is_whole = True

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands, as plain JSON."""
        return {
            "offset": self._offset,
            "anchor": self._anchor,
            "narrow": self._narrow,
            "may_narrow": self._may_narrow,
            "left": self._left,
            "fresh": self._fresh,
        }

    @place.setter
    def place(self, place: dict[str, Any]) -> None:
        self._offset, self._anchor = place["offset"], place["anchor"]
        self._narrow, self._may_narrow = place["narrow"], place["may_narrow"]
        self._left, self._fresh = place["left"], place["fresh"]
        self._is_whole = self._offset == 0

    def restart(self) -> None:
        """Go back to the first page."""
        self._offset, self._anchor = 0, None
        self._begin()

    def read(self, client: HelpCrunchClient) -> Page | None:
        """
        Read the page where it stands. One request.

        :return: the page; ``None`` when it does not join the one before: the next call reads from further in front
        :raises HelpCrunchPaginationError: HelpCrunch sends the same chats again and again
        """
        page = self._search(client)
        if self._narrow and any(chat.get("status") == "closed" for chat in page.records):
            self._widen("HelpCrunch sends closed chats although they were not asked for")
            page = self._search(client)
        if self._offset and not any(number in self._seen or number == self._anchor for number in page.ids):
            self._offset = max(self._offset - self._step, 0)
            self._step *= 2
            return None
        self._refuse_repetition(page)
        self._accepted += 1
        self._step = FIRST_STEP
        self._seen.update(page.ids)
        self._note_total(page)
        return page

    def remaining(self, page: Page) -> int:
        """Return how many chats may stand on the page and behind it."""
        return max((page.total or 0) - self._offset, len(page))

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
        self._gone += len(page) - len(staying)
        if self._is_over(client, page, staying):
            return False
        is_end = page.total == self._offset + len(page)
        if self._may_narrow and not self._narrow and not is_end:
            self._left = page.total - len(page) + len(staying) if _is_sane(page) and page.total else None
            self._narrow = self._fresh = True
            self.restart()
        else:
            self._advance(staying)
        return True

    def _is_over(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> bool:
        reached = self._offset + len(page)
        is_cleared = not (staying or self._offset) and (
            page.total == reached if page.ids else self._accepted > 1
        )
        last = page.ids[-1] if page.ids else None
        new = bool(page.ids) and page.ids != [self._anchor]
        # A page that was cleared is looked behind by the next pass, which begins there.
        if not is_cleared and not self._end.is_behind(
            page, reached, lambda: self._behind(client, len(staying)), last=last, new=new
        ):
            return False
        if self._is_whole and not self._gone:
            self._end.contradiction(reached, len(self._seen), page.total)
        return True

    def _behind(self, client: HelpCrunchClient, staying: int) -> Page:
        """Return the page behind the one that was worked off, whatever its total says."""
        filters = [*self._selection.filters(), *([NOT_CLOSED] if self._narrow else [])]
        try:
            page = client.search_chats_page(filters, offset=self._offset + staying)
        except HelpCrunchPaginationError:  # empty under a total
            return Page([], [], None)
        self._note_total(page)
        return page

    def _note_total(self, page: Page) -> None:
        """Take note of the total as it would be without the changes that were made because of this search."""
        self._end.note_total(None if page.total is None else page.total + self._gone)

    def _advance(self, staying: list[int]) -> None:
        if not staying and self._offset:
            self.restart()
        elif staying:
            self._front = staying[0] if self._offset == 0 else self._front
            self._offset += len(staying) - 1
            self._anchor = staying[-1]

    def _search(self, client: HelpCrunchClient) -> Page:
        try:
            if self._narrow:
                return self._asked(client, NOT_CLOSED)
        except HelpCrunchBadRequestError as error:
            self._widen(str(error))
        return self._asked(client)

    def _asked(self, client: HelpCrunchClient, *more: Any) -> Page:
        filters = [*self._selection.filters(), *more]
        try:
            return client.search_chats_page(filters, offset=self._offset)
        except HelpCrunchPaginationError as error:
            # An empty page under a total. Which of the two is wrong?
            if not self._accepted or _tells_true_totals(client):
                raise
            log.warning("HelpCrunch's totals are wrong, so this is taken for the end: %s", error)
            return Page([], [], None)

    def _widen(self, why: str) -> None:
        log.warning("Closed chats are read too, since they cannot be left out: %s", why)
        self._narrow = self._may_narrow = False
        self.restart()

    def _refuse_repetition(self, page: Page) -> None:
        starts_over = self._offset and len(page) > 1 and page.ids[0] == self._front != self._anchor
        self._stalled = self._stalled + 1 if self._offset and self._seen.issuperset(page.ids) else 0
        if starts_over or self._stalled > MOST_STALLED:
            msg = f"HelpCrunch sends the same chats again at offset {self._offset}: it ignores the offset."
            raise HelpCrunchPaginationError(msg)

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
