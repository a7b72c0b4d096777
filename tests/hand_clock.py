"""A clock to move by hand, and stores that go by it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore
from airflow_provider_helpcrunch.rate_limit.store import Store


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def store_of(kind: str, limit: int, folder: Path, clock: Clock) -> Iterator[Store]:
    """
    Yield a store with a window of ten seconds, and close it.

    :param kind: ``memory`` or ``sqlite``
    :param limit: requests in a window
    :param folder: where the file of SQLite lies
    :param clock: the clock
    """
    if kind == "memory":
        yield MemoryStore(limit, 10.0, clock)
        return
    with contextlib.closing(SQLiteStore(folder / "budget", limit, 10.0, clock)) as store:
        yield store
