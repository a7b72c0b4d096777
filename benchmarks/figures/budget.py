"""Use of the account's limit: all of it, never more, and shared fairly."""

from __future__ import annotations

import statistics
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from harness.bench import OURS
from harness.demand import CYCLE, LATENCY, LIMIT, Workers, spend, worker_of
from harness.report import Section, target
from harness.stores import MEMORY, REDIS, SQLITE, stores

from airflow_provider_helpcrunch.rate_limit.limiter import PERIOD
from airflow_provider_helpcrunch.sandbox.journal import busiest_window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.bench import Bench

    from airflow_provider_helpcrunch.sandbox.journal import Request

WORKERS = {
    MEMORY: Workers(processes=1, clients=4, threads=8),
    SQLITE: Workers(processes=4, threads=8),
    REDIS: Workers(processes=4, threads=8),
}
TURNS = 5
"""How often each permit of the first window is used again: five minutes."""

SECONDS = TURNS * CYCLE + 8
LEAST = 0.97


class Row(NamedTuple):
    """Measurements of one store."""

    requests: int
    refused: int
    busiest: int
    turn: float
    clients: tuple[float, float]
    threads: tuple[float, float]

    @property
    def used(self) -> float:
        """Part of what the margin allows."""
        return CYCLE / self.turn

    @property
    def held(self) -> bool:
        """Whether it is as it should be."""
        return self.busiest <= LIMIT and not self.refused and self.used >= LEAST


def measure(bench: Bench) -> Section:
    """Let 32 threads want more than the account allows, with all stores at the same time."""
    bench.prepare([OURS])
    bench.say(
        f"budget: {LIMIT} requests a minute for {SECONDS:.0f} s, real time, after a minute for a new Redis"
    )
    with bench.folder() as folder, stores(bench.processes, folder) as addresses:
        jobs = [partial(_row, bench, name, address) for name, address in addresses.items()]
        rows = dict(zip(addresses, bench.together(jobs, len(jobs)), strict=True))
    return _section(rows)


def _row(bench: Bench, name: str, store: str) -> Row:
    workers = WORKERS[name]
    requests = spend(bench, store, workers, SECONDS)
    accepted = [request for request in requests if request.status != 429]
    return Row(
        len(requests),
        len(requests) - len(accepted),
        busiest_window(requests, 60.0),
        _turn([request.at for request in accepted]),
        _spread(accepted, range(0, workers.number, workers.threads), workers.threads),
        _spread(accepted, range(workers.number), 1),
    )


def _turn(at: list[float]) -> float:
    """Return the mean seconds from a request to the one a whole limit after it; fewer turns where too few came."""
    turns = min(TURNS, (len(at) - 1) // LIMIT)
    if turns < 1:
        msg = f"only {len(at)} requests in {SECONDS:.0f} s"
        raise RuntimeError(msg)
    pairs = zip(at, at[turns * LIMIT :], strict=False)
    return statistics.fmean(later - sooner for sooner, later in pairs) / turns


def _spread(requests: Iterable[Request], firsts: range, threads: int) -> tuple[float, float]:
    """Return the smallest and the largest share of any group of threads, in fair shares."""
    sent = Counter(worker_of(request) // threads for request in requests)
    shares = [sent[first // threads] * len(firsts) / sent.total() for first in firsts]
    return min(shares), max(shares)


def _section(rows: dict[str, Row]) -> Section:
    return Section(
        title="The whole limit, for five minutes",
        method=(
            f"32 threads always want a request: 4 processes with a client of 8 threads each; with `memory://`, which "
            f"no two processes share, 4 clients of one process. {LIMIT} requests in any rolling 60 s, "
            f"{LATENCY * 1000:.0f} ms per response, an account for each store, all stores at the same time; counted in "
            "the sandbox's journal. It begins when a new Redis no longer counts its first window as spent. "
            f"Utilisation: requests answered, divided by what the margin allows in that time, {LIMIT} in each "
            f"{PERIOD:.0f} s + {LATENCY * 1000:.0f} ms, for a permit is held for the time of its request and then "
            f"comes back after {PERIOD:.0f} s. The time is that in which {TURNS * LIMIT} requests were answered: from "
            f"a request to the {TURNS * LIMIT}th after it, the mean over the {LIMIT} of the first window. Shares: of "
            "the client, or thread, that got least, and of the one that got most; 1 is fair."
        ),
        columns=(
            *("store", "requests", "busiest rolling 60 s", "429s", "utilisation"),
            *(f"of {LIMIT} in {PERIOD:.0f} s", "shares of the clients", "shares of the threads"),
        ),
        rows=[_cells(name, rows.get(name)) for name in WORKERS],
        verdict=target(
            f"at most {LIMIT} in any 60 s, no 429, utilisation at least {LEAST}",
            "; ".join(f"{name} {it.busiest}, {it.refused} × 429, {it.used:.4f}" for name, it in rows.items()),
            held=all(row.held for row in rows.values()),
        ),
    )


def _cells(name: str, row: Row | None) -> tuple[object, ...]:
    if row is None:
        return (name, "not measured: no `redis-server` here", *[""] * 6)
    used = (f"{row.used:.4f}", f"{PERIOD / row.turn:.4f}")
    shares = [f"{least:.2f} to {most:.2f}" for least, most in (row.clients, row.threads)]
    return (name, row.requests, row.busiest, row.refused, *used, *shares)
