"""Rate limit stores of each kind, made for one measurement."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.rate_limit.limiter import DEFAULT_REQUESTS_PER_MINUTE, open_rate_limiter
from harness.processes import Processes, environment
from harness.sandbox import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY, SQLITE, REDIS = "memory", "SQLite", "Redis"
COMMANDS = ("redis-server", "valkey-server")
START_TIMEOUT = 10.0


@contextlib.contextmanager
def stores(processes: Processes, folder: Path) -> Iterator[dict[str, str]]:
    """
    Return the address of a new store of each kind; Redis is missing where no server is installed.

    :param processes: where the server is entered
    :param folder: an empty folder
    :raises RuntimeError: there is a server, and it does not start
    """
    addresses = {MEMORY: "memory://", SQLITE: f"sqlite://{folder / 'budget'}"}
    command = next(filter(None, map(shutil.which, COMMANDS)), None)
    if command is None:
        yield addresses
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = processes.start([command, *options], environment(folder), folder / "redis.txt")
    try:
        _wait_for(port)
        yield {**addresses, REDIS: f"redis://127.0.0.1:{port}/0"}
    finally:
        processes.end(process)


def seconds_until_free(store: str, url: str) -> float:
    """
    Return the seconds until a store counts no request of the sandbox at ``url``.

    A Redis that was just started counts its first window as spent: it cannot know what was spent before.
    """
    budget = open_rate_limiter(store, api_key=KEY, base_url=url)
    try:
        return budget.wait_time(DEFAULT_REQUESTS_PER_MINUTE)
    finally:
        budget.close()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    msg = f"Redis does not listen on port {port} after {START_TIMEOUT:.0f} s"
    raise RuntimeError(msg)
