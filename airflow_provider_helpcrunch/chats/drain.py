"""
Drain of one agent's chats, or of nobody's: they go to others until none is left.

The first page is read, its chats are moved, and the first page is read again: the progress is in HelpCrunch itself. A
chat that a person has taken meanwhile is no longer on the page and is left alone. Chats that stay (refused, or in a
status that is not wanted) would fill the first page, so the offset moves past them. A drain ends with a pass from the
first page that finds nothing to move.

Nobody's chats cannot be searched for (the API has no "is null"), so all chats that are not closed are read, once. Those
that were moved stay among them, so a page on which chats were moved is read again before the next one: it must show
their new assignee. In the same way a drain that has moved as many chats as it may reads the first page once more, and
as many pages as there are in front of the first chat that is left to move.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.chats.checkpoint import SourceCheckpoint
from airflow_provider_helpcrunch.chats.failures import FAULTS, MOST_FAULTS, REFUSALS, was_applied
from airflow_provider_helpcrunch.chats.results import DONE, Result
from airflow_provider_helpcrunch.chats.source_pages import SourcePages
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchError,
    HelpCrunchRefusedError,
    HelpCrunchUnconfirmedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.recipients import Recipients
    from airflow_provider_helpcrunch.chats.selection import Selection
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.pages import Page
    from airflow_provider_helpcrunch.schema import Record

MOST_AGE = 15.0
"""Seconds for which a page is trusted; then it is read again, because a person may have taken a chat meanwhile."""


class Drain:
    """
    Moves the chats of one source.

    :param selection: whose chats, and which of them
    :param recipients: who gets them
    :param checkpoint: where to go on; results are noted there
    :param most: how many chats the task may move in all; ``None``: all
    :param dry_run: whether nothing is written
    :param page_size: chats per page, 1 to 100 (100)
    """

    def __init__(
        self,
        selection: Selection,
        recipients: Recipients,
        checkpoint: Checkpoint,
        *,
        most: int | None,
        dry_run: bool,
        page_size: int = LARGEST_PAGE,
    ) -> None:
        self.remaining = 0
        """How many chats may be left to move, by HelpCrunch's total."""
        self.error: HelpCrunchError | None = None
        """Why the latest chat was refused or failed."""
        self._selection = selection
        self._recipients = recipients
        self._results = checkpoint.results
        if checkpoint.source is None:
            checkpoint.source = SourceCheckpoint(
                # Nobody's chats: without it, every chat that the account ever had would be read.
                narrow=selection.source is None and not selection.wants_closed,
                may_narrow=not selection.wants_closed,
            )
        self._at = checkpoint.source
        self._pages = SourcePages(selection, self._at, page_size)
        self._most = most
        self._dry_run = dry_run
        self._faults = 0
        self._is_over = False

    def run(self, client: HelpCrunchClient) -> Iterator[Result]:
        """
        Move chats until none is left.

        :param client: the account
        :return: a result for each chat
        :raises HelpCrunchRateLimitError: no request is allowed; nothing was changed since the latest result
        :raises HelpCrunchError: a search failed, the key was refused, or too many chats failed in a row
        """
        while not self._is_over:
            page = self._pages.read(client)
            if page is not None:
                yield from (self._look_over if self._is_full() else self._work_off)(client, page)

    def _is_full(self) -> bool:
        """Say whether as many chats were moved as may be."""
        return self._most is not None and self._results.moved >= self._most

    def _work_off(self, client: HelpCrunchClient, page: Page) -> Iterator[Result]:
        """Move the chats on the page, and go on behind it; a page that has to be seen once more is read again."""
        read_at, moves, changed = time.monotonic(), 0, 0
        staying = []
        self.remaining = self._pages.remaining(page)
        for number, chat in zip(page.ids, page.records, strict=True):
            stays = True
            if self._is_to_move(number, chat):
                if moves and time.monotonic() - read_at > MOST_AGE:
                    return
                moves += 1
                result = self._move(client, number, chat)
                changed += result.outcome == "changed"
                stays = result.outcome != "changed" or self._selection.source is None
                self.remaining -= 1
                yield result
                self._check_going_on()
                if self._is_full():
                    self._look_back()
                    return
            if stays:
                staying.append(number)
        if self._selection.source is None and changed:
            return
        yield from self._go_on(client, page, staying)

    def _go_on(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> Iterator[Result]:
        if self._pages.next(client, page, staying):
            return
        if self._at.moved:  # The end counts only after a pass that moved nothing.
            self._look_again()
            return
        yield from self._finish(client)

    def _look_again(self) -> None:
        self._at.returned.clear()
        self._pages.restart()

    def _look_back(self) -> None:
        """As many were moved as may be: see that they are gone. Nobody's are all on the page that is read next."""
        self._is_over = self._dry_run
        if self._selection.source is not None:
            self._look_again()

    def _look_over(self, client: HelpCrunchClient, page: Page) -> Iterator[Result]:
        """Look whether moved chats are where they were, on all pages up to the first chat that is left to move."""
        left = [self._is_to_move(number, chat) for number, chat in zip(page.ids, page.records, strict=True)]
        if any(left) or self._selection.source is None or not self._pages.next(client, page, page.ids):
            yield from self._finish(client)

    def _is_to_move(self, number: int, chat: Record) -> bool:
        at = self._at
        at.found_any |= id_in(chat, "assignee") == self._selection.source
        if not self._selection.concerns(chat):
            at.returned.discard(number)
            return False
        latest = self._results.latest(number, "assignee")
        # Not settled is what was refused for an agent who has left since: somebody else may get it.
        if latest is not None and (latest.outcome != "refused" or latest.after in self._recipients.loads):
            if latest.outcome == "changed":
                at.returned.add(number)
            return False
        if self._selection.has_status(chat):
            at.skipped.discard(number)
            return True
        if chat.get("status") != "closed":
            at.skipped.add(number)
        return False

    def _move(self, client: HelpCrunchClient, number: int, chat: Record) -> Result:
        agent = self._recipients.choose(chat)
        result = Result(number, "assignee", self._selection.source, agent, "changed")
        if self._dry_run:
            return self._noted(result._replace(outcome="planned"))
        error = self._write(client, number, agent)
        if error is None:
            return self._noted(result)
        refused = isinstance(error, REFUSALS)
        result = result._replace(outcome="refused" if refused else "failed", error=str(error))
        return self._noted_failure(client, result, error)

    def _write(self, client: HelpCrunchClient, number: int, agent: int) -> HelpCrunchError | None:
        try:
            client.update_chat_assignee(number, agent)
        except (*REFUSALS, *FAULTS) as error:
            if not was_applied(client, number, error, lambda found: id_in(found, "assignee") == agent):
                return error
        return None

    def _noted(self, result: Result) -> Result:
        self._results.add(result)
        self._faults = 0
        if result.outcome in DONE:
            self._recipients.given(result.after)
        if result.outcome == "changed" and self._selection.source is not None:
            self._at.moved = True
        return result

    def _noted_failure(self, client: HelpCrunchClient, result: Result, error: HelpCrunchError) -> Result:
        self.error = error
        faults = self._faults
        self._noted(result)
        if not isinstance(error, REFUSALS):
            self._faults = faults + 1
        elif self._recipients.refused(client, result.after, result.id, error):
            # It was the agent, not the chats: somebody else gets them, in another pass.
            self._at.moved = True
        return result

    def _check_going_on(self) -> None:
        if self._faults >= MOST_FAULTS and self.error is not None:
            raise self.error
        if not self._recipients.loads:
            msg = (
                "All agents in to_agents have left the account, so the remaining chats stay where they are. Name other "
                "agents."
            )
            raise HelpCrunchRefusedError(msg)

    def _finish(self, client: HelpCrunchClient) -> Iterator[Result]:
        """Find out whether the search lags behind, or chats that were moved are the source's nevertheless."""
        for number in sorted(self._at.returned):
            chat = client.get_chat(number)
            self._at.returned.discard(number)
            latest = self._results.latest(number, "assignee")
            if latest is not None and self._selection.concerns(chat):
                error = (
                    "HelpCrunch confirmed the move, but the chat is still where it was: not applied, or reverted "
                    "by somebody."
                )
                self.error = HelpCrunchUnconfirmedError(f"Chat {number}: {error}")
                result = latest._replace(before=self._selection.source, outcome="failed", error=error)
                self._results.add(result)
                yield result
        self._is_over = True
