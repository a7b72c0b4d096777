"""
The account's request budget: 120 requests in any rolling minute, shared by everything that uses the same store.

Every HTTP attempt, retries included, needs a permit. A burst up to the whole limit is allowed, so a small job is
never slowed down. A 429 that comes all the same (somebody else spends from the account) stops everyone who shares
the store. How the limit is kept exactly is told in :mod:`.rate_limit_stores`.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.client.forks import renew_after_fork
from airflow_provider_helpcrunch.client.rate_limit_stores import Away, Store, Wait
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchRateLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
log = logging.getLogger(__name__)

DEFAULT_REQUESTS_PER_MINUTE = 120
DEFAULT_ON_FAILURE = "wait"

PERIOD = 61.0
"""Seconds of the window: HelpCrunch's minute, and a margin for clocks that do not run at the same speed."""

AWAY_PAUSE = 1.0
"""Seconds at most after which a store that did not answer is asked again."""

SPREAD = 0.03
"""Seconds at most that a waiter comes late, and less each time that it gets nothing: else who is nearest to the store
would always come first, and who is farthest never."""

LOG_WAITS_FROM = 5.0
"""Waits shorter than this many seconds are not worth a line in the log."""


class Cancelled(Exception):  # noqa: N818
    """The caller has no use for the permit any more. Never leaves the client."""


class Budget:
    """
    Permits for requests, from a store that may be shared.

    :param store: where the permits are counted
    :param limit: requests in any ``period``, for messages (120)
    :param period: length of the window in seconds (61); also the pause after a 429 that names no time
    :param on_failure: what to do while the store does not answer: ``wait`` for it as for a permit (default), or
        ``fail`` at once. Requests are never sent without it
    """

    def __init__(
        self,
        store: Store,
        limit: int = DEFAULT_REQUESTS_PER_MINUTE,
        period: float = PERIOD,
        *,
        on_failure: str = DEFAULT_ON_FAILURE,
    ) -> None:
        self.limit = limit
        self.period = period
        self._spread = min(SPREAD, period / 100)
        self._waits_for_store = on_failure == "wait"
        self.waited = 0.0
        """Seconds that this client has waited for permits so far."""
        self._store = store
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the queue to the parent, whose threads stand in it."""
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def permit(self, patience: float, cancelled: threading.Event) -> Iterator[None]:
        """
        Hold a permit for one request: enter before it is sent, leave when its answer is there.

        :param patience: longest wait in seconds
        :param cancelled: set by the caller to end the wait early
        :raises HelpCrunchRateLimitError: no permit within ``patience``
        :raises HelpCrunchBudgetStoreError: the store cannot be used, or did not answer for as long
        :raises Cancelled: ``cancelled`` was set
        """
        slot = self._acquire(patience, cancelled)
        try:
            yield
        finally:
            self._store.settle(slot)

    def pause(self, seconds: float | None = None) -> None:
        """
        Stop everyone who shares the store, after a 429.

        :param seconds: for how long; default: until the window has passed
        """
        self._store.pause(self.period if seconds is None else seconds)

    def wait(self, permits: int) -> float:
        """
        Return the seconds until so many permits are free, if nobody takes them; 0.0 when they are now.

        :param permits: how many; more than the limit count as the limit
        :raises HelpCrunchBudgetStoreError: the store cannot be used
        """
        seconds = self._store.wait(max(1, min(permits, self.limit)))
        if not isinstance(seconds, Away):
            return seconds
        if not self._waits_for_store or seconds.lasting:
            raise _store_error(seconds)
        return self.period  # it may have lost its count when it comes back

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _acquire(self, patience: float, cancelled: threading.Event) -> int:
        started = time.monotonic()
        told, late = False, self._spread
        # One thread of the client asks at a time; the others queue here instead of crowding the store.
        with self._turn:
            if cancelled.is_set():
                raise Cancelled
            while not isinstance(taken := self._store.take(), int):
                seconds = self._until_next_look(taken, patience, time.monotonic() - started)
                if not told and (isinstance(taken, Away) or taken.seconds >= LOG_WAITS_FROM):
                    log.info("%s Waiting for %.0f s at most.", self._reason(taken), patience)
                    told = True
                self._wait(seconds + late * random.uniform(0.5, 1.0), cancelled)  # noqa: S311
                late *= 0.8
            return taken

    def _until_next_look(self, taken: Wait | Away, patience: float, waited: float) -> float:
        if isinstance(taken, Away):
            if not self._waits_for_store or taken.lasting or waited + AWAY_PAUSE > patience:
                raise _store_error(taken, waited)
            return AWAY_PAUSE * random.uniform(0.5, 1.0)  # noqa: S311
        if taken.seconds > patience - waited:
            raise self._out_of_patience(taken, waited)
        # No slot is free any sooner, so there is nothing to look for in between; but a long pause may be lifted.
        return min(taken.seconds, max(self.period, 1.0))

    def _wait(self, seconds: float, cancelled: threading.Event) -> None:
        began = time.monotonic()
        given_up = cancelled.wait(seconds)
        self.waited += time.monotonic() - began
        if given_up:
            raise Cancelled

    def _reason(self, wait: Wait | Away) -> str:
        if isinstance(wait, Away):
            return wait.reason
        if wait.paused:
            return "HelpCrunch answered 429, so everyone who uses this account pauses."
        if wait.unknown:
            return "The store of the request budget is new or lost its count, so that the last minute counts as spent."
        return f"The account's budget of {self.limit} requests a minute is spent."

    def _out_of_patience(self, wait: Wait, waited: float) -> HelpCrunchRateLimitError:
        msg = (
            f"{self._reason(wait)} A request may pass in {wait.seconds:.0f} s at the earliest, which is longer than "
            f"the patience left after {waited:.0f} s. Try later, or raise patience."
        )
        return HelpCrunchRateLimitError(msg, waited=waited, retry_after=wait.seconds, status_code=None)


def _store_error(store: Away, waited: float = 0.0) -> HelpCrunchBudgetStoreError:
    so_far = f", waited {waited:.0f} s for it" if waited >= 1 else ""
    return HelpCrunchBudgetStoreError(f"{store.reason} No request is sent without it{so_far}.")
