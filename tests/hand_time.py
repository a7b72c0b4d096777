"""Time of the rate limit that passes only by waiting and by requests, so that a minute of it takes no time at all."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hand_clock import Clock

from airflow_provider_helpcrunch.client import retry
from airflow_provider_helpcrunch.operators import deferral
from airflow_provider_helpcrunch.rate_limit import limiter
from airflow_provider_helpcrunch.rate_limit.limiter import Cancelled, RateLimiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore
from airflow_provider_helpcrunch.triggers import budget

START = 1_800_000_000.0


class HandTime(Clock):
    """A clock that whoever waits moves on."""

    def __init__(self) -> None:
        self.now = START
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> float:
        """Let seconds pass; return the time then."""
        with self._lock:
            self.now += seconds
            return self.now

    def busy(self) -> float:
        """Tell the time as the clock of an account: each look at it, one for a request, takes a tenth of a second."""
        return self.sleep(0.1)

    async def asleep(self, seconds: float) -> None:
        """Let seconds pass."""
        self.sleep(seconds)


def install(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    """Let rate limiters, the patience of requests and deferred tasks go by a clock that is moved by hand."""
    time = HandTime()

    def wait(self: RateLimiter, seconds: float, cancelled: threading.Event) -> None:
        if cancelled.is_set():
            raise Cancelled
        time.sleep(seconds)
        self.waited += seconds

    clocks: Any = SimpleNamespace(time=time, monotonic=time, sleep=time.sleep)
    for module in (limiter, retry, deferral, budget):
        monkeypatch.setattr(module, "time", clocks)
    monkeypatch.setattr(budget, "asyncio", SimpleNamespace(sleep=time.asleep))
    monkeypatch.setattr(RateLimiter, "_wait", wait)
    monkeypatch.setattr(MemoryStore.__init__, "__defaults__", (time, None))
    monkeypatch.setattr(SQLiteStore.__init__, "__defaults__", (time,))
    return time
