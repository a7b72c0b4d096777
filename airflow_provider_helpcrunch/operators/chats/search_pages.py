"""The pages of a search whose result changes because of what is done with them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchBadRequestError, HelpCrunchPaginationError
from airflow_provider_helpcrunch.operators.chats.selection import CLOSED, NOT_CLOSED

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.pages import Page
    from airflow_provider_helpcrunch.operators.chats.selection import Selection

log = logging.getLogger(__name__)

MOST_STALLED = 20
"""Pages in a row that may bring nothing new."""


class SearchPages:
    """
    Reads page after page, each beginning with the last chat of the one before that stayed in the result.

    Closed chats are left out by the search where that saves requests: not before one page turned out to be too short
    for all chats. HelpCrunch documents several spellings of statuses, so a search that finds nothing at all then is
    checked: closed chats and others together must be all.

    :param selection: which chats
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._offset = 0
        self._anchor: int | None = None
        # Nobody's chats: without it, every chat that the account ever had would be read.
        self._narrow = selection.source is None and not selection.wants_closed
        self._may_narrow = not selection.wants_closed
        self._left = 0
        self._fresh = True
        self._seen: set[int] = set()
        self._stalled = 0

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

    def restart(self) -> None:
        """Go back to the first page."""
        self._offset, self._anchor = 0, None
        self._seen.clear()
        self._stalled = 0

    def read(self, client: HelpCrunchClient) -> Page | None:
        """
        Read the page where it stands. One request.

        :return: the page; ``None`` when chats left the result in front of it, so that it does not join: it is back at
            the first page then
        :raises HelpCrunchPaginationError: HelpCrunch sends the same page again and again
        """
        page = self._search(client)
        if self._anchor is not None and self._anchor not in page.ids:
            self.restart()
            return None
        if self._offset and self._seen.issuperset(page.ids):
            self._stalled += 1
            if self._stalled > MOST_STALLED:
                msg = f"HelpCrunch sends the same chats again and again; given up at offset {self._offset}."
                raise HelpCrunchPaginationError(msg)
        else:
            self._stalled = 0
        self._seen.update(page.ids)
        return page

    def remaining(self, page: Page) -> int:
        """Return how many chats may stand on the page and behind it."""
        return max((page.total or 0) - self._offset, len(page))

    def next(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> bool:
        """
        Move on behind a page that was worked off.

        :param staying: ids of its chats that are still in the result, in order
        :return: whether there may be more; ``False``: that was the last page
        """
        if self._narrow and self._fresh and not page.ids and not self._is_honest(client):
            log.warning("HelpCrunch does not search by status as documented, so closed chats are read too.")
            self._narrow = self._may_narrow = False
            self.restart()
            return True
        self._fresh = False
        if not page.ids or page.total == self._offset + len(page) or page.ids == [self._anchor]:
            return False
        if self._may_narrow and not self._narrow:
            self._left = (page.total or 0) - len(page) + len(staying)
            self._narrow = self._fresh = True
            self.restart()
        elif staying:
            self._offset += len(staying) - 1
            self._anchor = staying[-1]
        elif self._offset:
            self.restart()
        return True

    def _search(self, client: HelpCrunchClient) -> Page:
        filters = self._selection.filters()
        if self._narrow:
            try:
                return client.search_chats_page([*filters, NOT_CLOSED], offset=self._offset)
            except HelpCrunchBadRequestError as error:
                log.warning("HelpCrunch refuses to search by status, so closed chats are read too: %s", error)
                self._narrow = self._may_narrow = False
                self.restart()
        return client.search_chats_page(filters, offset=self._offset)

    def _is_honest(self, client: HelpCrunchClient) -> bool:
        """Say whether the closed chats are all there are, when a search found no others."""
        filters = self._selection.filters()
        everything = self._left
        if self._selection.source is None:
            everything = client.search_chats_page(filters, limit=1).total or 0
        return client.search_chats_page([*filters, CLOSED], limit=1).total == everything
