"""Progress store: outcomes in Airflow's task state store (3.3 and newer), where they survive a killed worker."""

from __future__ import annotations

from typing import Any

from airflow_provider_helpcrunch.customers.progress import OPEN, Progress
from airflow_provider_helpcrunch.state_store import StateStore

CHUNK = 500
"""Rows per key of the store. A new outcome rewrites its chunk, so this bounds the size of a write."""


class ProgressStore:
    """
    Keeps the progress of a task instance.

    :param store: the task's ``task_state_store``, with ``get``, ``set`` and ``delete``; ``None`` if Airflow has none
    :param fingerprint: hash of the work: the progress of other work is forgotten
    """

    def __init__(self, store: Any, fingerprint: str) -> None:
        self._store = StateStore(store, fingerprint, without="compare every row again")
        self._chunks = 0

    @property
    def is_open(self) -> bool:
        """Whether the store works, and therefore has all outcomes."""
        return self._store.is_open

    def load(self) -> Progress:
        """Return the stored progress of the task instance."""
        # The last rows of a chunk may have had no outcome when it was stored, and must not give their places to later
        # ones.
        chunks = [
            {**chunk, "outcomes": chunk["outcomes"].ljust(CHUNK, OPEN)} for chunk in self._store.begin()
        ]
        self._chunks = len(chunks)
        return Progress.from_json(*chunks)

    def save(self, progress: Progress) -> None:
        """
        Store the outcomes that are not stored yet.

        :param progress: the progress
        """
        for number in sorted({(row - 1) // CHUNK for row in progress.unsaved}) if self.is_open else ():
            self._store.set(number, progress.part(number * CHUNK, (number + 1) * CHUNK))
            self._chunks = max(self._chunks, number + 1)
        progress.unsaved.clear()

    def clear(self) -> None:
        """Delete everything: the task is done, and if somebody runs it again, it starts over."""
        self._store.clear(self._chunks)
