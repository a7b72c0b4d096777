"""Reassignment: moves the chats of several sources, one after the other, to one set of agents."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import Strategy, least_loaded
from airflow_provider_helpcrunch.chats.checkpoint import columns, from_columns
from airflow_provider_helpcrunch.chats.drain import Drain
from airflow_provider_helpcrunch.chats.eligibility import Eligibility, members_of_departments
from airflow_provider_helpcrunch.chats.failures import settled
from airflow_provider_helpcrunch.chats.notes import Notes, check_author
from airflow_provider_helpcrunch.chats.open_chats import count_open_chats
from airflow_provider_helpcrunch.chats.recipients import Recipients, names_in, names_of
from airflow_provider_helpcrunch.chats.results import NOTE
from airflow_provider_helpcrunch.chats.rules import NO_RULES, Rules
from airflow_provider_helpcrunch.chats.selection import Selection
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.eligibility import Members
    from airflow_provider_helpcrunch.chats.results import Result
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exceptions import HelpCrunchError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reassignment:
    """
    Work to be done.

    :param sources: ids of the agents whose chats are moved; ``None`` among them stands for unassigned chats
    :param recipients: ids of the agents who get the chats
    :param department: only chats of the department with this id; ``None``: all
    :param statuses: only chats with one of these statuses; ``None``: all open chats
    :param strategy: name or import path of the strategy
    :param most: most chats to move; ``None``: all
    :param dry_run: whether changes are only planned
    :param rules: who may get a chat, and the note that is left in it. Default: everybody, none
    """

    sources: tuple[int | None, ...]
    recipients: tuple[int, ...]
    department: int | None
    statuses: tuple[str, ...] | None
    strategy: str
    most: int | None
    dry_run: bool
    rules: Rules = NO_RULES

    def __post_init__(self) -> None:
        """Refuse an agent who is both source and recipient."""
        if both := [agent for agent in self.recipients if agent in self.sources]:
            msg = (
                f"Agent {both[0]} is in from_agents and in to_agents; chats cannot go to the agent "
                "they are taken from. Take the agent out of one of them."
            )
            raise HelpCrunchConfigurationError(msg)

    @property
    def fingerprint(self) -> str:
        """Short hash of the work: equal only for equal work."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]

    columns = staticmethod(columns)
    from_columns = staticmethod(from_columns)


class ReassignmentRun:
    """
    Engine that carries out a reassignment. After a rate limit error :meth:`run` may be called again: it continues.

    :param reassignment: the work
    :param strategy: the strategy of the reassignment, imported
    :param checkpoint: progress so far, kept up to date
    :param allow_unknown: whether a source may be unknown to the account and have no chats (``False``)
    :param page_size: chats per page, 1 to 100 (100)
    """

    skipped_because = "in a status that is not moved"

    def __init__(
        self,
        reassignment: Reassignment,
        strategy: Strategy,
        checkpoint: Checkpoint,
        *,
        allow_unknown: bool = False,
        page_size: int = LARGEST_PAGE,
    ) -> None:
        self.names: dict[int, str] = {}
        """Names of sources and recipients, by id."""
        self.departments: dict[int, str] = {}
        """Names of the departments of the chats that were read, by id."""
        self.error: HelpCrunchError | None = None
        """Error of the latest chat that was refused or failed."""
        self._work = reassignment
        self._strategy = strategy
        self._at = checkpoint
        self._allow_unknown = allow_unknown
        self._page_size = page_size
        self._drain: Drain | None = None
        self._members: Members | None = None
        rules = reassignment.rules
        self._notes = Notes(None if reassignment.dry_run else rules.note, rules.note_agent, checkpoint)

    @property
    def requests_left(self) -> int:
        """Estimate of the requests still needed, at least one."""
        if self._drain is None:
            is_counting = self._is_to_count and self._at.looked_up
            return 10 + (len(self._work.recipients) - self._at.counted if is_counting else 0)
        chats = self._drain.remaining
        searches = 2 + chats // LARGEST_PAGE
        each = 1 if self._work.rules.note is None else 2
        return searches + (0 if self._work.dry_run else each * chats)

    @property
    def _is_to_count(self) -> bool:
        return self._strategy is least_loaded or self._work.rules.most_open is not None

    def run(self, client: HelpCrunchClient) -> Iterator[Result]:
        """
        Move chats, source by source.

        :param client: the account
        :return: a result for each chat, and for each note
        :raises HelpCrunchConfigurationError: a recipient does not exist, and nothing was changed; or a source does not
            exist and has no chats, and the chats of the others were moved
        :raises HelpCrunchRateLimitError: no request is allowed; a change since the latest result is in doubt
        :raises HelpCrunchError: see :meth:`.drain.Drain.run`
        """
        at = self._at
        yield from self._settle(client, is_last=at.looks_again)
        self._prepare(client)
        yield from self._send_notes(client)
        recipients = Recipients(
            at.loads, self._strategy, at.results[at.results.earlier :], self._eligibility(client)
        )
        at.loads = recipients.loads
        while self._has_source():
            source = self._work.sources[at.sources_done]
            self._drain = self._drain_of(source, recipients)
            for result in self._drain.run(client):
                self.error = self._drain.error
                self.departments |= self._drain.departments
                yield result
                if result.outcome == "changed":
                    yield from self._send_notes(client, result.id)
            yield from self._settle(client)
            self._leave(source)
        # What failed in an earlier try, and was not met at its source in this one, may have been moved: then nothing
        # but another look brings it into the report, and lets it get its note.
        if not at.looks_again:
            at.in_doubt += at.results.failed_before()
            at.looks_again = True
        yield from self._settle(client, is_last=True)
        yield from self._send_notes(client)
        yield from self._settle(client)
        if not self._found_any():
            self._refuse_unknown_department(client)
        self._refuse_unknown_sources()
        self.names = self.names or names_of(client, {*self._work.recipients, *self._work.sources})

    def summary(self) -> dict[str, Any]:
        """Return entries that the result has beside the counts: of chats skipped for their status, and of notes."""
        source = self._at.source
        skipped = self._at.skipped + (len(source.skipped) if source else 0)
        return {"skipped": skipped, **self._notes.counts()}

    def _has_source(self) -> bool:
        """Say whether a source is left, or was interrupted, perhaps only in the final check of its moved chats."""
        at = self._at
        if at.source is not None:
            return True
        # After a maximum of moves the drain checks that moved chats are gone. An earlier try may have been interrupted
        # before that, so its moves are checked now.
        is_to_do = bool(at.results.earlier) or not (at.full or at.results.reach(self._work.most))
        return at.sources_done < len(self._work.sources) and is_to_do

    def _drain_of(self, source: int | None, recipients: Recipients) -> Drain:
        work = self._work
        statuses = None if work.statuses is None else frozenset(work.statuses)
        return Drain(
            Selection(source, work.department, statuses),
            recipients,
            self._at,
            most=work.most,
            dry_run=work.dry_run,
            page_size=self._page_size,
        )

    def _settle(self, client: HelpCrunchClient, *, is_last: bool = False) -> Iterator[Result]:
        """Find out whether chats whose move is in doubt were moved, and whether notes in doubt are there."""
        at = self._at
        for result in settled(
            client,
            at,
            lambda move, chat: id_in(chat, "assignee") == move.after,
            self._notes.is_noted,
            is_last=is_last,
        ):
            at.results.add(result)
            if at.source is not None and result.field != NOTE:
                at.source.moved = True  # only a pass that moved nothing proves the end
            if result.outcome == "changed" and result.after in at.loads:
                at.loads[result.after] += 1
            yield result

    def _send_notes(self, client: HelpCrunchClient, chat: int | None = None) -> Iterator[Result]:
        """Leave the note in a chat, or without one in all chats whose notes are due."""
        notes = self._notes.send_due(client) if chat is None else self._notes.send(client, chat)
        for result in notes:
            self.error = self._notes.error or self.error
            yield result

    def _eligibility(self, client: HelpCrunchClient) -> Eligibility:
        """Return who may get a chat; the members of the departments are read once, and again after a deferral."""
        rules, at = self._work.rules, self._at
        if rules.within_department and self._members is None:
            self._members = members_of_departments(client)
        return Eligibility(rules.most_open, at.opened, at.results[at.counted_from :], self._members)

    def _leave(self, source: int | None) -> None:
        at = self._at
        if at.source is not None:
            at.skipped += len(at.source.skipped)
            if source in at.unknown and at.source.found_any:
                at.unknown.remove(source)
        at.sources_done += 1
        at.source = self._drain = None

    def _found_any(self) -> bool:
        return bool(self._at.skipped) or len(self._at.results) > self._at.results.earlier

    def _refuse_unknown_sources(self) -> None:
        """Refuse unknown sources without chats: a mistyped id must not look like an agent who has none."""
        done = self._work.sources[: self._at.sources_done]
        missing = [agent for agent in self._at.unknown if agent in done]
        if not missing or self._allow_unknown:
            return
        msg = (
            f"from_agents names {named(missing)}, but the account has no such agent, and "
            "nothing assigned to them was found. Correct the id; or, where an agent who has left may have no chats "
            "any more, set allow_unknown_agents=True. Chats of the other agents are not affected."
        )
        raise HelpCrunchConfigurationError(msg)

    def _refuse_unknown_department(self, client: HelpCrunchClient) -> None:
        """Refuse a department that does not exist; checked only when no chat was found, to save the request."""
        department = self._work.department
        if department is not None and all(found["id"] != department for found in client.iter_departments()):
            msg = f"department names {department}, but the account has no such department. Nothing was moved."
            raise HelpCrunchConfigurationError(msg)

    def _prepare(self, client: HelpCrunchClient) -> None:
        """Look up all agents and count the chats of the recipients, except what the checkpoint already has."""
        at = self._at
        if not at.looked_up:
            self._look_up(client)
            at.looked_up = True
            at.counted_from = len(at.results)
        if self._is_to_count:
            count_open_chats(client, self._work.recipients, at)
        if self._strategy is least_loaded:
            at.loads = at.loads or dict(at.opened)

    def _look_up(self, client: HelpCrunchClient) -> None:
        meant = {*self._work.recipients, *self._work.sources}
        found = names_in(client.iter_agents())
        self._check(found)
        self.names = {agent: name for agent, name in found.items() if agent in meant}
        if self._strategy is least_loaded:
            return
        loads = dict.fromkeys(self._work.recipients, 0)
        for result in self._at.results.made():
            if result.after in loads:
                loads[result.after] += 1
        self._at.loads = loads

    def _check(self, found: dict[int, str]) -> None:
        work = self._work
        if missing := [agent for agent in work.recipients if agent not in found]:
            known = (
                f"{len(found)} agents" if len(found) > 20 else ", ".join(map(str, sorted(found))) or "none"
            )
            msg = (
                f"to_agents names {', '.join(map(str, missing))}, but the account has no such agent. "
                f"Nothing was moved. It has {known}; ListAgentsOperator lists them."
            )
            raise HelpCrunchConfigurationError(msg)
        check_author(work.rules.note_agent, found)
        absent = [agent for agent in work.sources if agent is not None and agent not in found]
        had_chats = {result.before for result in self._at.results}
        self._at.unknown = [agent for agent in absent if agent not in had_chats]
        if absent:
            names = ", ".join(map(str, absent[:20])) + (" …" if len(absent) > 20 else "")
            log.warning("The account has no agent %s; chats that are still theirs are moved.", names)
