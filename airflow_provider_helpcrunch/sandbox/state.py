"""State of a sandbox: everything apart from how it is served."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox.account import Account
from airflow_provider_helpcrunch.sandbox.clock import SECOND, Clock, machine_time, milliseconds
from airflow_provider_helpcrunch.sandbox.faults import Fault, FaultPlan
from airflow_provider_helpcrunch.sandbox.journal import Journal
from airflow_provider_helpcrunch.sandbox.limit import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_helpcrunch.sandbox.settings import Settings


class State:
    """
    The account, its keys and rate limit, the faults to come and the requests so far.

    :param settings: the switches
    :param faults: the faults it starts with, and returns to
    :param clock: seconds since any fixed moment, for the rate limit, the journal and the account's own clock.
        Default: ``time.monotonic``, and for the account's clock the time of this machine or a clock that stands still
    """

    def __init__(
        self, settings: Settings, faults: Iterable[Fault] = (), clock: Callable[[], float] | None = None
    ) -> None:
        self.settings = settings
        self.journal = Journal()
        self.clock = clock or time.monotonic
        self.judging = threading.Lock()
        self._faults = tuple(faults)
        # Once, so that a reset brings back the same chats.
        self._start = milliseconds(time.time() if settings.now is None else settings.now)
        self._running = (
            _time_of(clock, self._start) if clock else machine_time if settings.now is None else None
        )
        self.reset()

    def reset(self) -> None:
        """Go back to the start: data, key, faults with fresh counts, an empty window, an empty journal."""
        settings = self.settings
        self.account = Account(settings, Clock(self._start, self._running))
        self.limit = SlidingWindow(settings.rate_limit, settings.window)
        self.faults = FaultPlan(self._faults)
        self.keys = {settings.key: True}
        """All keys that the account has had, the newest last, and whether each is valid."""
        self.journal.clear()


def _time_of(clock: Callable[[], float], start: int) -> Callable[[], int]:
    """Return the account's time, in UNIX milliseconds, on a clock that shows any seconds at ``start``."""
    began = clock()
    return lambda: start + int((clock() - began) * SECOND)
