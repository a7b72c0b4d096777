"""Uses a client, forks, and uses it on both sides: ``forking.py URL KEY STORE URL``; prints what came of it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings

import without_airflow  # noqa: F401

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.rate_limit import limiter

# Newer Pythons warn of just what is tried here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

# A new Redis counts as spent for one period.
limiter.open_rate_limiter.__kwdefaults__["period"] = 1.0  # type: ignore[index]

CHILDREN = 4


def main(url: str, key: str, store: str, dripping: str) -> None:
    policy = RetryPolicy(max_attempts=1)
    client = HelpCrunchClient(
        key, base_url=url, rate_limit_store=store, requests_per_minute=100_000, read_timeout=2
    )
    slow = HelpCrunchClient(
        key, base_url=dripping, rate_limit_store="memory://", read_timeout=0.3, retry=policy
    )
    agents = [agent["id"] for agent in client.iter_agents()]
    try_slow(slow)
    over = threading.Event()
    busy = [threading.Thread(target=work, args=(client, over, agents), daemon=True) for _ in range(4)]
    for thread in busy:
        thread.start()
    children = []
    for _ in range(CHILDREN):
        read, write = os.pipe()
        if (pid := os.fork()) == 0:
            found: dict[str, object] = {}
            try:
                departments = [client.list_departments() for _ in range(5)]
                found = {"departments": departments, "slow": try_slow(slow)}
            except BaseException as error:
                found = {"error": repr(error)}
            os.write(write, json.dumps(found).encode())
            os._exit(0)
        os.close(write)
        children.append((pid, read))
    results = []
    for pid, read in children:
        results.append(json.loads(b"".join(iter(lambda: os.read(read, 65536), b""))))  # noqa: B023
        os.waitpid(pid, 0)
    over.set()
    for thread in busy:
        thread.join()
    still = [agent["id"] for agent in client.iter_agents()]
    sys.stdout.write(json.dumps({"children": results, "parent": still == agents, "wrong": WRONG}))


WRONG: list[str] = []


def work(client: HelpCrunchClient, over: threading.Event, agents: list[int]) -> None:
    while not over.is_set():
        try:
            if [agent["id"] for agent in client.iter_agents()] != agents:
                WRONG.append("other agents")
        except Exception as error:
            WRONG.append(repr(error))


def try_slow(client: HelpCrunchClient) -> float:
    began = time.monotonic()
    try:
        client.list_agents()
    except Exception:
        return time.monotonic() - began
    raise AssertionError("an endless response ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
