"""
Rate limiter of an account: 120 requests in any rolling minute, shared by everything that uses the same store.

Every HTTP attempt, retries included, needs a permit. A burst up to the whole limit is allowed, so a small job is
never slowed down. A 429 that arrives nevertheless (somebody else uses the account) pauses everyone who shares the
store. See :mod:`.store` for the proof that no window can hold more than the limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchRateLimitError,
)
from airflow_provider_helpcrunch.forks import renew_after_fork
from airflow_provider_helpcrunch.plurals import duration
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore, private_directory
from airflow_provider_helpcrunch.rate_limit.store import Store, Unreachable, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from redis import Redis

log = logging.getLogger(__name__)

DEFAULT_REQUESTS_PER_MINUTE = 120
MOST_REQUESTS_PER_MINUTE = 100_000
DEFAULT_STORE = "sqlite://"
DEFAULT_ON_FAILURE = "wait"
ON_FAILURE = (DEFAULT_ON_FAILURE, "fail")

PERIOD = 61.0
"""Seconds of the window: HelpCrunch's minute, and a margin for clocks that do not run at the same speed."""

UNREACHABLE_PAUSE = 1.0
"""Most seconds until an unreachable store is tried again."""

SPREAD = 0.03
"""Longest time in seconds that a waiter adds to its wait at random; less after each failed attempt. Without it, the
waiter nearest to the store would always come first, and the one farthest away never."""

LOG_WAITS_FROM = 5.0
"""Waits shorter than this many seconds are not worth a line in the log."""

LOG_WAITS_EVERY = 60.0
"""Seconds between two lines about the same wait."""


class Cancelled(Exception):  # noqa: N818
    """The caller no longer needs the permit. Never leaves the client."""


class RateLimiter:
    """
    Permits for the requests of one account, counted in a store that may be shared.

    :param store: where the permits are counted
    :param limit: requests in any ``period``, for messages (120)
    :param period: length of the window in seconds (61); also the pause after a 429 that names no time
    :param on_failure: while the store is unreachable, ``wait`` for it as for a permit (default) or ``fail`` at once;
        requests are never sent uncounted
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
        """Start a queue of its own: the threads that wait in the old one are the parent's."""
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def permit(self, max_wait: float, cancelled: threading.Event) -> Iterator[None]:
        """
        Hold a permit for one request: enter before sending it, leave when its response is complete.

        :param max_wait: longest wait in seconds
        :param cancelled: set by the caller to end the wait early
        :raises HelpCrunchRateLimitError: no permit within ``max_wait``
        :raises HelpCrunchBudgetStoreError: the store cannot be used, or was unreachable for as long
        :raises Cancelled: ``cancelled`` was set
        """
        slot = self.acquire(max_wait, cancelled)
        try:
            yield
        finally:
            # After an error too: HelpCrunch may have counted the request although no response came.
            self.release(slot)

    def acquire(self, max_wait: float, cancelled: threading.Event) -> int:
        """
        Wait for a permit, and return its slot, to :meth:`release` when the response is complete.

        :param max_wait: longest wait in seconds
        :param cancelled: set by the caller to end the wait early
        :raises HelpCrunchRateLimitError: no permit within ``max_wait``
        :raises HelpCrunchBudgetStoreError: the store cannot be used, or was unreachable for as long
        :raises Cancelled: ``cancelled`` was set
        """
        started = time.monotonic()
        late, next_line = self._spread, 0.0
        # One thread of the client asks at a time; the others queue here instead of crowding the store. Their time
        # in the queue counts towards their max wait.
        with self._turn:
            if cancelled.is_set():
                raise Cancelled
            while not isinstance(acquired := self._store.acquire(), int):
                waited = time.monotonic() - started
                seconds = self._until_next_try(acquired, max_wait, waited)
                if waited >= next_line and self._is_long(acquired, waited):
                    log.info("%s", self._waiting(acquired, max_wait, waited))
                    next_line = waited + LOG_WAITS_EVERY
                self._wait(seconds + late * random.uniform(0.5, 1.0), cancelled)  # noqa: S311
                # Whoever has lost more often comes a little earlier, so nobody starves.
                late *= 0.8
            return acquired

    def release(self, slot: int) -> None:
        """
        Start the slot's period: the response is complete, or none will come.

        :param slot: as returned by :meth:`acquire`
        """
        self._store.release(slot)

    def pause(self, seconds: float | None = None) -> None:
        """
        Stop everyone who shares the store, after a 429.

        :param seconds: for how long; default: until the window has passed
        """
        self._store.pause(self.period if seconds is None else seconds)

    def wait_time(self, permits: int) -> float:
        """
        Return the seconds until this many permits are free, if nobody acquires them; 0.0 when they are now.

        :param permits: how many; more than the limit count as the limit
        :raises HelpCrunchBudgetStoreError: the store cannot be used
        """
        seconds = self._store.wait_time(max(1, min(permits, self.limit)))
        if not isinstance(seconds, Unreachable):
            return seconds
        if not self._waits_for_store or seconds.lasting:
            raise _store_error(seconds)
        # An estimate of when to go on, so an outage need not end the work. When the store is reachable again its count
        # may be lost, and then all slots count as used for one period.
        return self.period

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _until_next_try(self, refusal: Wait | Unreachable, max_wait: float, waited: float) -> float:
        if isinstance(refusal, Unreachable):
            if not self._waits_for_store or refusal.lasting or waited + UNREACHABLE_PAUSE > max_wait:
                raise _store_error(refusal, waited)
            # At random, so that the workers do not all return in the moment when the store is back.
            return UNREACHABLE_PAUSE * random.uniform(0.5, 1.0)  # noqa: S311
        # Known in advance, so it fails now: sleeping until max_wait ends would only hold a worker slot.
        if refusal.seconds > max_wait - waited:
            raise self._longer_than_max_wait(refusal, max_wait, waited)
        # No slot is free any sooner, so attempts in between would fail; but a long pause may be cut short.
        return min(refusal.seconds, max(self.period, 1.0))

    def _wait(self, seconds: float, cancelled: threading.Event) -> None:
        began = time.monotonic()
        is_cancelled = cancelled.wait(seconds)
        self.waited += time.monotonic() - began
        if is_cancelled:
            raise Cancelled

    @staticmethod
    def _is_long(refusal: Wait | Unreachable, waited: float) -> bool:
        return isinstance(refusal, Unreachable) or waited + refusal.seconds >= LOG_WAITS_FROM

    def _waiting(self, refusal: Wait | Unreachable, max_wait: float, waited: float) -> str:
        so_far = f" more, after {duration(waited)}" if waited >= LOG_WAITS_EVERY else ""
        if isinstance(refusal, Unreachable):
            return f"Waiting up to {duration(max_wait - waited)}{so_far}: {refusal.reason}"
        # Where others wait too, they may be first when a request is free.
        used = f"{self.limit:,} of {self.limit:,} requests of this minute are used."
        why = self._reason(refusal) if refusal.paused or refusal.unknown else used
        return f"Waiting {duration(refusal.seconds)}{so_far}: {why}"

    def _reason(self, refusal: Wait | Unreachable) -> str:
        if isinstance(refusal, Unreachable):
            return refusal.reason
        if refusal.paused:
            return "HelpCrunch answered 429, so all requests of this account pause."
        if refusal.unknown:
            return "The rate limit store is new or lost its count, so the last minute counts as used."
        return f"The account's limit of {self.limit} requests a minute is used up."

    def _longer_than_max_wait(
        self, refusal: Wait, max_wait: float, waited: float
    ) -> HelpCrunchRateLimitError:
        msg = (
            f"{self._reason(refusal)} The next request is allowed in {duration(refusal.seconds)}, and only "
            f"{duration(max_wait - waited)} of patience are left. Try again later, or raise patience."
        )
        return HelpCrunchRateLimitError(msg, waited=waited, retry_after=refusal.seconds, status_code=None)


def _store_error(store: Unreachable, waited: float = 0.0) -> HelpCrunchBudgetStoreError:
    so_far = f" after waiting {duration(waited)}" if waited >= 1 else ""
    return HelpCrunchBudgetStoreError(
        f"{store.reason} No request was sent, because it could not be counted{so_far}."
    )


def open_rate_limiter(
    store: str | Redis,
    *,
    api_key: str,
    base_url: str,
    requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
    period: float = PERIOD,
    on_failure: str = DEFAULT_ON_FAILURE,
) -> RateLimiter:
    """
    Open the rate limiter of one account.

    :param store: ``sqlite://`` (a file in the temporary directory, private to the user; every process of the machine
        shares it), ``sqlite:///directory`` (a file in this directory), ``redis://host:port/db`` or, with
        TLS, ``rediss://host:port/db`` (every process of every machine), ``memory://`` (one process), or a client of
        redis-py that says where Redis is
    :param api_key: the account's key; only a hash of it names the count
    :param base_url: the API's address; the same key elsewhere is another account
    :param requests_per_minute: the account's limit (120)
    :param period: seconds of the window (61)
    :param on_failure: while the store is unreachable, ``wait`` for it (default) or ``fail``
    :return: the rate limiter
    :raises HelpCrunchConfigurationError: ``store``, ``requests_per_minute`` or ``on_failure`` is wrong
    :raises HelpCrunchBudgetStoreError: the store cannot be used
    """
    if not 1 <= requests_per_minute <= MOST_REQUESTS_PER_MINUTE:
        msg = f"requests_per_minute must be 1 to {MOST_REQUESTS_PER_MINUTE}, not {requests_per_minute}."
        raise HelpCrunchConfigurationError(msg)
    if on_failure not in ON_FAILURE:
        msg = f"rate_limit_on_failure must be {' or '.join(ON_FAILURE)}."
        raise HelpCrunchConfigurationError(msg)
    # The account, not the connection, has the limit: two connections with one key must share a count.
    name = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:40]
    limit = requests_per_minute
    return RateLimiter(_open_store(store, name, limit, period), limit, period, on_failure=on_failure)


def _open_store(store: str | Redis, name: str, limit: int, period: float) -> Store:
    if not isinstance(store, str):
        return _redis_store(store, name, limit, period)
    try:
        parts = urlsplit(store)
    except ValueError:  # not chained: its text would show the address, and maybe a password in it
        parts = urlsplit("")
    if parts.scheme == "memory" and not (parts.netloc or parts.path):
        return MemoryStore.shared(name, limit, period)
    if parts.scheme == "sqlite" and not parts.netloc and not parts.query:
        directory = Path(parts.path) if parts.path.strip("/") else _default_directory()
        return SQLiteStore(private_directory(directory) / f"{name}.sqlite", limit, period)
    if parts.scheme in ("redis", "rediss"):
        return _redis_store(parts, name, limit, period)
    msg = (
        "rate_limit_store must be sqlite:// (default), sqlite:///absolute/directory, redis://host:port/db, "
        "rediss://host:port/db or memory://."
    )
    raise HelpCrunchConfigurationError(msg)


def _redis_store(where: SplitResult | Redis, name: str, limit: int, period: float) -> Store:
    from airflow_provider_helpcrunch._airflow import AirflowOptionalProviderFeatureException

    try:
        from airflow_provider_helpcrunch.rate_limit.redis import RedisStore, redis_at
    except AirflowOptionalProviderFeatureException as error:
        msg = "A rate limit in Redis needs: pip install 'airflow-provider-helpcrunch[redis]'"
        raise HelpCrunchConfigurationError(msg) from error
    return RedisStore(redis_at(where) if isinstance(where, tuple) else where, name, limit, period)


def _default_directory() -> Path:
    try:
        temporary = tempfile.gettempdir()
    except FileNotFoundError as error:
        msg = (
            "The rate limit store needs a temporary directory, and none is writable. Set TMPDIR to one, or "
            "rate_limit_store on the connection to sqlite:///a/directory, redis://host:port/db or memory://."
        )
        raise HelpCrunchBudgetStoreError(msg) from error
    return Path(temporary, f"airflow-provider-helpcrunch-{os.getuid()}")
