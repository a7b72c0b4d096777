"""Engine that applies a plan, change by change."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.conditions import names_in_chat, state_of, value_in
from airflow_provider_helpcrunch.chats.eligibility import Eligibility, members_of_departments
from airflow_provider_helpcrunch.chats.failures import (
    FAULTS,
    MOST_FAULTS,
    REFUSALS,
    attempted,
    failed,
    settled,
)
from airflow_provider_helpcrunch.chats.notes import Notes, check_author
from airflow_provider_helpcrunch.chats.open_chats import count_open_chats
from airflow_provider_helpcrunch.chats.recipients import names_in, names_of
from airflow_provider_helpcrunch.chats.results import UNKNOWN, Result
from airflow_provider_helpcrunch.chats.rules import NO_RULES
from airflow_provider_helpcrunch.client.vocabulary import is_open
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchResponseError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.eligibility import Members
    from airflow_provider_helpcrunch.chats.plan import Change, Plan
    from airflow_provider_helpcrunch.chats.rules import Rules
    from airflow_provider_helpcrunch.client import HelpCrunchClient


class PlanRun:
    """
    Makes the changes of a plan that are not made yet. After a rate limit error :meth:`run` may be called again.

    A chat with conditions is read right before it is changed, and left alone where one no longer holds. Between that
    reading and the change lies one gap that nobody can close: HelpCrunch has no conditional request. Where the plan has
    rules, a chat that is to get another agent is read first too, and left alone if that agent may not get it by then. A
    chat that is the agent's already gets no note: an earlier try may have left it.

    :param plan: the plan
    :param checkpoint: progress so far, kept up to date; failures of earlier tries are tried again
    :param check: whether chats without conditions are read first too, and changes already in place are not made again
        (``False``)
    """

    def __init__(self, plan: Plan, checkpoint: Checkpoint, *, check: bool = False) -> None:
        self.names: dict[int, str] = {}
        """Names of the agents in the plan, by id."""
        self.departments: dict[int, str] = {}
        """Names of the departments of the chats that were read, by id."""
        self.error: HelpCrunchError | None = None
        """Error of the latest change that was refused or failed."""
        self._plan = plan
        self._at = checkpoint
        self._check = check
        self._faults = 0
        rules = plan.rules
        self._agents = {change.chat: change.value for change in plan.changes if change.field == "assignee"}
        self._ruled = _chats_read_for(rules, plan)
        self._notes = Notes(rules.note, rules.note_agent, checkpoint)
        self._members: Members | None = None
        self._eligibility = Eligibility()
        self._made_before = {
            (result.id, result.field)
            for result in checkpoint.results.standing()
            if result.outcome in ("changed", "unchanged", "skipped")
        }

    @property
    def skipped_because(self) -> str:
        """Why chats are skipped, for the log."""
        rules = self._plan.rules
        may_refuse = rules.within_department or rules.most_open is not None
        return "no longer as planned" + (", or the agent may not get them" if may_refuse else "")

    @property
    def requests_left(self) -> int:
        """Estimate of the requests still needed, at least one."""
        left = [change for change in self._plan.changes if self._is_left(change)]
        reads = sum(map(self._is_read_first, {change.chat for change in left}))
        notes = 0 if self._plan.rules.note is None else sum(change.field == "assignee" for change in left)
        return 1 + len(left) + reads + notes + (0 if self._at.looked_up else 10)

    def run(self, client: HelpCrunchClient) -> Iterator[Result]:
        """
        Make the changes.

        :param client: the account
        :return: a result for each change, and for each note
        :raises HelpCrunchConfigurationError: the plan names an agent or a department that does not exist; nothing was
            changed
        :raises HelpCrunchRateLimitError: no request is allowed; a change since the latest result is in doubt
        :raises HelpCrunchError: the key was refused, or three changes in a row failed
        """
        if not self._at.looked_up:
            self._refuse_unknown(client)
            self._at.looked_up = True
        yield from self._settle(client)
        self._prepare(client)
        yield from self._send(self._notes.send_due(client))
        for chat, changes in groupby(self._plan.changes, key=lambda change: change.chat):
            results = []
            for result in self._results_of(client, list(changes)):
                self._at.results.add(result)
                self._eligibility.record(result)
                results.append(result)
                yield result
            if any(result.is_move for result in results):
                yield from self._send(self._notes.send(client, chat))
            met_fault = any(result.outcome == "failed" for result in results)
            self._faults = self._faults + 1 if met_fault else 0
            if self._faults >= MOST_FAULTS and self.error is not None:
                raise self.error
        yield from self._settle(client)
        yield from self._send(self._notes.send_due(client))
        yield from self._settle(client)
        if not self._plan.ids("assignee") <= self.names.keys():
            self.names |= names_of(client, self._plan.ids("assignee") | self._plan.ids_before())

    def summary(self) -> dict[str, Any]:
        """Return entries that the result has beside the counts: of notes."""
        return dict(self._notes.counts())

    def _prepare(self, client: HelpCrunchClient) -> None:
        """Find out what the rules need to know: who has how many chats, and who is a member of which department."""
        rules, at, agents = self._plan.rules, self._at, sorted(self._plan.ids("assignee"))
        if not at.counted:
            at.counted_from = len(at.results)
        if rules.most_open is not None:
            count_open_chats(client, agents, at)
        if rules.within_department and self._members is None and agents:
            self._members = members_of_departments(client)
        results = at.results[at.counted_from :]
        self._eligibility = Eligibility(rules.most_open, at.opened, results, self._members)

    def _send(self, notes: Iterator[Result]) -> Iterator[Result]:
        for result in notes:
            self.error = self._notes.error or self.error
            yield result

    def _settle(self, client: HelpCrunchClient) -> Iterator[Result]:
        for result in settled(
            client,
            self._at,
            lambda change, chat: value_in(chat, change.field) == change.after,
            self._notes.is_noted,
        ):
            self._at.results.add(result)
            yield result

    def _is_left(self, change: Change) -> bool:
        key = change.chat, change.field
        return key not in self._made_before and self._at.results.of_this_try(*key) is None

    def _is_read_first(self, chat: int) -> bool:
        return self._check or chat in self._plan.conditions or chat in self._ruled

    def _results_of(self, client: HelpCrunchClient, changes: list[Change]) -> Iterator[Result]:
        """Make the changes of one chat that are left to make."""
        if not (left := [change for change in changes if self._is_left(change)]):
            return
        chat, obstacle = changes[0].chat, None
        found: Mapping[str, Any] | None = None
        if self._is_read_first(chat):
            try:
                found = client.get_chat(chat)
                obstacle = self._obstacle(found, changes)
            except (*REFUSALS, *FAULTS) as error:
                for change in left:
                    yield self._failed(Result(chat, change.field, UNKNOWN, change.value, "failed"), error)
                return
        before = found
        for change in left:
            result, found = self._result_of(client, change, found, obstacle)
            if before is not None:
                self._count_reopened(before, result)
            yield result

    def _obstacle(self, found: Mapping[str, Any], changes: list[Change]) -> str | None:
        """Return why a chat is left alone: it is no longer as planned, or the agent may not get it; else ``None``."""
        planned = {change.field: change.value for change in changes}
        conditions = self._plan.conditions.get(changes[0].chat)
        if conditions and (broken := conditions.broken_by(found, planned, self.names, self.departments)):
            return broken
        if (agent := planned.get("assignee")) is None:
            return None
        to_be = {**found, "status": planned.get("status", found.get("status"))}
        if department := planned.get("department"):
            to_be["department"] = {"id": department, "name": self.departments.get(department)}
        return self._eligibility.why_not(found, to_be, agent, self.names.get(agent))

    def _count_reopened(self, chat: Mapping[str, Any], result: Result) -> None:
        """
        Count a chat that the plan opened again for whoever has it: there is less room for others then.

        The counts are part of the checkpoint, because a result does not say whose chat it was.
        """
        was_opened = not is_open(chat.get("status")) and is_open(result.after)
        if result.field != "status" or result.outcome not in ("changed", "failed") or not was_opened:
            return
        agent = self._agents.get(result.id, value_in(chat, "assignee"))
        if agent in self._at.opened and not self._eligibility.has_got(agent, result.id):
            self._at.opened[agent] += 1

    def _result_of(
        self, client: HelpCrunchClient, change: Change, found: Mapping[str, Any] | None, obstacle: str | None
    ) -> tuple[Result, Mapping[str, Any] | None]:
        """Return the result of a change, and the chat after it; ``None`` if that is not known."""
        result = Result(change.chat, change.field, UNKNOWN, change.value, "unchanged")
        if found is None:
            return self._made(client, change, result)[0], None
        try:
            before = value_in(found, change.field)
        except HelpCrunchResponseError as error:
            return self._failed(result, error), found
        result = result._replace(before=before, **state_of(found))
        self.departments |= names_in_chat(found, "department")
        if before == change.value:
            # Where a try before had no response to this change, it has made it, although nobody could see that so far.
            earlier = self._at.results.latest(change.chat, change.field)
            if earlier is not None and earlier.outcome == "failed":
                result = earlier._replace(outcome="changed", error=None)
            return result, found
        if obstacle is not None:
            self.names |= names_in_chat(found, "assignee")
            return result._replace(outcome="skipped", error=obstacle), found
        return self._made(client, change, result)

    def _made(
        self, client: HelpCrunchClient, change: Change, result: Result
    ) -> tuple[Result, Mapping[str, Any] | None]:
        after: list[Mapping[str, Any]] = []
        error = attempted(
            client,
            self._at,
            result._replace(outcome="changed"),
            lambda: after.append(change.make(client)),
            lambda chat: value_in(chat, change.field) == change.value,
        )
        # A change may bring others with it: the rules of a new department may assign the chat.
        made = result._replace(outcome="changed") if error is None else self._failed(result, error)
        return made, after[-1] if after else None

    def _failed(self, result: Result, error: HelpCrunchError) -> Result:
        self.error = error
        return failed(result, error)

    def _refuse_unknown(self, client: HelpCrunchClient) -> None:
        agents, departments = self._plan.ids("assignee"), self._plan.ids("department")
        signs = self._plan.rules.note_agent is not None and bool(self._agents)
        if agents or signs:
            found = names_in(client.iter_agents())
            _refuse_missing("agent", agents, found)
            check_author(self._plan.rules.note_agent, found)
            meant = agents | self._plan.ids_before()
            self.names = {agent: name for agent, name in found.items() if agent in meant}
        if departments and self._plan.rules.within_department:
            self._members = members_of_departments(client)
            _refuse_missing("department", departments, self._members)
        elif departments:
            _refuse_missing("department", departments, names_in(client.iter_departments()))


def _chats_read_for(rules: Rules, plan: Plan) -> set[int]:
    """Return the chats that the rules of a plan concern, and perhaps count."""
    if rules == NO_RULES:
        return set()
    counts = rules.most_open is not None and bool(plan.ids("assignee"))
    return {
        change.chat
        for change in plan.changes
        if change.field == "assignee" or (counts and change.field == "status" and is_open(change.value))
    }


def _refuse_missing(noun: str, wanted: set[int], found: Collection[int]) -> None:
    if missing := sorted(wanted.difference(found)):
        msg = (
            f"The plan names {noun} {', '.join(map(str, missing[:20]))}, and the account has no such {noun}. "
            "Nothing was changed."
        )
        raise HelpCrunchConfigurationError(msg)
