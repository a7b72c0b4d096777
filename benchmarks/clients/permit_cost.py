"""Cost of a permit in each store: ``permit_cost.py REPORT FOLDER PERMITS``."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from pathlib import Path

from airflow_provider_helpcrunch.client.rate_limit import Budget, open_budget


def costs(budget: Budget, permits: int) -> tuple[float, float]:
    """Return median and 99th percentile, in microseconds."""
    cancelled = threading.Event()
    taken = []
    for _ in range(permits):
        started = time.perf_counter_ns()
        with budget.permit(60.0, cancelled):
            pass
        taken.append((time.perf_counter_ns() - started) / 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def main(report: str, folder: str, permits: str) -> None:
    """Measure both stores."""
    result = {}
    for name, url in (("memory", "memory://"), ("SQLite", f"sqlite://{folder}/budget")):
        # A window of no length: all permits are free at once again.
        budget = open_budget(url, api_key="key", base_url="https://127.0.0.1/v1", period=0.0)
        costs(budget, 100)
        result[name] = costs(budget, int(permits))
        budget.close()
    Path(report).write_text(json.dumps(result))


main(*sys.argv[1:])
