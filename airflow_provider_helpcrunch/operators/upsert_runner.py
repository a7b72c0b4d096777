"""Runner of an upsert: it stops when all rows are done, or when no request is allowed for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.customers.progress import REJECTED, Progress
from airflow_provider_helpcrunch.customers.upsert import Upsert, in_brief
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
    HelpCrunchRefusedError,
)
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.log_tables import log_table
from airflow_provider_helpcrunch.operators.deferral import BRIEF, Wait
from airflow_provider_helpcrunch.operators.progress import count_usage
from airflow_provider_helpcrunch.packing import packed, unpacked
from airflow_provider_helpcrunch.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.customers.progress_store import ProgressStore
    from airflow_provider_helpcrunch.customers.rows import Row
    from airflow_provider_helpcrunch.customers.survey import Survey
    from airflow_provider_helpcrunch.customers.upsert import Options, Result
    from airflow_provider_helpcrunch.operators.record_source import RecordSource

LOG_EVERY = 10.0
"""Seconds between two log lines on progress."""

MOST_LINES = 1000
"""Most rows that the log names."""

FEWEST_PERMITS = 3
"""Smallest limit: two requests look customers up, and one writes."""


class UpsertRunner:
    """
    Runs an upsert.

    :param conn_id: the Airflow connection
    :param source: the input
    :param survey: its survey
    :param options: how its rows are applied
    :param store: keeps the progress for a retry
    :param patience: longest time in seconds that one request may wait for a permit and for 429s
    :param fail_fast: whether the first row that is rejected ends the work
    :param fingerprint: hash of the work, by which a state is recognized after a deferral
    :param log: the task's log
    """

    def __init__(
        self,
        conn_id: str,
        source: RecordSource,
        survey: Survey,
        options: Options,
        store: ProgressStore,
        patience: float,
        *,
        fail_fast: bool,
        fingerprint: str,
        log: Any,
    ) -> None:
        self.store = store
        self.progress = Progress()
        """Outcomes of the rows."""
        self.requests = 0
        """Requests sent so far."""
        self._conn_id = conn_id
        self._source = source
        self._survey = survey
        self._options = options
        self._engine: Upsert | None = None
        self._wait = Wait(patience)
        self._fail_fast = fail_fast
        self._fingerprint = fingerprint
        self._log = log
        self._named = 0
        self._planned: list[str] = []

    def load(self) -> None:
        """Continue after the rows that earlier tries of this task have applied."""
        self.progress = self.store.load().retried()

    @property
    def earlier(self) -> int:
        """Number of rows that earlier tries of the task have applied; asked before this try begins."""
        return self.progress.done

    def clear(self) -> None:
        """Forget the progress that a retry would need: the task is done."""
        self.store.clear()

    def state(self) -> dict[str, Any]:
        """Return the state for a deferral, as plain JSON: all that is not in the progress store."""
        kept = None if self.store.is_open else packed(self.progress.to_json())
        return {
            "fingerprint": self._fingerprint,
            "requests": self.requests,
            "waited": self._wait.seconds,
            "progress": kept,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """
        Continue from the state of another runner, which was deferred.

        :param state: the result of its :meth:`state`
        :raises HelpCrunchError: the state is of other work
        """
        if state.get("fingerprint") != self._fingerprint:
            msg = (
                "The input of this task has changed while it was deferred. Run it again: it compares each customer "
                "before it writes."
            )
            raise HelpCrunchError(msg)
        kept = state["progress"]
        self.progress = self.store.load() if kept is None else Progress.from_json(unpacked(kept))
        self.requests = state["requests"]
        self._wait.seconds = state["waited"]

    def until_spent(self) -> float | None:
        """
        Run until all rows are done or no request is allowed for a while.

        :return: ``None`` when all rows are done, else the seconds after which it is worthwhile to continue
        :raises HelpCrunchRateLimitError: no request was allowed for longer than ``patience``
        :raises HelpCrunchError: the work cannot continue
        """
        before = self.progress.done
        with HelpCrunchHook(self._conn_id, patience=min(BRIEF, self._wait.patience)) as hook:
            client = hook.client
            _refuse_small(client.requests_per_minute)
            try:
                self._run(client)
            except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError) as refusal:
                # Patience bounds a wait without progress, also when that wait is made of several deferrals.
                if self.progress.done > before:
                    self._wait.seconds = 0.0
                return self._wait.after(client, refusal, self._survey.rows - self.progress.done + 1)
            finally:
                self._log_planned()
                self.store.save(self.progress)
                self.requests += client.usage.requests
                count_usage(client.usage)
        return None

    def _run(self, client: HelpCrunchClient) -> None:
        if self._engine is None:
            self._engine = Upsert(self._rows, self._options, self.progress)
        logged = time.monotonic()
        for result in self._engine.run(client):
            self._name(result)
            if result.outcome in ("created", "updated"):
                self.store.save(self.progress)
            if self._fail_fast and result.error is not None:
                raise _as_error(result)
            if time.monotonic() - logged >= LOG_EVERY:
                logged = time.monotonic()
                self._log.info(
                    "%s of %s so far", f"{self.progress.done:,}", counted(self._survey.rows, "row")
                )

    def _rows(self, wanted: Callable[[int], bool]) -> Iterator[Row]:
        return self._survey.read(self._source, wanted)

    def _name(self, result: Result) -> None:
        """
        Write to the log a row that needs a look, by its number and without its values.

        One that would be applied waits for :meth:`_log_planned`.
        """
        if (line := _line(result)) is None or self._named > MOST_LINES:
            return
        self._named += 1
        if self._named > MOST_LINES:
            self._log.info("More rows are not listed here.")
        elif result.outcome == "planned":
            self._planned.append(line)
        else:
            self._log.warning(line)

    def _log_planned(self) -> None:
        if self._planned:
            log_table(self._log, f"Dry run of {counted(len(self._planned), 'row')}", "\n".join(self._planned))
            self._planned.clear()


def _line(result: Result) -> str | None:
    """Return what the log says of a row that was rejected, not kept or would be applied; ``None`` for any other."""
    if result.outcome in REJECTED:
        return f"Row {result.row} was {result.outcome}: {in_brief(result.error)}"
    if result.outcome == "planned":
        whom = "a new customer" if result.customer is None else f"customer {result.customer}"
        return f"Row {result.row} would set {', '.join(result.names) or 'nothing'} of {whom}"
    if result.not_kept:
        return (
            f"Row {result.row}: HelpCrunch accepted {', '.join(result.not_kept)} of customer {result.customer}, but "
            "shows another value."
        )
    return None


def _as_error(result: Result) -> HelpCrunchError:
    if result.outcome == "failed" and isinstance(result.error, HelpCrunchError):
        return result.error
    msg = f"Row {result.row} was refused: {in_brief(result.error)}"
    return HelpCrunchRefusedError(msg)


def _refuse_small(limit: int) -> None:
    """Refuse a limit with which the lookup of a customer would leave no permit to write it."""
    if limit < FEWEST_PERMITS:
        msg = (
            f"Writing customers needs requests_per_minute of at least {FEWEST_PERMITS} on the connection: two to look "
            "customers up and one to write."
        )
        raise HelpCrunchConfigurationError(msg)
