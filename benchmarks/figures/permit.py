"""Cost of a permit for a request, and delay of a permit that was waited for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.bench import OURS
from harness.report import Section, target
from harness.stores import MEMORY, REDIS, SQLITE, stores

if TYPE_CHECKING:
    from pathlib import Path

    from harness.bench import Bench

PERMITS = 5_000
WAKES = 200
PAGE_US = 50_000
MOST_US = {MEMORY: 5, REDIS: 300}
MOST_US_SHARED = 100
MOST_LATE_MS = 50


def measure(bench: Bench) -> Section:
    """Acquire and release permits that are free, then ones that are waited for."""
    bench.say(f"permit: {PERMITS} of each store")
    with bench.folder() as folder, stores(bench.processes, folder) as addresses:
        report = folder / "report.json"
        command: list[str | Path] = ["clients/permit_cost.py", report, json.dumps(addresses)]
        bench.script(OURS.environment, [*command, str(PERMITS), str(WAKES)], folder)
        figures: dict[str, list[float]] = json.loads(report.read_text())
    return _section(figures)


def _section(figures: dict[str, list[float]]) -> Section:
    stores = {name: figures[name] for name in (MEMORY, SQLITE, REDIS) if name in figures}
    held = all(
        median <= MOST_US.get(name, MOST_US_SHARED) and usually <= MOST_LATE_MS
        for name, (median, _, usually, _) in stores.items()
    )
    return Section(
        title="One permit",
        method=(
            "Acquiring and releasing one permit of 120 that nobody else wants, which every request does once; median "
            f"of {PERMITS:,}. And how much later than its slot is free a permit is held, where eight clients wait for "
            f"20 a second; {WAKES} permits. Redis is one on this machine, where a `redis-server` is installed; a "
            "bare `PING`, and both processes on one CPU, tell how much of its figure is the way there."
        ),
        columns=(
            *("store", "median µs", "99th percentile µs", "of a page that takes 50 ms"),
            *("late, median ms", "most ms"),
        ),
        rows=[_cells(name, *figure) for name, figure in figures.items()],
        verdict=target(
            f"at the median {MOST_US_SHARED} µs, in memory {MOST_US[MEMORY]} µs, in Redis {MOST_US[REDIS]} µs; "
            f"{MOST_LATE_MS} ms late",
            "; ".join(f"{name} {figure[0]:.1f} µs, {figure[2]:.1f} ms" for name, figure in stores.items()),
            held=held,
        ),
    )


def _cells(name: str, median: float, high: float, *late: float) -> tuple[str, ...]:
    part = f"{100 * median / PAGE_US:.3f} %"
    usually, most = (f"{each:.1f}" for each in late) if late else ("", "")
    return (name, f"{median:.1f}", f"{high:.1f}", part, usually, most)
