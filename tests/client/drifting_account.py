"""An account in memory whose list changes between any two answers, for tests of the walk alone."""

from __future__ import annotations

import random
import threading
import time
from bisect import insort
from collections.abc import Callable, Sequence

from airflow_provider_helpcrunch.client.pages import Page


class DriftingAccount:
    """
    A list of record ids in a stable order (by hidden rank), changed after every answer.

    :param size: records at the beginning
    :param changes: how many changes follow the n-th answer (the last number goes on for ever)
    :param rng: where they happen
    :param total: what the account says its total is, given the true one
    """

    def __init__(
        self,
        size: int,
        changes: Sequence[int],
        rng: random.Random,
        total: Callable[[int], int | None] = lambda true: true,
    ) -> None:
        self._rng = rng
        self._changes = list(changes) or [0]
        self._total = total
        self._lock = threading.Lock()
        self.rows = sorted((rng.random(), rng.getrandbits(62)) for _ in range(size))
        self.throughout = {number for _, number in self.rows}
        self.requests = 0

    def fetch(self, offset: int, limit: int, _: threading.Event, *, probe: bool = False) -> Page:
        """Answer one request, then change. Requests in flight together are answered in any order."""
        time.sleep(random.random() * 0.0002)
        with self._lock:
            self.requests += 1
            ids = [number for _, number in self.rows[offset : offset + limit]]
            page = Page([{"id": number} for number in ids], ids, self._total(len(self.rows)), offset)
            for _change in range(self._changes[min(self.requests, len(self._changes)) - 1]):
                self._change()
        if not probe:
            page.refuse_empty()
        return page

    def _change(self) -> None:
        front = self._rng.random() < 0.5
        if self.rows and self._rng.random() < 0.5:
            place = self._rng.randrange(min(20, len(self.rows)) if front else len(self.rows))
            self.throughout.discard(self.rows.pop(place)[1])
        else:
            insort(self.rows, (self._rng.random() * (0.01 if front else 1), self._rng.getrandbits(62)))
