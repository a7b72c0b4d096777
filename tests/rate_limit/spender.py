"""
Takes permits of one budget from many processes and threads, and shows each to a counting server. Run as a script
whose argument is a :class:`Spending` as JSON; prints for each process how long each permit was held, in seconds.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import socket
import sys
import threading
import time
from dataclasses import dataclass

import without_airflow  # noqa: F401

from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter, open_rate_limiter

FORK = multiprocessing.get_context("fork")
"""Importing takes longer than to fork, and the processes are to start at once."""


@dataclass(frozen=True)
class Spending:
    """
    Who spends how.

    :param stores: one address for each process
    :param skews: seconds that the clock of each process is ahead
    :param port: where the counting server listens on this machine
    :param threads: of each process
    :param limit: permits in a period
    :param period: seconds
    :param seconds: for how long
    :param delay: seconds at most that a request is under way, there and back
    :param seed: of all chance
    """

    stores: list[str]
    skews: list[float]
    port: int
    threads: int
    limit: int
    period: float
    seconds: float
    delay: float
    seed: int


def spend(it: Spending, number: int) -> list[float]:
    """Spend with all threads of one process; return how long each permit was held."""
    budget = open_rate_limiter(
        it.stores[number], api_key="k", base_url="u", requests_per_minute=it.limit, period=it.period
    )
    true_time = time.time
    time.time = lambda: true_time() + it.skews[number]
    if it.stores[number].startswith("sqlite"):
        budget._store._clock = time.time  # type: ignore[attr-defined]
    held: list[float] = []
    ends = time.monotonic() + it.seconds
    arguments = [(it, budget, random.Random(f"{it.seed} {number} {thread}")) for thread in range(it.threads)]
    workers = [threading.Thread(target=work, args=(*each, ends, held)) for each in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    budget.close()
    return held


def work(it: Spending, budget: RateLimiter, dice: random.Random, ends: float, held: list[float]) -> None:
    """Take permits until the end, but at least one, each with random delays there and back."""
    never = threading.Event()
    with socket.create_connection(("127.0.0.1", it.port)) as server:
        while True:
            with budget.permit(300.0, never):
                taken = time.monotonic()
                time.sleep(dice.uniform(0, it.delay / 2))
                server.sendall(b"?")
                assert server.recv(1) == b"!"
                time.sleep(dice.uniform(0, it.delay / 2))
            held.append(time.monotonic() - taken)
            if time.monotonic() > ends:
                break


def main(text: str) -> None:
    """Run all processes."""
    it = Spending(**json.loads(text))
    with FORK.Pool(len(it.stores)) as pool:
        jobs = [pool.apply_async(spend, (it, number)) for number in range(len(it.stores))]
        sys.stdout.write(json.dumps([job.get() for job in jobs]))


if __name__ == "__main__":
    main(sys.argv[1])
