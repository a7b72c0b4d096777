"""Spends permits of a shared budget on requests, from threads of several processes. Run as a script."""

from __future__ import annotations

import json
import multiprocessing
import sys
import threading

import without_airflow  # noqa: F401

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter

FORK = multiprocessing.get_context("fork")
"""Importing takes longer than to fork, and the processes are to start at once."""


def spend(url: str, key: str, store: str, limit: int, period: float, requests: int, threads: int) -> int:
    """Make so many requests in each thread; return how many this process made."""
    budget = open_rate_limiter(store, api_key=key, base_url=url, requests_per_minute=limit, period=period)
    done: list[int] = []

    with HelpCrunchClient(key, base_url=url, budget=budget, retry=RetryPolicy(max_attempts=1)) as client:

        def work() -> None:
            for _ in range(requests):
                client.get_organization()
                done.append(1)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return len(done)


def main(
    processes: str, url: str, key: str, store: str, limit: str, period: str, requests: str, threads: str
) -> None:
    """Print how many requests each process made."""
    arguments = (url, key, store, int(limit), float(period), int(requests), int(threads))
    with FORK.Pool(int(processes)) as pool:
        sys.stdout.write(
            json.dumps(
                [job.get() for job in [pool.apply_async(spend, arguments) for _ in range(int(processes))]]
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
