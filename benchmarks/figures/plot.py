"""Drawing of permits over time: eight workers that want more than the account allows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from harness.bench import OURS
from harness.demand import LATENCY, LIMIT, Workers, spend, worker_of
from harness.paths import CLONE, WORK
from harness.plot import Plot
from harness.report import Section, target
from harness.stores import REDIS, SQLITE, stores

from airflow_provider_helpcrunch.sandbox.journal import Request, busiest_window

if TYPE_CHECKING:
    from harness.bench import Bench

PAUSE = 2.5
WORKERS = Workers(processes=8, pause=PAUSE)
WANTED = round(60 * WORKERS.processes / (PAUSE + LATENCY))
SECONDS = 240
DRAWING = WORK / "permits.svg"


def measure(bench: Bench) -> Section:
    """Let the workers share a store, and draw what the sandbox saw."""
    bench.prepare([OURS])
    bench.say(f"plot: {WORKERS.processes} workers for {SECONDS} s, real time, after a minute for a new Redis")
    with bench.folder() as folder, stores(bench.processes, folder) as addresses:
        store = REDIS if REDIS in addresses else SQLITE
        journal = spend(bench, addresses[store], WORKERS, SECONDS + 2 * PAUSE)
    requests = [request for request in journal if request.at <= SECONDS]
    refused = sum(request.status == 429 for request in requests)
    most = busiest_window(requests, 60.0)
    title = f"{WORKERS.processes} workers share one account's {LIMIT} requests a minute"
    subtitle = (
        f"Processes that count in {store} and together want {WANTED} a minute. Most in any rolling 60 s: "
        f"{most}; answered 429: {refused}."
    )
    DRAWING.write_text(Plot(requests, WORKERS.number, SECONDS, LIMIT).svg(title, subtitle))
    return _section(requests, most, refused, store)


def _section(requests: list[Request], most: int, refused: int, store: str) -> Section:
    return Section(
        title="Permits over time",
        method=(
            f"{WORKERS.processes} processes share one store ({store}; a new Redis has its first window behind it). "
            f"Each wants its next request {PAUSE} s after a response on average (0 to {2 * PAUSE:.0f} s), "
            f"{LATENCY * 1000:.0f} ms per response: {WANTED} a minute if nothing held them, where the account allows "
            f"{LIMIT}. {SECONDS} s of the sandbox's journal, drawn into `{DRAWING.relative_to(CLONE)}`."
        ),
        columns=("worker", "requests", "of a fair share", "longest from one request to the next (s)"),
        rows=[_row(requests, worker) for worker in range(WORKERS.number)],
        verdict=target(
            f"at most {LIMIT} in any 60 s, no 429",
            f"{most}, {refused} × 429",
            held=most <= LIMIT and not refused,
        ),
    )


def _row(requests: list[Request], worker: int) -> tuple[object, ...]:
    at = [request.at for request in requests if worker_of(request) == worker]
    longest = max(later - sooner for sooner, later in pairwise([0.0, *at, float(SECONDS)]))
    return (worker + 1, len(at), f"{len(at) * WORKERS.number / len(requests):.2f}", f"{longest:.1f}")
