"""Runner of an engine: until it is done, or no request is allowed for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
from airflow_provider_helpcrunch.chats.results import FAILURES, Results
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.operators.progress import count_usage
from airflow_provider_helpcrunch.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_helpcrunch.chats.progress_store import ProgressStore
    from airflow_provider_helpcrunch.chats.results import Result
    from airflow_provider_helpcrunch.client import HelpCrunchClient

BRIEF = 5.0
"""Seconds that a request waits for its permit. Before a longer wait the engine stops, and after it reads again what it
will change: a person may have changed it meanwhile."""

FEWEST = 10
"""Permits that make it worthwhile to go on, where a quarter of the limit would be less."""

TELL_EVERY = 10.0
"""Seconds between two lines about the progress."""


class ManyChanges(Protocol):
    """What is to be done, checked."""

    @property
    def fingerprint(self) -> str:
        """A short text that is the same for the same work only."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing is written."""

    def columns(self, results: Sequence[Result]) -> list[list[Any]]:
        """Return results as plain JSON that packs well."""

    def from_columns(self, written: Sequence[Sequence[Any]]) -> list[Result]:
        """Return the results that :meth:`columns` was given."""


class Engine(Protocol):
    """Changes chats, and can be interrupted between any two changes. Its checkpoint is all that it must not lose."""

    names: dict[int, str]
    error: HelpCrunchError | None

    @property
    def requests_left(self) -> int:
        """How many requests may be needed still, one at least."""

    def run(self, client: HelpCrunchClient) -> Iterator[Result]:
        """Make the changes; may be called again after :class:`HelpCrunchRateLimitError`."""

    def summary(self) -> dict[str, Any]:
        """Return what the result says beside the counts."""


class Runner:
    """
    Runs an engine that changes many chats.

    :param conn_id: the Airflow connection
    :param work: what is to be done
    :param store: where results are kept
    :param make_engine: makes the engine that goes on from a checkpoint
    :param patience: seconds that one request may wait for a permit and for 429s
    :param fail_fast: whether the first chat that is not changed ends the work
    :param log: the task's log
    """

    def __init__(
        self,
        conn_id: str,
        work: ManyChanges,
        store: ProgressStore,
        make_engine: Callable[[Checkpoint], Engine],
        patience: float,
        *,
        fail_fast: bool,
        log: Any,
    ) -> None:
        self.store = store
        self.checkpoint = Checkpoint()
        """Where the engine stands."""
        self._conn_id = conn_id
        self._work = work
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._patience = patience
        self._fail_fast = fail_fast
        self._log = log

    @property
    def engine(self) -> Engine:
        """The engine, made once the checkpoint is known."""
        if self._engine is None:
            self._engine = self._make_engine(self.checkpoint)
        return self._engine

    def load(self) -> None:
        """Go on behind what earlier tries of this task have done."""
        self.checkpoint = Checkpoint(Results(self.store.load()))

    def state(self) -> dict[str, Any]:
        """
        Return what a deferral carries, as plain JSON: all that neither the progress store nor HelpCrunch knows.

        Without a progress store that is every result, for :meth:`resume` must neither lose a failure nor move a chat
        twice. The caller sees to it that the state is small enough.
        """
        written = self.checkpoint.to_json(None if self.store.is_open else self._work.columns)
        return {"fingerprint": self._work.fingerprint, **written}

    def resume(self, state: dict[str, Any]) -> None:
        """
        Go on from the state of another object of this class.

        :param state: what its :meth:`state` returned
        :raises HelpCrunchError: the state is of other work, or Airflow has lost what was kept
        """
        if state.get("fingerprint") != self._work.fingerprint:
            msg = (
                "This task's work has changed while it was deferred: its arguments are rendered to something else now, "
                "or the package was updated. Run it again; it goes on with what HelpCrunch shows then."
            )
            raise HelpCrunchError(msg)
        checkpoint = Checkpoint.from_json(
            state, self._work.from_columns, self.store.load() if self.store.is_open else ()
        )
        if len(checkpoint.results) != state["changes"]:
            msg = (
                f"Before it was deferred this task had kept {state['changes']} changes in Airflow's state store, but "
                f"finds {len(checkpoint.results)} of them now. Run it again; it goes on with what HelpCrunch shows."
            )
            raise HelpCrunchError(msg)
        self.checkpoint = checkpoint

    def until_spent(self) -> float | None:
        """
        Run until all is done or no request is allowed for a while.

        :return: ``None`` when all is done, else the seconds after which it is worthwhile to go on
        :raises HelpCrunchRateLimitError: no request was allowed for as long as the patience lasts
        :raises HelpCrunchError: the work cannot go on
        """
        before = self._progress()
        with HelpCrunchHook(self._conn_id, patience=min(BRIEF, self._patience)) as hook:
            client = hook.client
            _refuse_single(client.requests_per_minute)
            try:
                self._run(client)
            except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError) as refusal:
                if self._progress() != before:
                    self.checkpoint.waited = 0.0
                return self._pause(client, refusal)
            finally:
                self.checkpoint.requests += client.usage.requests
                count_usage(client.usage)
        return None

    def _run(self, client: HelpCrunchClient) -> None:
        logged = time.monotonic()
        results = self.checkpoint.results
        for result in self.engine.run(client):
            self.store.save(results)
            if result.outcome in FAILURES:
                self._log.warning("Chat %d was not changed: %s", result.id, result.error)
                if self._fail_fast and self.engine.error is not None:
                    raise self.engine.error
            if time.monotonic() - logged >= TELL_EVERY:
                logged = time.monotonic()
                left = counted(self.engine.requests_left, "request")
                self._log.info("%s so far; about %s left", counted(len(results), "change"), left)

    def _pause(
        self, client: HelpCrunchClient, refusal: HelpCrunchRateLimitError | HelpCrunchBudgetStoreError
    ) -> float:
        """
        Return the seconds until a quarter of the account's limit is free, or what the engine needs if that is less.

        For fewer permits it would not pay to start a task; the rest gets free while these are used.
        """
        at = self.checkpoint
        at.waited += getattr(refusal, "waited", 0.0)
        permits = min(self.engine.requests_left, max(client.requests_per_minute // 4, FEWEST))
        seconds = max(client.budget_wait(permits), 1.0)
        if at.waited + seconds <= self._patience:
            at.waited += seconds
            return seconds
        if isinstance(refusal, HelpCrunchBudgetStoreError):
            raise refusal
        msg = (
            f"No request was allowed for {at.waited:.0f} s: other tasks are using the account's limit. The next is "
            f"allowed in {seconds:.0f} s. Run the task again later, or raise patience. {refusal}"
        )
        raise HelpCrunchRateLimitError(
            msg,
            waited=at.waited,
            retry_after=seconds,
            status_code=refusal.status_code,
            errors=refusal.errors,
        )

    def _progress(self) -> tuple[int, dict[str, Any]]:
        return len(self.checkpoint.results), self.checkpoint.position()


def _refuse_single(limit: int) -> None:
    """Refuse a limit at which a chat could only be changed a whole window after it was read."""
    if limit < 2:
        msg = "Changing chats needs requests_per_minute of at least 2 on the connection: one to read and one to write."
        raise HelpCrunchConfigurationError(msg)
