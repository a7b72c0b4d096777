"""Every store, with processes and threads that nobody foresaw: never too many in any window, and hardly any too few."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import os
import socketserver
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis_server import RedisServer
from spender import Spending

from airflow_provider_helpcrunch.client import RateLimiter
from airflow_provider_helpcrunch.rate_limit.limiter import SPREAD
from airflow_provider_helpcrunch.rate_limit.store import Wait

pytestmark = [pytest.mark.long, pytest.mark.once]

SPENDER = Path(__file__).with_name("spender.py")
ROOT = Path(__file__).parents[2]

MARGIN = 0.1
"""Part of the window by which the period is longer: so far the clocks of processes may be apart."""

LIMIT = 40

QUICK = settings(max_examples=3, suppress_health_check=list(HealthCheck))


class Counter(socketserver.ThreadingTCPServer):
    """Notes when each request arrives, and only then answers it."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        super().__init__(("127.0.0.1", 0), _Visit)

    def busiest(self, window: float) -> int:
        """Return the most arrivals in any rolling window."""
        at = sorted(self.arrivals)
        return max(last - first for first, last in enumerate(bisect.bisect_left(at, t + window) for t in at))


class _Visit(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(1):
            self.server.arrivals.append(time.monotonic())  # type: ignore[attr-defined]
            self.request.sendall(b"!")


@contextlib.contextmanager
def counter() -> Iterator[Counter]:
    with Counter() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def new_store(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: Callable[..., RedisServer]
) -> Iterator[Callable[[], str]]:
    """Return the address of a store that nobody has used yet, another at each call."""
    numbers = iter(range(100))
    if request.param == "redis":
        server = redis_server()
        yield lambda: f"redis://127.0.0.1:{server.port}/{next(numbers) % 16}"
    elif request.param == "sqlite":
        yield lambda: f"sqlite://{tmp_path}/budget{next(numbers)}"
    else:
        yield lambda: "memory://"


def spend(
    store: str,
    server: Counter,
    *,
    window: float,
    seconds: float,
    processes: int = 4,
    threads: int = 2,
    delay: float = 0.02,
    skew: float = 0.0,
    seed: int = 0,
) -> list[float]:
    """Return how long each permit was held; ``skew`` is how far the clocks are apart at most."""
    spending = Spending(
        stores=[store] * processes,
        skews=[skew * (number % 2 - 0.5) for number in range(processes)],
        port=server.server_address[1],
        threads=threads,
        limit=LIMIT,
        period=window * (1 + MARGIN),
        seconds=seconds,
        delay=delay,
        seed=seed,
    )
    done = subprocess.run(
        [sys.executable, str(SPENDER), json.dumps(asdict(spending))],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return [seconds for process in json.loads(done.stdout) for seconds in process]


@QUICK
@given(
    processes=st.integers(1, 6),
    threads=st.integers(1, 8),
    delay=st.sampled_from([0.0, 0.02, 0.2]),
    skew=st.floats(0, 1),
    seed=st.integers(0, 999),
)
@example(processes=6, threads=8, delay=0.02, skew=1.0, seed=0)
def test_no_window_ever_holds_more_than_the_limit(
    new_store: Callable[[], str], processes: int, threads: int, delay: float, skew: float, seed: int
) -> None:
    store, window = new_store(), 0.5
    if store.startswith("memory"):
        processes = 1
    skew *= MARGIN * window
    with counter() as server:
        held = spend(
            store,
            server,
            window=window,
            seconds=1.6,
            processes=processes,
            threads=threads,
            delay=delay,
            skew=skew,
            seed=seed,
        )
        assert len(server.arrivals) == len(held)
    assert 0 < server.busiest(window) <= LIMIT


def test_the_limit_is_used(new_store: Callable[[], str]) -> None:
    store, window = new_store(), 2.0
    processes = 1 if store.startswith("memory") else 4
    with counter() as server:
        held = spend(store, server, window=window, seconds=7.5, processes=processes, threads=8 // processes)
    assert server.busiest(window) <= LIMIT
    at = sorted(server.arrivals)[::LIMIT]
    quickest = min(later - sooner for sooner, later in itertools.pairwise(at))
    # A slot is used once in the time of its period and its request; the machine may be busy, hence the quickest.
    assert (window * (1 + MARGIN) + statistics.fmean(held)) / quickest >= 0.97


def test_a_waiter_sleeps_until_the_first_moment_that_can_bring_a_permit() -> None:
    asked: list[float] = []

    class Calendar:
        """A store whose next slot is free in some seconds."""

        def __init__(self) -> None:
            self.answers: list[int | Wait] = [Wait(7.0, paused=False), Wait(0.2, paused=False), 0]

        def acquire(self) -> int | Wait:
            return self.answers.pop(0)

        def release(self, slot: int) -> None:
            pass

    class Sleeper(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            asked.append(timeout or 0.0)
            return False

    with RateLimiter(Calendar(), 1, 61.0).permit(60, Sleeper()):  # type: ignore[arg-type]
        pass
    assert [pytest.approx(seconds, abs=0.05) for seconds in asked] == [7.0, 0.2]
    # The part by chance, which lets others be first, too.
    assert asked[0] > 7.0 + SPREAD / 3
    assert asked[1] > 0.2 + SPREAD / 3
