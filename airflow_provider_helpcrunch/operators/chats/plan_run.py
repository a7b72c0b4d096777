"""Carries out a plan, change by change."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchResponseError,
)
from airflow_provider_helpcrunch.operators.chats.failures import (
    FAULTS,
    MOST_FAULTS,
    REFUSALS,
    is_made_all_the_same,
)
from airflow_provider_helpcrunch.operators.chats.outcome import UNKNOWN, Outcome
from airflow_provider_helpcrunch.operators.chats.targets import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.operators.chats.plan import Change, Plan


class PlanRun:
    """
    Makes the changes of a plan that are not made yet. After an error of the budget, :meth:`outcomes` may be called
    again.

    :param plan: the plan
    :param done: outcomes of this task so far
    :param earlier: how many of these are from earlier tries, whose failures are tried again
    :param check: whether each chat is read first, and what is so already is left alone
    :param look_up: whether the agents and departments that the plan names are looked up first
    """

    names: dict[int, str]

    def __init__(
        self,
        plan: Plan,
        done: Sequence[Outcome] = (),
        earlier: int = 0,
        *,
        check: bool = False,
        look_up: bool = True,
    ) -> None:
        self.names = {}
        self.error: HelpCrunchError | None = None
        """Why the latest change was refused or failed."""
        self._plan = plan
        self._check = check
        self._looks_up = look_up
        self._looked_up = not look_up
        self._faults = 0
        self._settled = {
            (outcome.id, outcome.field)
            for place, outcome in enumerate(done)
            if place >= earlier or outcome.outcome in ("changed", "unchanged")
        }

    @property
    def requests_left(self) -> int:
        """How many requests may be needed still, one at least."""
        changes = len(self._plan.changes) - len(self._settled)
        return 1 + changes * (2 if self._check else 1) + (0 if self._looked_up else 10)

    @property
    def place(self) -> dict[str, Any]:
        """What is not in the outcomes, as plain JSON."""
        return {"looked_up": self._looked_up}

    def go_on_from(self, place: dict[str, Any]) -> None:
        """Take up the work where another object of this class, with the same plan, stood."""
        self._looked_up = place["looked_up"]

    def outcomes(self, client: HelpCrunchClient) -> Iterator[Outcome]:
        """
        Make the changes.

        :param client: the account
        :return: what became of each change
        :raises HelpCrunchConfigurationError: the plan names an agent or a department that does not exist; nothing was
            changed
        :raises HelpCrunchRateLimitError: the budget is spent; nothing was changed since the latest outcome
        :raises HelpCrunchError: the key was refused, or three changes in a row failed
        """
        if not self._looked_up:
            self._refuse_unknown(client)
            self._looked_up = True
        for chat, changes in groupby(self._plan.changes, key=lambda change: change.chat):
            left = [change for change in changes if (change.chat, change.field) not in self._settled]
            met_fault = False
            for outcome in self._outcomes_of(client, chat, left) if left else ():
                self._settled.add((outcome.id, outcome.field))
                met_fault |= outcome.outcome == "failed"
                yield outcome
            self._faults = self._faults + 1 if met_fault else 0
            if self._faults >= MOST_FAULTS and self.error is not None:
                raise self.error
        if self._looks_up and not self.names:
            self.names = names_of(client, self._plan.ids("assignee"))

    def summary(self) -> dict[str, Any]:
        """Return what the result says beside the outcomes: nothing."""
        return {}

    def _outcomes_of(self, client: HelpCrunchClient, chat: int, changes: list[Change]) -> Iterator[Outcome]:
        found = None
        if self._check:
            try:
                found = client.get_chat(chat)
            except (*REFUSALS, *FAULTS) as error:
                for change in changes:
                    yield self._failed(Outcome(chat, change.field, UNKNOWN, change.value, "failed"), error)
                return
        for change in changes:
            yield self._outcome_of(client, change, found)

    def _outcome_of(
        self, client: HelpCrunchClient, change: Change, found: Mapping[str, Any] | None
    ) -> Outcome:
        outcome = Outcome(change.chat, change.field, UNKNOWN, change.value, "unchanged")
        if found is None:
            return self._made(client, change, outcome)
        try:
            before = change.value_in(found)
        except HelpCrunchResponseError as error:
            return self._failed(outcome, error)
        outcome = outcome._replace(before=before)
        return outcome if before == change.value else self._made(client, change, outcome)

    def _made(self, client: HelpCrunchClient, change: Change, outcome: Outcome) -> Outcome:
        try:
            change.make(client)
        except (*REFUSALS, *FAULTS) as error:
            if not is_made_all_the_same(
                client, change.chat, error, lambda chat: change.value_in(chat) == change.value
            ):
                return self._failed(outcome, error)
        return outcome._replace(outcome="changed")

    def _failed(self, outcome: Outcome, error: HelpCrunchError) -> Outcome:
        self.error = error
        refused = isinstance(error, REFUSALS)
        return outcome._replace(outcome="refused" if refused else "failed", error=str(error))

    def _refuse_unknown(self, client: HelpCrunchClient) -> None:
        for field, listing in (("assignee", client.iter_agents), ("department", client.iter_departments)):
            if not (wanted := self._plan.ids(field)):
                continue
            found = {int(record["id"]): str(record.get("name") or "") for record in listing()}
            if missing := sorted(wanted - found.keys()):
                noun = "agent" if field == "assignee" else field
                msg = (
                    f"The plan names {noun} {', '.join(map(str, missing[:20]))}, and the account has no such {noun}. "
                    "Nothing was changed."
                )
                raise HelpCrunchConfigurationError(msg)
            if field == "assignee":
                self.names = {agent: found[agent] for agent in wanted}
