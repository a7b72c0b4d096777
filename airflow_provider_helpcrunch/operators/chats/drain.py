"""
Chats of one agent, or of nobody, go to others until none is left.

The first page is read, what is on it is moved, and the first page is read again: the progress lives in HelpCrunch
itself. A chat that a person has taken meanwhile is no longer on the page and is left alone. Chats that stay (refused,
or in a status that is not wanted) would fill the first page, so the offset moves past them; each page then begins with
the last of them, and where it does not, one of them has left and the pass starts over. A drain ends with a pass from
the first page that finds nothing to move.

Nobody's chats cannot be searched for (the API has no "is null"), so all chats that are not closed are read. Those that
were moved stay among them, and one pass is all.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchError,
    HelpCrunchPaginationError,
    HelpCrunchRefusedError,
)
from airflow_provider_helpcrunch.operators.chats.failures import FAULTS, MOST_FAULTS, REFUSALS
from airflow_provider_helpcrunch.operators.chats.outcome import Outcome
from airflow_provider_helpcrunch.operators.chats.search_pages import SearchPages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.pages import Page
    from airflow_provider_helpcrunch.client.records import Record
    from airflow_provider_helpcrunch.operators.chats.selection import Selection
    from airflow_provider_helpcrunch.operators.chats.targets import Targets

log = logging.getLogger(__name__)

MOST_RESTARTS = 20
"""How often a pass may start over because chats that stayed have left, before anything is moved again."""


class Drain:
    """
    Moves the chats of one source. After an error of the budget, :meth:`outcomes` may be called again: it goes on.

    :param selection: whose chats, and which of them
    :param targets: who gets them
    :param settled: chats that were moved or refused already, and are left alone
    :param dry_run: whether nothing is written
    """

    def __init__(self, selection: Selection, targets: Targets, settled: set[int], *, dry_run: bool) -> None:
        self.skipped: set[int] = set()
        """Chats of the source whose status is not wanted, closed ones aside."""
        self.remaining = 0
        """How many chats may be left to move, by HelpCrunch's total."""
        self.error: HelpCrunchError | None = None
        """Why the latest chat was refused or failed."""
        self._selection = selection
        self._targets = targets
        self._settled = settled
        self._dry_run = dry_run
        self._pages = SearchPages(selection)
        self._again = False
        self._faults = 0
        self._restarts = 0
        self._done = False

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands, as plain JSON."""
        return {**self._pages.place, "again": self._again, "skipped": sorted(self.skipped)}

    @place.setter
    def place(self, place: dict[str, Any]) -> None:
        self._again, self.skipped = place["again"], set(place["skipped"])
        self._pages.place = place

    def outcomes(self, client: HelpCrunchClient) -> Iterator[Outcome]:
        """
        Move chats until none is left.

        :param client: the account
        :return: what became of each chat
        :raises HelpCrunchRateLimitError: the budget is spent; nothing was changed since the latest outcome
        :raises HelpCrunchError: a search failed, the key was refused, or too many chats failed in a row
        """
        while not self._done:
            if (page := self._pages.read(client)) is None:
                self._restart_torn()
                continue
            staying = []
            self.remaining = self._pages.remaining(page)
            for number, chat in zip(page.ids, page.records, strict=True):
                stays = True
                if self._is_to_move(number, chat):
                    outcome = self._move(client, number, chat)
                    stays = outcome.outcome != "changed" or self._selection.source is None
                    self.remaining -= 1
                    yield outcome
                    self._check_going_on()
                if stays:
                    staying.append(number)
            self._go_on(client, page, staying)

    def _is_to_move(self, number: int, chat: Record) -> bool:
        if number in self._settled or not self._selection.concerns(chat):
            return False
        if self._selection.has_status(chat):
            self.skipped.discard(number)
            return True
        if chat.get("status") != "closed":
            self.skipped.add(number)
        return False

    def _move(self, client: HelpCrunchClient, number: int, chat: Record) -> Outcome:
        agent = self._targets.choose(chat)
        outcome = Outcome(number, "assignee", self._selection.source, agent, "changed")
        if self._dry_run:
            outcome = outcome._replace(outcome="planned")
        else:
            try:
                client.update_chat_assignee(number, agent)
            except (*REFUSALS, *FAULTS) as error:
                return self._failed(client, outcome, error)
        self._faults = 0
        self._restarts = 0
        self._settled.add(number)
        self._targets.given(agent)
        # What a search returns may lag behind, so the end is only believed from a pass that finds nothing.
        self._again |= not self._dry_run and self._selection.source is not None
        return outcome

    def _failed(self, client: HelpCrunchClient, outcome: Outcome, error: HelpCrunchError) -> Outcome:
        self.error = error
        self._settled.add(outcome.id)
        if not isinstance(error, REFUSALS):
            self._faults += 1
            return outcome._replace(outcome="failed", error=str(error))
        self._faults = 0
        if orphans := self._targets.refused(client, outcome.after, outcome.id, error):
            self._settled.difference_update(orphans)
            self._again = True
        return outcome._replace(outcome="refused", error=str(error))

    def _check_going_on(self) -> None:
        if self._faults >= MOST_FAULTS and self.error is not None:
            raise self.error
        if not self._targets.loads:
            msg = "All agents who were to get chats have left the account, so the rest stays. Name others in to_agents."
            raise HelpCrunchRefusedError(msg)

    def _restart_torn(self) -> None:
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            msg = "Chats come and go faster than they can be read, so it cannot be promised that all were found."
            raise HelpCrunchPaginationError(msg)

    def _go_on(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> None:
        if self._pages.next(client, page, staying):
            return
        if self._again:
            self._again = False
            self._pages.restart()
        else:
            self._done = True
