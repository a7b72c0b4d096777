"""Whether two processes together keep the account's limit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from harness.bench import OURS
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench, Run

REQUESTS = 180
"""Of each process: together three full windows."""

AGENTS = REQUESTS * 99 + 1
LATENCY = 0.05
LIMIT = 120
STORE = "budget"


def measure(bench: Bench) -> Section:
    """Run two listings at the same time, with one store."""
    bench.prepare([OURS])
    bench.say("shared: two processes, 120 requests a minute, real time")
    with bench.folder() as folder, bench.sandbox(agents=AGENTS, latency=LATENCY) as sandbox:
        store = f"sqlite://{folder / STORE}"
        job = partial(bench.run, OURS, sandbox, BENCH_RATE_LIMIT_STORE=store)
        runs = bench.together([job, job], 2)
        figures = sandbox.summary()
    return _section(runs, figures)


def _section(runs: list[Run], figures: dict[str, Any]) -> Section:
    wall = max(run.seconds for run in runs)
    least = 60.0 * (2 * REQUESTS // LIMIT - 1)
    complete = all(run.ids.exactly(AGENTS) and not run.error for run in runs)
    busiest, refused = figures["busiest_60_s"], figures["by_status"].get("429", 0)
    return Section(
        title="The limit, shared by two processes",
        method=(
            f"Two processes at a time list {AGENTS:,} agents each with our operator and one SQLite store; {LIMIT} "
            f"requests in any rolling 60 s, {LATENCY * 1000:.0f} ms a page. Utilisation: the least time that the limit "
            f"allows for {2 * REQUESTS} requests ({least:.0f} s), divided by the time taken."
        ),
        columns=("complete", "requests", "busiest rolling 60 s", "429s", "utilisation"),
        rows=[("yes" if complete else "no", figures["requests"], busiest, refused, f"{least / wall:.3f}")],
        verdict=target(
            f"at most {LIMIT} in any 60 s, no 429",
            f"{busiest}, {refused} × 429",
            held=complete and busiest <= LIMIT and not refused,
        ),
    )
