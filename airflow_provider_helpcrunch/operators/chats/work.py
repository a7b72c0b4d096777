"""Work on many chats: driven until it is done or the account's request budget is spent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.operators.chats.carried import packed, unpacked
from airflow_provider_helpcrunch.operators.chats.outcome import FAILURES
from airflow_provider_helpcrunch.operators.progress import count_usage
from airflow_provider_helpcrunch.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.operators.chats.ledger import Ledger
    from airflow_provider_helpcrunch.operators.chats.outcome import Outcome

BRIEF = 5.0
"""Seconds that a request waits for the budget in its place. Before a longer wait the work steps back, and after it
reads anew what it will change: a person may have changed it meanwhile."""

FEWEST = 10
"""Permits for which it is worth to go on, where a quarter of the budget would be less."""

TELL_EVERY = 10.0
"""Seconds between two lines about the progress."""


class Order(Protocol):
    """What is to be done, checked."""

    @property
    def fingerprint(self) -> str:
        """A short text that is the same for the same order only."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing is written."""

    def columns(self, outcomes: Sequence[Outcome]) -> list[list[Any]]:
        """Return outcomes of this order as plain JSON that packs well."""

    def from_columns(self, written: Sequence[Sequence[Any]]) -> list[Outcome]:
        """Return the outcomes that :meth:`columns` was given."""


class Job(Protocol):
    """Work that can be interrupted between any two changes, and taken up by another object."""

    names: dict[int, str]
    error: HelpCrunchError | None

    @property
    def requests_left(self) -> int:
        """How many requests may be needed still, one at least."""

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands, as plain JSON."""

    def go_on_from(self, place: dict[str, Any]) -> None:
        """Take up the work at a place."""

    def outcomes(self, client: HelpCrunchClient) -> Iterator[Outcome]:
        """Work; may be called again after :class:`HelpCrunchRateLimitError`."""

    def summary(self) -> dict[str, Any]:
        """Return what the result says beside the outcomes."""


class Work:
    """
    Drives a job.

    :param conn_id: the Airflow connection
    :param order: what is to be done
    :param ledger: where outcomes are noted
    :param make_job: makes the job once the ledger is read
    :param patience: seconds that one request may wait for the budget and for 429s
    :param fail_fast: whether the first chat that is not changed ends the work
    :param log: the task's log
    """

    def __init__(
        self,
        conn_id: str,
        order: Order,
        ledger: Ledger,
        make_job: Callable[[], Job],
        patience: float,
        *,
        fail_fast: bool,
        log: Any,
    ) -> None:
        self.ledger = ledger
        self.requests = 0
        """How many requests were sent so far."""
        self._conn_id = conn_id
        self._order = order
        self._make_job = make_job
        self._job: Job | None = None
        self._patience = patience
        self._fail_fast = fail_fast
        self._log = log
        self._waited = 0.0

    @property
    def job(self) -> Job:
        """The job."""
        if self._job is None:
            self._job = self._make_job()
        return self._job

    @property
    def state(self) -> dict[str, Any]:
        """
        What is carried through a deferral, as plain JSON: all that neither Airflow's state store nor HelpCrunch knows.

        Without a state store that is every outcome, for :meth:`take_up` must neither lose a failure nor move a chat
        twice. They are packed, and a chat takes about a byte; the caller looks whether that is small enough.
        """
        ledger = self.ledger
        outcomes = None if ledger.is_kept else self._order.columns(ledger.outcomes)
        return {
            "order": self._order.fingerprint,
            "changes": len(ledger.outcomes),
            "earlier": ledger.earlier,
            "requests": self.requests,
            "waited": self._waited,
            "packed": packed({"place": self.job.place, "outcomes": outcomes}),
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """
        Go on from the state of another object of this class.

        :param state: its :attr:`state`
        :raises HelpCrunchError: the state is of another order, or Airflow has lost what was noted
        """
        if state.get("order") != self._order.fingerprint:
            msg = (
                "What this task is to do has changed while it was deferred: its arguments are rendered to something "
                "else now, or the package was updated. Run it again; it goes on with what HelpCrunch shows then."
            )
            raise HelpCrunchError(msg)
        carried = unpacked(state["packed"])
        if carried["outcomes"] is None:
            self.ledger.load()
        else:
            self.ledger.outcomes = self._order.from_columns(carried["outcomes"])
        if len(self.ledger.outcomes) != state["changes"]:
            msg = (
                f"Before it was deferred this task had noted {state['changes']} changes in Airflow's state store, and "
                f"finds {len(self.ledger.outcomes)} of them now. Run it again; it goes on with what HelpCrunch shows."
            )
            raise HelpCrunchError(msg)
        self.ledger.earlier = state["earlier"]
        self.job.go_on_from(carried["place"])
        self.requests, self._waited = state["requests"], state["waited"]

    def until_spent(self) -> float | None:
        """
        Work until all is done or the budget is spent.

        :return: ``None`` when all is done, else the seconds after which it is worth to go on
        :raises HelpCrunchRateLimitError: nothing could be done for as long as the patience lasts
        :raises HelpCrunchError: the work cannot go on
        """
        before = self._progress()
        with HelpCrunchHook(self._conn_id, patience=min(BRIEF, self._patience)) as hook:
            client = hook.client
            _refuse_single(client.requests_per_minute)
            try:
                self._do(client)
            except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError) as spent:
                if self._progress() != before:
                    self._waited = 0.0
                return self._pause(client, spent)
            finally:
                self.requests += client.usage.requests
                count_usage(client.usage)
        return None

    def _pause(
        self, client: HelpCrunchClient, spent: HelpCrunchRateLimitError | HelpCrunchBudgetStoreError
    ) -> float:
        """
        Return the seconds until a quarter of the account's budget is free, or what the job needs if that is less.

        For fewer permits it would not pay to start a task; the rest gets free while these are used.
        """
        self._waited += getattr(spent, "waited", 0.0)
        permits = min(self.job.requests_left, max(client.requests_per_minute // 4, FEWEST))
        seconds = max(client.budget_wait(permits), 1.0)
        if self._waited + seconds > self._patience:
            if isinstance(spent, HelpCrunchBudgetStoreError):
                raise spent
            msg = (
                f"For {self._waited:.0f} s nothing could be done, as the account's request budget is spent, and it "
                f"will be for {seconds:.0f} s more. Run the task again later, or raise patience. {spent}"
            )
            raise HelpCrunchRateLimitError(
                msg,
                waited=self._waited,
                retry_after=seconds,
                status_code=spent.status_code,
                errors=spent.errors,
            )
        self._waited += seconds
        return seconds

    def _progress(self) -> tuple[int, dict[str, Any]]:
        return len(self.ledger.outcomes), self.job.place

    def _do(self, client: HelpCrunchClient) -> None:
        told = time.monotonic()
        for outcome in self.job.outcomes(client):
            self.ledger.add(outcome)
            if outcome.outcome in FAILURES:
                self._log.warning("Chat %d was not changed: %s", outcome.id, outcome.error)
                if self._fail_fast and self.job.error is not None:
                    raise self.job.error
            if time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                left = self.job.requests_left
                done = counted(len(self.ledger.outcomes), "change")
                self._log.info("%s so far; about %s to go", done, counted(left, "request"))


def _refuse_single(limit: int) -> None:
    """Refuse a budget from which what a page shows could only be changed a whole window after it was read."""
    if limit < 2:
        msg = "Changing chats needs requests_per_minute of at least 2 on the connection: one to read and one to write."
        raise HelpCrunchConfigurationError(msg)
