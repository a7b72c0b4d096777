"""
Where a list ends: one rule for every walk over pages.

A total proves nothing by itself. Some servers send the length of the page, or the offset plus that; a search engine
stops counting at 10,000; and a total may be counted a moment before the rows are selected. So a page ends the list at
once only where two things agree: it is shorter than a full page, and its total, which never changed in this run, says
that nothing follows. In every other case one request behind the page decides: where that finds nothing, the list ends.

An empty page in the place of the first one is looked behind like any other, which sends the same request again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.client.pages import Page

log = logging.getLogger(__name__)

MOST_BARREN = 25
"""Pages that may bring nothing new although something stands behind them."""

MOST_GROWTH = 5
"""Times in a row that the list is followed where it only grows at its end, less than half a page at a time."""


class ListEnd:
    """
    Finds the end of one list, and checks there what its totals promised.

    :param limit: records asked for a page
    :param noun: what is listed, for messages (``records``)
    """

    def __init__(self, limit: int, noun: str = "records") -> None:
        self.largest = 2
        """Records of the largest page, two at least: a page of one, which no other can join, counts as short."""
        self._limit = limit
        self._noun = noun
        self._totals: set[int | None] = set()
        self._met_page = False
        self._barren = 0
        self._growth = 0

    def note_total(self, total: int | None) -> None:
        """Take note of the total of a response, whether the walk uses its records or not."""
        self._totals.add(total)

    def is_behind(
        self, page: Page, reached: int, look: Callable[[], Page], *, last: int | None, new: bool
    ) -> bool:
        """
        Say whether the list ends with a page. At most one request.

        :param page: the page
        :param reached: its offset and the number of its records
        :param look: gets the page at ``reached``, whatever its total says
        :param last: id of the last record that is known
        :param new: whether the page brought anything new
        :raises HelpCrunchPaginationError: too many short pages brought nothing new, though the list goes on
        """
        says_end = self._says_end(page, reached, last) and page.total is not None
        is_full = self._is_full(page)
        is_barren = not new and len(page) < self.largest
        self.largest, self._met_page = max(self.largest, len(page)), True
        if says_end and page.ids and not is_full and (len(self._totals) == 1 or self._only_grows(page)):
            return True
        if not (says_end or is_barren):
            return False
        behind = look()
        # Rows that came in front push the last known record back. No more stands behind it then either.
        if not behind.ids or (
            not self._is_full(behind) and self._says_end(behind, reached + len(behind), last)
        ):
            return True
        self._growth += says_end
        self._barren += is_barren and not says_end
        if self._barren > MOST_BARREN:
            msg = f"HelpCrunch sends too few {self._noun} a page to join pages safely; given up at offset {reached}."
            raise HelpCrunchPaginationError(msg)
        return False

    def _is_full(self, page: Page) -> bool:
        """Say whether the server may have cut the page off: some send less than they are asked for."""
        return len(page) >= (self.largest if self._met_page else self._limit)

    def _says_end(self, page: Page, reached: int, last: int | None) -> bool:
        """Say whether the page ends with the last known record, and no total of its own contradicts that."""
        return page.total in (None, reached) and page.ids[-1:] == ([] if last is None else [last])

    def _only_grows(self, page: Page) -> bool:
        """Say whether records are added faster than the end is looked for; nobody was promised these."""
        self._growth *= 2 * len(page) <= self.largest
        return self._growth >= MOST_GROWTH

    def contradiction(self, reached: int, found: int, total: int | None) -> str | None:
        """
        Hold what was found, once the end is proven, against what was promised.

        :param reached: how many records stand in front of the end
        :param found: how many different ones were read
        :param total: the total that the last page told
        :return: a warning, which is logged too, where that total is another number
        :raises HelpCrunchPaginationError: every answer told that so many records stand there, but fewer were read
        """
        if self._totals == {reached} and found < reached:
            msg = (
                f"HelpCrunch says throughout that there are {reached} {self._noun}, but its pages held {found} "
                "different ones: their order changed meanwhile, so completeness cannot be promised."
            )
            raise HelpCrunchPaginationError(msg)
        if total in (None, reached):
            return None
        warning = f"HelpCrunch says that there are {total} {self._noun}, but the list ends after {reached}."
        log.warning("%s", warning)
        return warning
