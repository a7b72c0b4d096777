"""Engine that applies a plan, change by change."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.failures import (
    FAULTS,
    MOST_FAULTS,
    REFUSALS,
    attempted,
    failed,
    settled,
)
from airflow_provider_helpcrunch.chats.recipients import names_in, names_of
from airflow_provider_helpcrunch.chats.results import UNKNOWN, Result
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchResponseError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.plan import Change, Plan
    from airflow_provider_helpcrunch.client import HelpCrunchClient


class PlanRun:
    """
    Makes the changes of a plan that are not made yet. After a rate limit error :meth:`run` may be called again.

    :param plan: the plan
    :param checkpoint: progress so far, kept up to date; failures of earlier tries are tried again
    :param check: whether each chat is read first, and changes already in place are skipped (``False``)
    """

    def __init__(self, plan: Plan, checkpoint: Checkpoint, *, check: bool = False) -> None:
        self.names: dict[int, str] = {}
        """Names of the agents in the plan, by id."""
        self.error: HelpCrunchError | None = None
        """Error of the latest change that was refused or failed."""
        self._plan = plan
        self._at = checkpoint
        self._check = check
        self._faults = 0
        self._made_before = {
            (result.id, result.field)
            for result in checkpoint.results.standing()
            if result.outcome in ("changed", "unchanged")
        }

    @property
    def requests_left(self) -> int:
        """Estimate of the requests still needed, at least one."""
        changes = sum(map(self._is_left, self._plan.changes))
        return 1 + changes * (2 if self._check else 1) + (0 if self._at.looked_up else 10)

    def run(self, client: HelpCrunchClient) -> Iterator[Result]:
        """
        Make the changes.

        :param client: the account
        :return: a result for each change
        :raises HelpCrunchConfigurationError: the plan names an agent or a department that does not exist; nothing was
            changed
        :raises HelpCrunchRateLimitError: no request is allowed; a change since the latest result is in doubt
        :raises HelpCrunchError: the key was refused, or three changes in a row failed
        """
        if not self._at.looked_up:
            self._refuse_unknown(client)
            self._at.looked_up = True
        yield from self._settle(client)
        for chat, changes in groupby(self._plan.changes, key=lambda change: change.chat):
            left = [change for change in changes if self._is_left(change)]
            met_fault = False
            for result in self._results_of(client, chat, left) if left else ():
                self._at.results.add(result)
                met_fault |= result.outcome == "failed"
                yield result
            self._faults = self._faults + 1 if met_fault else 0
            if self._faults >= MOST_FAULTS and self.error is not None:
                raise self.error
        yield from self._settle(client)
        if not self.names:
            self.names = names_of(client, self._plan.ids("assignee"))

    def summary(self) -> dict[str, Any]:
        """Return entries that the result has beside the counts: none."""
        return {}

    def _settle(self, client: HelpCrunchClient) -> Iterator[Result]:
        planned = {(change.chat, change.field): change for change in self._plan.changes}

        def shows(result: Result, chat: Mapping[str, Any]) -> bool:
            change = planned[result.id, result.field]
            return bool(change.value_in(chat) == change.value)

        for result in settled(client, self._at, shows):
            self._at.results.add(result)
            yield result

    def _is_left(self, change: Change) -> bool:
        key = change.chat, change.field
        return key not in self._made_before and self._at.results.of_this_try(*key) is None

    def _results_of(self, client: HelpCrunchClient, chat: int, changes: list[Change]) -> Iterator[Result]:
        found = None
        if self._check:
            try:
                found = client.get_chat(chat)
            except (*REFUSALS, *FAULTS) as error:
                for change in changes:
                    yield self._failed(Result(chat, change.field, UNKNOWN, change.value, "failed"), error)
                return
        for change in changes:
            yield self._result_of(client, change, found)

    def _result_of(self, client: HelpCrunchClient, change: Change, found: Mapping[str, Any] | None) -> Result:
        result = Result(change.chat, change.field, UNKNOWN, change.value, "unchanged")
        if found is None:
            return self._made(client, change, result)
        try:
            before = change.value_in(found)
        except HelpCrunchResponseError as error:
            return self._failed(result, error)
        result = result._replace(before=before)
        return result if before == change.value else self._made(client, change, result)

    def _made(self, client: HelpCrunchClient, change: Change, result: Result) -> Result:
        error = attempted(
            client,
            self._at,
            result._replace(outcome="changed"),
            lambda: change.make(client),
            lambda chat: change.value_in(chat) == change.value,
        )
        return result._replace(outcome="changed") if error is None else self._failed(result, error)

    def _failed(self, result: Result, error: HelpCrunchError) -> Result:
        self.error = error
        return failed(result, error)

    def _refuse_unknown(self, client: HelpCrunchClient) -> None:
        for field, listing in (("assignee", client.iter_agents), ("department", client.iter_departments)):
            if not (wanted := self._plan.ids(field)):
                continue
            found = names_in(listing())
            if missing := sorted(wanted - found.keys()):
                noun = "agent" if field == "assignee" else field
                msg = (
                    f"The plan names {noun} {', '.join(map(str, missing[:20]))}, and the account has no such {noun}. "
                    "Nothing was changed."
                )
                raise HelpCrunchConfigurationError(msg)
            if field == "assignee":
                self.names = {agent: found[agent] for agent in wanted}
