"""Cost of tasks on several machines without a shared rate limit store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from harness.bench import OURS
from harness.report import Section, target

from figures.shared import AGENTS, LATENCY, REQUESTS, TASKS

if TYPE_CHECKING:
    from harness.bench import Bench

PATIENCE = 1200.0


class Way(NamedTuple):
    """
    How tasks that do not share a count run.

    :param name: in the table
    :param at_once: how many of them
    :param requests_per_minute: what each believes to have
    """

    name: str
    at_once: int
    requests_per_minute: int


WAYS = (
    Way("all at once, 120 a minute each", TASKS, 120),
    Way("a pool of one slot, 120 a minute each", 1, 120),
    Way("a pool of one slot, 60 a minute each", 1, 60),
    Way("all at once, a share of 40 a minute each", TASKS, 40),
)


def measure(bench: Bench) -> Section:
    """Run the listings of each way; all ways at the same time, each on an account of its own."""
    bench.prepare([OURS])
    bench.say(f"unshared: {REQUESTS} requests in {len(WAYS)} ways, real time: about eleven minutes")
    rows = bench.together([partial(_row, bench, way) for way in WAYS], len(WAYS))
    return Section(
        title="The limit, not shared",
        method=(
            f"{TASKS} tasks list {AGENTS:,} agents each, {REQUESTS} requests in all, as if each ran on a machine of "
            f"its own: each process counts for itself (`memory://`). {LATENCY * 1000:.0f} ms a page, 120 requests in "
            "any rolling 60 s, 429 without `Retry-After`. A pool of one slot lets them run one after the other; the "
            "time between two tasks is not counted. Compare with the same tasks over Redis, above."
        ),
        columns=("way", "complete", "requests", "busiest rolling 60 s", "429s", "last task done (s)"),
        rows=rows,
        verdict=target(
            "every listing complete",
            f"{sum(row[1] == 'yes' for row in rows)} of {len(rows)}",
            held=all(row[1] == "yes" for row in rows),
        ),
    )


def _row(bench: Bench, way: Way) -> tuple[object, ...]:
    with bench.sandbox(agents=AGENTS, latency=LATENCY) as sandbox:
        own = {
            "BENCH_RATE_LIMIT_STORE": "memory://",
            "BENCH_REQUESTS_PER_MINUTE": str(way.requests_per_minute),
        }
        job = partial(bench.run, OURS, sandbox, patience=PATIENCE, **own)
        runs = bench.together([job] * TASKS, way.at_once)
        took = (sum if way.at_once == 1 else max)(run.seconds for run in runs)
        figures = sandbox.summary()
    complete = all(run.ids.exactly(AGENTS) and not run.error for run in runs)
    refused = figures["by_status"].get("429", 0)
    return (
        *(way.name, "yes" if complete else "no", figures["requests"], figures["busiest_60_s"], refused),
        f"{took:.0f}",
    )
