"""
The account's request budget: 120 requests in any rolling minute, shared by everything that uses the same store.

Every HTTP attempt, retries included, needs a permit. A burst up to the whole limit is allowed, so a small job is
never slowed down. A 429 that comes all the same (somebody else spends from the account) stops everyone who shares
the store. How the limit is kept exactly is told in :mod:`.rate_limit_stores`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_helpcrunch.client.rate_limit_sqlite import SQLiteStore, private_directory
from airflow_provider_helpcrunch.client.rate_limit_stores import MemoryStore, Store, Wait
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchRateLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

DEFAULT_REQUESTS_PER_MINUTE = 120
MOST_REQUESTS_PER_MINUTE = 100_000
DEFAULT_STORE = "sqlite://"

PERIOD = 61.0
"""Seconds of the window: HelpCrunch's minute, and a margin for clocks that do not run at the same speed."""

LOG_WAITS_FROM = 5.0
"""Waits shorter than this many seconds are not worth a line in the log."""


class Cancelled(Exception):  # noqa: N818
    """The caller has no use for the permit any more. Never leaves the client."""


class Budget:
    """
    Permits for requests, from a store that may be shared.

    :param store: where the permits are counted
    :param limit: requests in any ``period``, for messages
    :param period: length of the window in seconds; also the pause after a 429 that names no time
    """

    def __init__(
        self, store: Store, limit: int = DEFAULT_REQUESTS_PER_MINUTE, period: float = PERIOD
    ) -> None:
        self.limit = limit
        self.period = period
        self.waited = 0.0
        """Seconds that this client has waited for permits so far."""
        self._store = store
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def permit(self, patience: float, cancelled: threading.Event) -> Iterator[None]:
        """
        Hold a permit for one request: enter before it is sent, leave when its answer is there.

        :param patience: longest wait in seconds
        :param cancelled: set by the caller to end the wait early
        :raises HelpCrunchRateLimitError: no permit within ``patience``
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
        """Return the seconds until so many permits are free, if nobody takes them; 0.0 when they are now."""
        return self._store.wait(max(1, min(permits, self.limit)))

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _acquire(self, patience: float, cancelled: threading.Event) -> int:
        started = time.monotonic()
        # One thread of the process asks at a time; the others queue here instead of crowding the store.
        with self._turn:
            if cancelled.is_set():
                raise Cancelled
            taken = self._store.take()
            if isinstance(taken, Wait) and taken.seconds >= LOG_WAITS_FROM:
                log.info("%s; waiting %.0f s at most", self._reason(taken), taken.seconds)
            while isinstance(taken, Wait):
                waited = time.monotonic() - started
                if taken.seconds > patience - waited:
                    raise self._out_of_patience(taken, waited)
                # A slot in flight may come back earlier than its stored time says, so look again now and then.
                self._wait(min(taken.seconds, self.period / 50), cancelled)
                taken = self._store.take()
            return taken

    def _wait(self, seconds: float, cancelled: threading.Event) -> None:
        began = time.monotonic()
        given_up = cancelled.wait(seconds)
        self.waited += time.monotonic() - began
        if given_up:
            raise Cancelled

    def _reason(self, wait: Wait) -> str:
        if wait.paused:
            return "HelpCrunch answered 429, so everyone who uses this account pauses"
        return f"The account's budget of {self.limit} requests a minute is spent"

    def _out_of_patience(self, wait: Wait, waited: float) -> HelpCrunchRateLimitError:
        msg = (
            f"{self._reason(wait)}: a request may pass in {wait.seconds:.0f} s at the earliest, which is longer than "
            f"the patience left after {waited:.0f} s. Try later, or raise patience."
        )
        return HelpCrunchRateLimitError(msg, waited=waited, retry_after=wait.seconds, status_code=None)


def open_budget(
    url: str,
    *,
    api_key: str,
    base_url: str,
    requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
    period: float = PERIOD,
) -> Budget:
    """
    Open the budget of one account.

    :param url: ``sqlite://`` (a file in the temporary directory, private to the user; every process of the machine
        shares it), ``sqlite:///directory`` (the same in a directory of your own) or ``memory://`` (one process)
    :param api_key: the account's key; only a hash of it names the budget
    :param base_url: the API's address; the same key elsewhere is another account
    :param requests_per_minute: the account's limit
    :param period: seconds of the window
    :return: the budget
    :raises HelpCrunchConfigurationError: ``url`` or ``requests_per_minute`` is wrong
    :raises HelpCrunchBudgetStoreError: the store cannot be used
    """
    if not 1 <= requests_per_minute <= MOST_REQUESTS_PER_MINUTE:
        msg = f"requests_per_minute must be 1 to {MOST_REQUESTS_PER_MINUTE}, not {requests_per_minute}."
        raise HelpCrunchConfigurationError(msg)
    name = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:40]
    return Budget(_open_store(url, name, requests_per_minute, period), requests_per_minute, period)


def _open_store(url: str, name: str, limit: int, period: float) -> Store:
    try:
        parts = urlsplit(url)
    except ValueError:  # whose text would show the address, and with it a password
        parts = urlsplit("")
    if parts.scheme == "memory" and not (parts.netloc or parts.path):
        return MemoryStore.shared(name, limit, period)
    if parts.scheme == "sqlite" and not parts.netloc and not parts.query:
        directory = Path(parts.path) if parts.path.strip("/") else _default_directory()
        return SQLiteStore(private_directory(directory) / f"{name}.sqlite", limit, period)
    msg = "rate_limit_store must be sqlite:// (default), sqlite:///absolute/directory or memory://."
    raise HelpCrunchConfigurationError(msg)


def _default_directory() -> Path:
    return Path(tempfile.gettempdir(), f"airflow-provider-helpcrunch-{os.getuid()}")
