"""Runner of an engine: it stops when the work is done, or when no request is allowed for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
from airflow_provider_helpcrunch.chats.failures import INTERRUPTED
from airflow_provider_helpcrunch.chats.results import FAILURES, NOTE, Results
from airflow_provider_helpcrunch.client.addresses import inbox_host, inbox_of
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.operators.deferral import BRIEF, Wait
from airflow_provider_helpcrunch.operators.progress import count_usage
from airflow_provider_helpcrunch.plurals import counted, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_helpcrunch.chats.progress_store import ProgressStore
    from airflow_provider_helpcrunch.chats.results import Result
    from airflow_provider_helpcrunch.client import HelpCrunchClient

LOG_EVERY = 10.0
"""Seconds between two log lines on progress."""


class ManyChanges(Protocol):
    """Work to be done, already validated."""

    @property
    def fingerprint(self) -> str:
        """Short hash of the work: equal only for equal work."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing is written."""

    def columns(self, results: Sequence[Result]) -> list[list[Any]]:
        """Return results as plain JSON that packs well."""

    def from_columns(self, written: Sequence[Sequence[Any]]) -> list[Result]:
        """Return the results of which :meth:`columns` returned this."""


class Engine(Protocol):
    """Changes chats, and can be interrupted between any two changes: all of its progress is in its checkpoint."""

    names: dict[int, str]
    """Names of agents, by id."""
    departments: dict[int, str]
    """Names of the departments of the chats that were read since the last deferral, by id."""
    error: HelpCrunchError | None

    @property
    def skipped_because(self) -> str:
        """Why chats are skipped, for the log."""

    @property
    def requests_left(self) -> int:
        """Estimate of the requests still needed, at least one."""

    def run(self, client: HelpCrunchClient) -> Iterator[Result]:
        """Make the changes; may be called again after :class:`HelpCrunchRateLimitError`."""

    def summary(self) -> dict[str, Any]:
        """Return entries that the result has beside the counts."""


class Runner:
    """
    Runs an engine that changes many chats.

    :param conn_id: the Airflow connection
    :param work: the work to be done
    :param store: keeps the results for a retry
    :param make_engine: makes the engine that continues from a checkpoint
    :param patience: longest time in seconds that one request may wait for a permit and for 429s
    :param fail_fast: whether the first failed change ends the work
    :param ask_inbox: whether to ask HelpCrunch for the inbox where the connection does not state it: one request
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
        ask_inbox: bool,
        log: Any,
    ) -> None:
        self.store = store
        self.checkpoint = Checkpoint()
        """Progress of the engine."""
        self.inbox: str | None = None
        """Host of the account's inbox, for the addresses of chats; ``None`` where it is not known."""
        self._conn_id = conn_id
        self._work = work
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._patience = patience
        self._fail_fast = fail_fast
        self._ask_inbox = ask_inbox
        self._log = log

    @property
    def engine(self) -> Engine:
        """The engine, made when it is first used: :meth:`load` and :meth:`resume` replace the checkpoint before."""
        if self._engine is None:
            checkpoint = self.checkpoint
            checkpoint.hold = lambda: self.store.hold(checkpoint.in_doubt)
            self._engine = self._make_engine(self.checkpoint)
        return self._engine

    def load(self) -> None:
        """Continue after the changes that earlier tries of this task have made."""
        kept = self.store.load()
        results = Results(kept)
        # A change that failed may have been made, and so may one at which a worker was killed: the engine looks, before
        # it tries again.
        self.checkpoint = Checkpoint(results, in_doubt=[*results.failed_before(), *self.store.held(kept)])

    @property
    def knows_earlier_tries(self) -> bool:
        """Whether all changes of earlier tries are known; in a dry run there are none."""
        return self._work.dry_run or self.store.is_open

    @property
    def earlier(self) -> int:
        """Number of changes by earlier tries of the task."""
        return self.checkpoint.results.earlier

    def clear(self) -> None:
        """Forget the results that a retry would need: the task is done."""
        self.store.clear(self.checkpoint.results)

    def state(self) -> dict[str, Any]:
        """
        Return the state for a deferral, as plain JSON: all that is neither in the progress store nor in HelpCrunch.

        Without a progress store that includes every result, because :meth:`resume` must neither lose a failure nor
        move a chat twice. The caller checks that the state is small enough.
        """
        written = self.checkpoint.to_json(None if self.store.is_open else self._work.columns)
        return {"fingerprint": self._work.fingerprint, **written}

    def resume(self, state: dict[str, Any]) -> None:
        """
        Continue from the state of another runner, which was deferred.

        :param state: the result of its :meth:`state`
        :raises HelpCrunchError: the state is of other work, or Airflow's state store has lost results
        """
        if state.get("fingerprint") != self._work.fingerprint:
            msg = (
                "This task's work has changed while it was deferred: its arguments are rendered to something else now, "
                "or the package was updated. Run it again; it goes on with what HelpCrunch shows then."
            )
            raise HelpCrunchError(msg)
        # With the store the state carries no results, only how many there were. Fewer in the store now would mean
        # moving chats twice and reporting too little, so that is an error.
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
        Run until all work is done or no request is allowed for a while.

        :return: ``None`` when all work is done, else the seconds after which it is worthwhile to continue
        :raises HelpCrunchRateLimitError: no request was allowed for longer than ``patience``
        :raises HelpCrunchError: the work cannot continue
        """
        before = self.checkpoint.progress()
        with HelpCrunchHook(self._conn_id, patience=min(BRIEF, self._patience)) as hook:
            client = hook.client
            self.inbox = inbox_host(client.inbox_domain)
            _refuse_single(client.requests_per_minute)
            try:
                self._run(client)
            except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError) as refusal:
                # Patience bounds a wait without progress, also when that wait is made of several deferrals. So it
                # starts over with any progress: a new result, or just another page read.
                if self.checkpoint.progress() != before:
                    self.checkpoint.waited = 0.0
                self.store.hold(self.checkpoint.in_doubt)
                return self._pause(client, refusal)
            except BaseException:
                self._leave_doubts()
                raise
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
                text = "Chat %d has no note: %s" if result.field == NOTE else "Chat %d was not changed: %s"
                self._log.warning(text, result.id, result.error)
                if self._fail_fast and self.engine.error is not None:
                    raise self.engine.error
            if time.monotonic() - logged >= LOG_EVERY:
                logged = time.monotonic()
                self._log.info("%s so far; %s", counted(len(results), "change"), self._left(client))
        if self._ask_inbox and len(results):
            self.inbox = inbox_of(client)

    def _left(self, client: HelpCrunchClient) -> str:
        left, limit = self.engine.requests_left, client.requests_per_minute
        # Those of one minute may all be sent at once.
        takes = f", {duration(60 * left / limit)} at {limit:,} a minute" if left > limit else ""
        return f"about {counted(left, 'request')} left{takes}"

    def _pause(
        self, client: HelpCrunchClient, refusal: HelpCrunchRateLimitError | HelpCrunchBudgetStoreError
    ) -> float:
        """Return the seconds until the engine can go on, or raise the refusal if patience does not allow as many."""
        at = self.checkpoint
        wait = Wait(self._patience, at.waited)
        try:
            return wait.after(client, refusal, self.engine.requests_left)
        except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError):
            self._leave_doubts()
            raise
        finally:
            at.waited = wait.seconds

    def _leave_doubts(self) -> None:
        """Record an interrupted change as failed: the report names it, and a retry looks whether it was made."""
        at = self.checkpoint
        for doubt in at.in_doubt:
            if doubt.error is None:
                at.results.add(doubt._replace(outcome="failed", error=INTERRUPTED))
        at.in_doubt.clear()
        if len(at.results):
            self.store.save(at.results)
        self.store.hold(())


def _refuse_single(limit: int) -> None:
    """Refuse a limit of one request a minute: a chat would be changed a minute after it was read, on stale data."""
    if limit < 2:
        msg = "Changing chats needs requests_per_minute of at least 2 on the connection: one to read and one to write."
        raise HelpCrunchConfigurationError(msg)
