"""
Chats of one agent, or of nobody, go to others until none is left.

The first page is read, what is on it is moved, and the first page is read again: the progress lives in HelpCrunch
itself. A chat that a person has taken meanwhile is no longer on the page and is left alone. Chats that stay (refused,
or in a status that is not wanted) would fill the first page, so the offset moves past them; each page then begins with
the last of them, and where it does not, it is read from further in front. A drain ends with a pass from the first page
that finds nothing to move.

Nobody's chats cannot be searched for (the API has no "is null"), so all chats that are not closed are read, once. Those
that were moved stay among them, so a page on which chats were moved is read again before the next one: it must show
their new assignee. In the same way a drain that has moved as many chats as it may reads the first page once more, and
as many pages as there are in front of the first chat that is left to move.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchError,
    HelpCrunchRefusedError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.operators.chats.carried import from_steps, steps
from airflow_provider_helpcrunch.operators.chats.failures import (
    FAULTS,
    MOST_FAULTS,
    REFUSALS,
    is_made_all_the_same,
)
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

MOST_AGE = 15.0
"""Seconds for which a page is believed; then it is read anew, because a person may have taken a chat meanwhile."""


class Drain:
    """
    Moves the chats of one source. After an error of the budget, :meth:`outcomes` may be called again: it goes on.

    :param selection: whose chats, and which of them
    :param targets: who gets them
    :param settled: chats that were moved or refused already, and are left alone
    :param given: those of them that were moved, with the agents who got them
    :param room: how many chats may be moved; ``None``: all
    :param dry_run: whether nothing is written
    """

    def __init__(
        self,
        selection: Selection,
        targets: Targets,
        settled: set[int],
        given: dict[int, int],
        *,
        room: int | None,
        dry_run: bool,
    ) -> None:
        self.skipped: set[int] = set()
        """Chats of the source whose status is not wanted, closed ones aside."""
        self.has_met = False
        """Whether any chat of the source was found, in whatever status."""
        self.remaining = 0
        """How many chats may be left to move, by HelpCrunch's total."""
        self.error: HelpCrunchError | None = None
        """Why the latest chat was refused or failed."""
        self._selection = selection
        self._targets = targets
        self._settled = settled
        self._given = given
        self._returned: set[int] = set()
        self._room = room
        self._dry_run = dry_run
        self._pages = SearchPages(selection)
        # The pass in which a chat was moved latest: an end is only believed from a pass that moves none.
        self._moved_in = 0
        self._faults = 0
        self._done = False

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands, as plain JSON."""
        again = self._moved_in == self._pages.passes
        return {
            **self._pages.place,
            "again": again,
            "met": self.has_met,
            "skipped": steps(sorted(self.skipped)),
            "returned": steps(sorted(self._returned)),
        }

    @place.setter
    def place(self, place: dict[str, Any]) -> None:
        self.has_met = place["met"]
        self.skipped = set(from_steps(place["skipped"]))
        self._returned = set(from_steps(place["returned"]))
        self._pages.place = place
        self._moved_in = self._pages.passes if place["again"] else 0

    def outcomes(self, client: HelpCrunchClient) -> Iterator[Outcome]:
        """
        Move chats until none is left.

        :param client: the account
        :return: what became of each chat
        :raises HelpCrunchRateLimitError: the budget is spent; nothing was changed since the latest outcome
        :raises HelpCrunchError: a search failed, the key was refused, or too many chats failed in a row
        """
        while not self._done:
            page = self._pages.read(client)
            if page is not None:
                is_full = self._room == 0
                yield from (self._look_over if is_full else self._work_off)(client, page)

    def _work_off(self, client: HelpCrunchClient, page: Page) -> Iterator[Outcome]:
        """Move what is on the page, and go on behind it; a page that has to be seen once more is read again."""
        read_at, given = time.monotonic(), len(self._given)
        staying, moves = [], 0
        self.remaining = self._pages.remaining(page)
        for number, chat in zip(page.ids, page.records, strict=True):
            stays = True
            if self._is_to_move(number, chat):
                if moves and time.monotonic() - read_at > MOST_AGE:
                    return
                moves += 1
                outcome = self._move(client, number, chat)
                stays = outcome.outcome != "changed" or self._selection.source is None
                self.remaining -= 1
                yield outcome
                self._check_going_on()
                if self._room == 0:
                    self._look_back()
                    return
            if stays:
                staying.append(number)
        if self._selection.source is None and len(self._given) > given:
            return
        yield from self._go_on(client, page, staying)

    def _go_on(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> Iterator[Outcome]:
        if self._pages.next(client, page, staying):
            return
        if self._moved_in == self._pages.passes:
            self._returned.clear()
            self._pages.restart()
            return
        yield from self._look_after_returned(client)
        self._done = True

    def _look_back(self) -> None:
        """As many were moved as may be: see that they are gone. Nobody's are all on the page that is read next."""
        self._done = self._dry_run
        if self._selection.source is not None:
            self._returned.clear()
            self._pages.restart()

    def _look_over(self, client: HelpCrunchClient, page: Page) -> Iterator[Outcome]:
        """Look whether moved chats are where they were, on all pages up to the first chat that is left to move."""
        left = [self._is_to_move(number, chat) for number, chat in zip(page.ids, page.records, strict=True)]
        if any(left) or self._selection.source is None or not self._pages.next(client, page, page.ids):
            yield from self._look_after_returned(client)
            self._done = True

    def _is_to_move(self, number: int, chat: Record) -> bool:
        self.has_met |= id_in(chat, "assignee") == self._selection.source
        if not self._selection.concerns(chat):
            self._returned.discard(number)
            return False
        if number in self._settled:
            self._returned.update({number} & self._given.keys())
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
            return self._moved(outcome._replace(outcome="planned"))
        error = self._write(client, number, agent)
        return self._moved(outcome) if error is None else self._failed(client, outcome, error)

    def _write(self, client: HelpCrunchClient, number: int, agent: int) -> HelpCrunchError | None:
        try:
            client.update_chat_assignee(number, agent)
        except (*REFUSALS, *FAULTS) as error:
            if not is_made_all_the_same(
                client, number, error, lambda found: id_in(found, "assignee") == agent
            ):
                return error
        return None

    def _moved(self, outcome: Outcome) -> Outcome:
        if outcome.outcome == "changed":
            self._given[outcome.id] = outcome.after
            if self._selection.source is not None:
                self._moved_in = self._pages.passes
        self._faults = 0
        self._room = None if self._room is None else self._room - 1
        self._settled.add(outcome.id)
        self._targets.given(outcome.after)
        return outcome

    def _failed(self, client: HelpCrunchClient, outcome: Outcome, error: HelpCrunchError) -> Outcome:
        self.error = error
        self._settled.add(outcome.id)
        if not isinstance(error, REFUSALS):
            self._faults += 1
            return outcome._replace(outcome="failed", error=str(error))
        self._faults = 0
        if orphans := self._targets.refused(client, outcome.after, outcome.id, error):
            # It was the agent, not the chats: somebody else gets them, in another pass.
            self._settled.difference_update(orphans)
            self._moved_in = self._pages.passes
        return outcome._replace(outcome="refused", error=str(error))

    def _check_going_on(self) -> None:
        if self._faults >= MOST_FAULTS and self.error is not None:
            raise self.error
        if not self._targets.loads:
            msg = "All agents who were to get chats have left the account, so the rest stays. Name others in to_agents."
            raise HelpCrunchRefusedError(msg)

    def _look_after_returned(self, client: HelpCrunchClient) -> Iterator[Outcome]:
        """Find out whether the search lags behind, or chats that were moved are the source's all the same."""
        for number in sorted(self._returned):
            chat = client.get_chat(number)
            self._returned.discard(number)
            if self._selection.concerns(chat):
                error = "HelpCrunch said that it was moved, but it is where it was: not done, or undone by somebody."
                outcome = Outcome(
                    number, "assignee", self._selection.source, self._given[number], "failed", error
                )
                self.error = HelpCrunchUnconfirmedError(f"Chat {number}: {error}")
                yield outcome
