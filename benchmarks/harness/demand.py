"""Clients that send requests without end, and the sandbox's journal of them."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.rate_limit.limiter import DEFAULT_REQUESTS_PER_MINUTE, PERIOD
from airflow_provider_helpcrunch.sandbox.journal import Request
from harness.bench import OURS
from harness.sandbox import KEY
from harness.stores import seconds_until_free

if TYPE_CHECKING:
    from harness.bench import Bench

LIMIT = DEFAULT_REQUESTS_PER_MINUTE
LATENCY = 0.05
"""Seconds from the arrival of a request to its response."""

CYCLE = PERIOD + LATENCY
"""Seconds after which a permit can be used again at the earliest: the margin's window, and the time of a request."""

START = 15.0
"""Seconds in which the processes import what they need; then all of them begin at the same time."""

FIRST_SIZE = 10
"""Page size of the first worker; each further one asks for one record more, which identifies it."""


class Workers(NamedTuple):
    """
    Workers that want requests. A worker is a thread with one request under way at a time.

    :param processes: how many
    :param clients: of each process
    :param threads: of each client
    :param pause: seconds, on average, from a response to the worker's next request
    """

    processes: int
    clients: int = 1
    threads: int = 1
    pause: float = 0.0

    @property
    def number(self) -> int:
        """All of them."""
        return self.processes * self.clients * self.threads


def spend(bench: Bench, store: str, workers: Workers, seconds: float) -> list[Request]:
    """
    Let workers want requests of one new account, from a moment when its whole limit is free.

    Call ``bench.prepare([OURS])`` before it: processes that all compile the same modules are not ready in time.

    :param bench: the run
    :param store: the address that their clients count in
    :param workers: who
    :param seconds: for how long
    :return: the sandbox's journal, in order of arrival, with the seconds from the first arrival
    :raises RuntimeError: a process ended by itself, or was not ready in time
    """
    with bench.sandbox(agents=1, latency=LATENCY, rate_limit=LIMIT) as sandbox:
        starts = time.monotonic() + seconds_until_free(store, sandbox.url) + START
        shape = map(str, (starts, workers.clients, workers.threads, workers.pause))
        common = ["clients/steady_demand.py", sandbox.url, KEY, store, *shape]
        sizes = range(FIRST_SIZE, FIRST_SIZE + workers.number, workers.number // workers.processes)
        ends = starts + seconds
        jobs = [partial(_process, bench, [*common, str(size)], ends) for size in sizes]
        bench.together(jobs, len(jobs))
        return _requests(sandbox.journal())


def _process(bench: Bench, command: list[str], ends: float) -> None:
    with bench.folder() as folder:
        if not bench.script(OURS.environment, [*command], folder, patience=ends - time.monotonic()):
            words = (folder / "output.txt").read_text(errors="replace").strip()
            msg = f"a process that wanted requests ended: {words[-300:]}"
            raise RuntimeError(msg)


def worker_of(request: Request) -> int:
    """Return the number of the worker that sent it, from 0; those of one client follow each other."""
    return int(request.query["limit"]) - FIRST_SIZE


def _requests(journal: list[dict[str, Any]]) -> list[Request]:
    requests = sorted((Request(**entry) for entry in journal), key=lambda request: request.at)
    return [replace(request, at=request.at - requests[0].at) for request in requests]
