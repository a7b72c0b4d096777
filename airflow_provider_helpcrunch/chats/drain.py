"""
Drain of one source: the chats of one agent, or unassigned ones, are moved until none is left.

The first page is read, its chats are moved, and the first page is read again: progress is recorded in HelpCrunch
itself. A chat that a person has taken meanwhile is no longer on the page and is left alone. Chats that stay (refused,
left because nobody may get them, or in a status that is not wanted) would fill the first page, so the offset moves
past them. A drain ends with a pass from the first page that finds nothing to move.

Unassigned chats cannot be searched for (the API has no "is null"), so all chats that are not closed are read, once.
Moved chats stay in that search, so a page with moved chats is read again before the next one: it must show their new
assignee. Likewise, a drain that has reached its maximum of moves reads again from the first page up to the first chat
that is left to move.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.chats.checkpoint import SourceCheckpoint
from airflow_provider_helpcrunch.chats.conditions import names_in_chat, state_of
from airflow_provider_helpcrunch.chats.failures import FAULTS, MOST_FAULTS, REFUSALS, attempted, failed
from airflow_provider_helpcrunch.chats.results import DONE, Result
from airflow_provider_helpcrunch.chats.source_pages import SourcePages
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchError,
    HelpCrunchNotFoundError,
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
"""Age in seconds at which a page is read again, because a person may have taken a chat meanwhile."""


class Drain:
    """
    Moves the chats of one source.

    :param selection: the chats to move
    :param recipients: agents who get them
    :param checkpoint: progress so far, kept up to date
    :param most: most chats that the task may move in all; ``None``: all
    :param dry_run: whether changes are only planned
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
        """Most chats that are left to move, by HelpCrunch's total."""
        self.error: HelpCrunchError | None = None
        """Error of the latest chat that was refused or failed."""
        self.departments: dict[int, str] = {}
        """Names of the departments of the chats that were read, by id."""
        self._selection = selection
        self._recipients = recipients
        self._checkpoint = checkpoint
        self._results = checkpoint.results
        if checkpoint.source is None:
            checkpoint.source = SourceCheckpoint(
                # Unassigned chats: otherwise every chat that the account ever had would be read.
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
        :raises HelpCrunchRateLimitError: no request is allowed; a change since the latest result is in doubt
        :raises HelpCrunchError: a search failed, the key was refused, or too many chats failed in a row
        """
        self._check_going_on(client)
        while not self._is_over:
            page = self._pages.read(client)
            if page is not None:
                yield from (self._look_over if self._is_full() else self._work_off)(client, page)

    def _is_full(self) -> bool:
        """Say whether the maximum of moves is reached, counting those that may have been made."""
        at = self._checkpoint
        at.full = at.full or self._results.reach(self._most, at.moves_in_doubt)
        return at.full

    def _work_off(self, client: HelpCrunchClient, page: Page) -> Iterator[Result]:
        """Move the chats on the page, then step to the next page, unless this one has to be read again."""
        read_at, moves, changed = time.monotonic(), 0, 0
        staying = []
        self.remaining = self._pages.remaining(page)
        for number, chat in zip(page.ids, page.records, strict=True):
            stays = True
            if self._is_to_move(number, chat) and self._is_still_there(client, number):
                # At least one move per reading, or a slow account would read the page again and again.
                if moves and time.monotonic() - read_at > MOST_AGE:
                    return
                moves += 1
                result = self._move(client, number, chat)
                changed += result.outcome == "changed"
                # A search for an agent's chats no longer finds a moved one, but the search for unassigned chats does:
                # it covers the chats of all agents.
                stays = result.outcome != "changed" or self._selection.source is None
                self.remaining -= 1
                yield result
                self._check_going_on(client)
                if self._is_full():
                    self._look_back()
                    return
            if stays:
                staying.append(number)
        if self._selection.source is None and changed:
            return  # without a step to the next page: this one is read again, to see the new assignees
        yield from self._go_on(client, page, staying)

    def _go_on(self, client: HelpCrunchClient, page: Page, staying: list[int]) -> Iterator[Result]:
        if self._pages.next(client, page, staying):
            return
        # Chats that came to the source, or moved to a page already read, are found by another pass. Only a pass that
        # moved nothing proves the end.
        if self._at.moved:
            self._look_again()
            return
        yield from self._finish(client)

    def _look_again(self) -> None:
        self._at.returned.clear()
        self._pages.restart()

    def _look_back(self) -> None:
        """Start the check that moved chats are gone. Unassigned ones need no new pass: this page is read again."""
        self._is_over = self._dry_run
        if self._selection.source is not None:
            self._look_again()

    def _look_over(self, client: HelpCrunchClient, page: Page) -> Iterator[Result]:
        """Check whether moved chats are still there, on all pages up to the first chat that is left to move."""
        left = [self._is_to_move(number, chat) for number, chat in zip(page.ids, page.records, strict=True)]
        if any(left) or self._selection.source is None or not self._pages.next(client, page, page.ids):
            yield from self._finish(client)

    def _is_to_move(self, number: int, chat: Record) -> bool:
        at = self._at
        at.found_any |= id_in(chat, "assignee") == self._selection.source
        if not self._selection.concerns(chat):
            at.returned.discard(number)
            return False
        # Once the maximum is reached, what an earlier try has moved is only checked.
        recall = self._results.latest if self._is_full() else self._results.of_this_try
        latest = recall(number, "assignee")
        # Every result of this try is final, except a refusal of an agent who was dropped since: the chat itself may be
        # fine, so another agent is tried.
        if latest is not None and (latest.outcome != "refused" or latest.after in self._recipients.loads):
            # The search may only lag behind the move. It is not moved again: _finish reads the chat itself.
            if latest.outcome == "changed":
                at.returned.add(number)
            return False
        if self._selection.has_status(chat):
            at.skipped.discard(number)
            return True
        if chat.get("status") != "closed":
            at.skipped.add(number)
        return False

    def _is_still_there(self, client: HelpCrunchClient, number: int) -> bool:
        """
        Say whether a chat is to be moved, although an earlier try of the task has moved it, or may have.

        The search may lag behind that move: only the chat itself shows whether it came back. No request for others.
        """
        earlier = self._results.latest(number, "assignee")
        if earlier is None or earlier.outcome not in ("changed", "failed"):
            return True
        try:
            return self._selection.concerns(client.get_chat(number))
        except HelpCrunchNotFoundError:
            return False
        except FAULTS:
            # Nobody knows whether a failed move was made. The search shows the chat, and that has to do.
            if earlier.outcome == "failed":
                return True
            raise

    def _move(self, client: HelpCrunchClient, number: int, chat: Record) -> Result:
        agent = self._recipients.choose(chat)
        self.departments |= names_in_chat(chat, "department")
        result = Result(number, "assignee", self._selection.source, agent, "changed", **state_of(chat))
        if agent is None:
            return self._recorded(result._replace(outcome="left", error=self._recipients.why_none(chat)))
        if self._dry_run:
            return self._recorded(result._replace(outcome="planned"))
        error = attempted(
            client,
            self._checkpoint,
            result,
            lambda: client.update_chat_assignee(number, agent),
            lambda found: id_in(found, "assignee") == agent,
        )
        if error is None:
            return self._recorded(result)
        return self._recorded_failure(failed(result, error), error)

    def _recorded(self, result: Result) -> Result:
        self._results.add(result)
        self._faults = 0
        if result.outcome in DONE:
            self._recipients.given(result.after, result.id)
        if result.outcome == "changed" and self._selection.source is not None:
            self._at.moved = True
        return result

    def _recorded_failure(self, result: Result, error: HelpCrunchError) -> Result:
        self.error = error
        faults = self._faults
        self._recorded(result)
        if isinstance(error, REFUSALS):
            self._recipients.refused(result.after, error)
        else:
            self._recipients.may_have(result.after, result.id)
            self._faults = faults + 1
        return result

    def _check_going_on(self, client: HelpCrunchClient) -> None:
        if self._recipients.dropped(client):
            # The agent was at fault, not the chats: other agents get them in another pass.
            self._at.moved = True
        if self._faults >= MOST_FAULTS and self.error is not None:
            raise self.error
        if not self._recipients.loads:
            msg = (
                "All agents in to_agents have left the account, so the remaining chats stay where they are. Name other "
                "agents."
            )
            raise HelpCrunchRefusedError(msg)

    def _finish(self, client: HelpCrunchClient) -> Iterator[Result]:
        """Read each returned chat: either the search lagged behind, or the move did not last."""
        for number in sorted(self._at.returned):
            try:
                chat = client.get_chat(number)
            except HelpCrunchNotFoundError:
                chat = None  # deleted since: nothing is left to check
            # Only after the request: where the rate limit interrupts it, the chat must be checked later.
            self._at.returned.discard(number)
            latest = self._results.latest(number, "assignee")
            if latest is not None and chat is not None and self._selection.concerns(chat):
                error = (
                    "HelpCrunch confirmed the move, but the chat is still where it was: not applied, or reverted "
                    "by somebody."
                )
                self.error = HelpCrunchUnconfirmedError(f"Chat {number}: {error}")
                result = latest._replace(before=self._selection.source, outcome="failed", error=error)
                self._results.add(result)
                yield result
        self._is_over = True
