"""
Threads that go on listing an account of one agent, one request each time, until the process is ended:
``steady_demand.py URL KEY STORE STARTS CLIENTS THREADS PAUSE SIZE``.

Each thread asks for pages of a size of its own, from SIZE on, so that the journal shows who asked. All begin when
``time.monotonic()`` is STARTS, which is one clock for all processes of a machine.
"""

from __future__ import annotations

import random
import sys
import threading
import time

from airflow_provider_helpcrunch.client import HelpCrunchClient


def work(client: HelpCrunchClient, size: int, starts: float, pause: float) -> None:
    """Want one request after the other; the pauses between them are the same in every run."""
    dice = random.Random(size)
    time.sleep(starts - time.monotonic() + dice.uniform(0, 2 * pause))
    while True:
        client.list_agents(page_size=size)
        time.sleep(dice.uniform(0, 2 * pause))


def main(
    url: str, key: str, store: str, starts: str, clients: str, threads: str, pause: str, size: str
) -> None:
    """Start all threads; an error of one ends the process."""
    failed = threading.Event()
    if time.monotonic() > float(starts) - 1:
        sys.exit("not ready in time: the machine is busy")

    def run(client: HelpCrunchClient, number: int) -> None:
        try:
            work(client, number, float(starts), float(pause))
        finally:
            failed.set()

    number = int(size)
    for _ in range(int(clients)):
        client = HelpCrunchClient(key, base_url=url, rate_limit_store=store)
        for _ in range(int(threads)):
            threading.Thread(target=run, args=(client, number), daemon=True).start()
            number += 1
    failed.wait()


main(*sys.argv[1:])
