"""Limit of the account shared by tasks that run at the same time, and the time they take together."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from harness.bench import OURS
from harness.report import Section, target
from harness.stores import REDIS, SQLITE, seconds_until_free, stores

from airflow_provider_helpcrunch.rate_limit.limiter import PERIOD

if TYPE_CHECKING:
    from harness.bench import Bench

TASKS = 3
AGENTS = 20_000
REQUESTS = TASKS * math.ceil((AGENTS - 1) / 99)
LATENCY = 0.05
LIMIT = 120
WINDOWS = math.ceil(REQUESTS / LIMIT)
IDEAL = (WINDOWS - 1) * (PERIOD + LATENCY) + LATENCY
MOST = 1.03
STORES = (SQLITE, REDIS)


class Row(NamedTuple):
    """Measurements of one store."""

    complete: bool
    requests: int
    busiest: int
    refused: int
    first: float
    last: float

    @property
    def held(self) -> bool:
        """Whether it is as it should be."""
        kept = self.busiest <= LIMIT and not self.refused
        return self.complete and kept and self.last <= MOST * IDEAL


def measure(bench: Bench) -> Section:
    """Run the listings at the same time, with one store; and so with each store."""
    bench.prepare([OURS])
    bench.say(f"shared: {TASKS} tasks, {LIMIT} requests a minute, real time: {IDEAL:.0f} s and a minute")
    with bench.folder() as folder, stores(bench.processes, folder) as addresses:
        wanted = [name for name in STORES if name in addresses]
        jobs = [partial(_row, bench, addresses[name]) for name in wanted]
        rows = dict(zip(wanted, bench.together(jobs, len(jobs)), strict=True))
    return _section(rows)


def _row(bench: Bench, store: str) -> Row:
    with bench.sandbox(agents=AGENTS, latency=LATENCY) as sandbox:
        time.sleep(seconds_until_free(store, sandbox.url))
        job = partial(bench.run, OURS, sandbox, patience=2 * IDEAL, BENCH_RATE_LIMIT_STORE=store)
        runs = bench.together([job] * TASKS, TASKS)
        figures = sandbox.summary()
    walls = [run.seconds for run in runs]
    complete = all(run.ids.exactly(AGENTS) and not run.error for run in runs)
    refused = figures["by_status"].get("429", 0)
    return Row(complete, figures["requests"], figures["busiest_60_s"], refused, min(walls), max(walls))


def _section(rows: dict[str, Row]) -> Section:
    return Section(
        title="The limit, shared by three tasks",
        method=(
            f"Three processes at a time list {AGENTS:,} agents each with our operator and one store: {REQUESTS} "
            f"requests; {LIMIT} in any rolling 60 s, {LATENCY * 1000:.0f} ms a page; the stores at the same time, each "
            "with an account. It begins when a new Redis no longer counts its first window as spent. From the first "
            f"request to the last closed file. Ideal: the {WINDOWS}th window of {LIMIT} opens after {WINDOWS - 1} × "
            f"({PERIOD:.0f} s + {LATENCY * 1000:.0f} ms), for a permit is held for the time of its request and then "
            f"comes back after {PERIOD:.0f} s; and one more answer: {IDEAL:.1f} s."
        ),
        columns=(
            *("store", "complete", "requests", "busiest rolling 60 s", "429s"),
            *("first task done (s)", "last task done (s)", "× ideal"),
        ),
        rows=[_cells(name, rows.get(name)) for name in STORES],
        verdict=target(
            f"complete, at most {LIMIT} in any 60 s, no 429, wall at most {MOST} of the ideal",
            "; ".join(
                f"{name} {it.busiest}, {it.refused} × 429, {it.last / IDEAL:.4f}" for name, it in rows.items()
            ),
            held=all(row.held for row in rows.values()),
        ),
    )


def _cells(name: str, row: Row | None) -> tuple[object, ...]:
    if row is None:
        return (name, "not measured: no `redis-server` here", *[""] * 6)
    counts = (row.requests, row.busiest, row.refused)
    times = (f"{row.first:.1f}", f"{row.last:.1f}", f"{row.last / IDEAL:.4f}")
    return (name, "yes" if row.complete else "no", *counts, *times)
