"""Cost of a permit in each store, and how late waiters come: ``permit_cost.py REPORT STORES PERMITS WAKES``."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from pathlib import Path

from airflow_provider_helpcrunch.client.rate_limit import Budget, open_budget

WAITERS = 8
PERIOD = 1.0


def costs(budget: Budget, permits: int) -> list[float]:
    """Return median and 99th percentile, in microseconds."""
    cancelled = threading.Event()
    taken = []
    for _ in range(permits):
        started = time.perf_counter_ns()
        with budget.permit(60.0, cancelled):
            pass
        taken.append((time.perf_counter_ns() - started) / 1000)
    return [statistics.median(taken), statistics.quantiles(taken, n=100)[98]]


def lateness(budgets: list[Budget], wakes: int) -> list[float]:
    """Return median and most of the milliseconds from a slot's time to the waiter who gets it."""
    cancelled = threading.Event()
    late: list[float] = []
    settled: dict[int, float] = {}

    def wait(budget: Budget) -> None:
        while len(late) < wakes:
            slot = budget._acquire(60.0, cancelled)
            now = time.monotonic()
            if slot in settled:
                late.append((now - settled[slot] - PERIOD) * 1000)
            time.sleep(0.02)
            settled[slot] = time.monotonic()
            budget._store.settle(slot)

    waiters = [threading.Thread(target=wait, args=(budget,)) for budget in budgets]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join()
    return [statistics.median(late), max(late)]


def main(report: str, stores: str, permits: str, wakes: str) -> None:
    """Measure all stores; ``stores`` is JSON of their addresses, by name."""
    result = {}
    for name, address in json.loads(stores).items():
        # A window of no length: all permits are free at once again.
        budget = open_budget(address, api_key="key", base_url="https://127.0.0.1/v1", period=0.0)
        costs(budget, 100)
        cost = costs(budget, int(permits))
        budget.close()
        waiting = [
            open_budget(address, api_key="key", base_url="waiters", requests_per_minute=20, period=PERIOD)
            for _ in range(WAITERS)
        ]
        result[name] = [*cost, *lateness(waiting, int(wakes))]
        for budget in waiting:
            budget.close()
    Path(report).write_text(json.dumps(result))


main(*sys.argv[1:])
