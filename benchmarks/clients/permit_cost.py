"""Cost of a permit in each store, and how late waiters come: ``permit_cost.py REPORT STORES TIMES WAKES``."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis

from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter

WAITERS = 8
PERIOD = 1.0


def costs(once: Callable[[], object], times: int) -> list[float]:
    """Return median and 99th percentile of the microseconds that something takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter_ns()
        once()
        taken.append((time.perf_counter_ns() - started) / 1000)
    return [statistics.median(taken), statistics.quantiles(taken, n=100)[98]]


def permits(address: str, times: int) -> list[float]:
    """Return the cost of permits, all of which are free: the window has no length."""
    cancelled = threading.Event()
    with contextlib.closing(
        open_rate_limiter(address, api_key="key", base_url="https://127.0.0.1/v1", period=0.0)
    ) as budget:

        def once() -> None:
            with budget.permit(60.0, cancelled):
                pass

        costs(once, 100)
        return costs(once, times)


def beside(redis: Redis, address: str, times: int) -> dict[str, list[float]]:
    """Return the costs that show the share of the connection to Redis: a bare PING, and both on one CPU."""
    connection = redis.connection_pool.get_connection()

    def ping() -> None:
        connection.send_command("PING")
        connection.read_response()

    costs(ping, 100)
    bare = costs(ping, times)
    for process in (0, redis.info("server")["process_id"]):
        os.sched_setaffinity(process, {min(os.sched_getaffinity(0))})
    return {
        "a bare PING of Redis": bare,
        "Redis, on one CPU with the client": permits(address, times),
        "a bare PING, on one CPU": costs(ping, times),
    }


def lateness(budgets: list[RateLimiter], wakes: int) -> list[float]:
    """Return median and most of the milliseconds from a slot's time to the waiter who gets it."""
    cancelled = threading.Event()
    late: list[float] = []
    settled: dict[int, float] = {}

    def wait(budget: RateLimiter) -> None:
        while len(late) < wakes:
            slot = budget.acquire(60.0, cancelled)
            now = time.monotonic()
            if slot in settled:
                late.append((now - settled[slot] - PERIOD) * 1000)
            time.sleep(0.02)
            settled[slot] = time.monotonic()
            budget.release(slot)

    waiters = [threading.Thread(target=wait, args=(budget,)) for budget in budgets]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join()
    return [statistics.median(late), max(late)]


def main(report: str, stores: str, times: str, wakes: str) -> None:
    """Measure all stores; ``stores`` is JSON of their addresses, by name."""
    result = {}
    for name, address in json.loads(stores).items():
        cost = permits(address, int(times))
        waiting = [
            open_rate_limiter(
                address, api_key="key", base_url="waiters", requests_per_minute=20, period=PERIOD
            )
            for _ in range(WAITERS)
        ]
        result[name] = [*cost, *lateness(waiting, int(wakes))]
        for budget in waiting:
            budget.close()
        if address.startswith("redis"):
            result |= beside(Redis.from_url(address), address, int(times))
    Path(report).write_text(json.dumps(result))


main(*sys.argv[1:])
