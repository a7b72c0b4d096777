"""Progress store: results in Airflow's task state store (3.3 and newer), where they survive a killed worker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.results import Result
from airflow_provider_helpcrunch.state_store import StateStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch.chats.results import Results

CHUNK = 100
"""Results per key of the store. Each new result rewrites its chunk, so this bounds the size of a write."""

DOUBTS = "doubts"
"""Last part of the key of the changes that may have been made."""


class ProgressStore:
    """
    Keeps the results of a task instance.

    :param store: the task's ``task_state_store``, with ``get``, ``set`` and ``delete``; ``None`` if Airflow has none
    :param fingerprint: hash of the work: results of other work are forgotten
    :param must_work: whether the task stops when the store fails, instead of going on without it (``False``)
    """

    def __init__(self, store: Any, fingerprint: str, *, must_work: bool = False) -> None:
        self._store = StateStore(
            store,
            fingerprint,
            DOUBTS,
            without="start over",
            needed_because="without it a note could be sent twice" if must_work else None,
        )
        self._saved = 0
        self._holds = False

    @property
    def is_open(self) -> bool:
        """Whether the store works, and therefore has all results."""
        return self._store.is_open

    def load(self) -> list[Result]:
        """Return the stored results of the task instance."""
        kept = [Result(*values) for chunk in self._store.begin() for values in chunk]
        self._saved = len(kept)
        return kept

    def save(self, results: Results) -> None:
        """
        Store the results that are not stored yet, usually the latest alone.

        :param results: all results, the latest last
        """
        if not self.is_open:
            return
        for start in range(self._saved - self._saved % CHUNK, len(results), CHUNK):
            chunk = results[start : start + CHUNK]
            self._store.set(start // CHUNK, [list(result) for result in chunk])
            self._saved = start + len(chunk)

    def hold(self, doubts: Sequence[Result]) -> None:
        """
        Keep the changes that are about to be made, or may have been made: they outlive a killed worker.

        :param doubts: all of them; those that have a result as well are not kept twice. Each holds until a result of
            its own is stored, or the next call
        """
        if not self.is_open or not (doubts or self._holds):
            return
        self._holds = bool(doubts)
        held = {
            "results": self._saved,
            "doubts": [list(doubt) for doubt in doubts if doubt.error is None],
        }
        self._store.set(DOUBTS, held)

    def held(self, results: Sequence[Result]) -> list[Result]:
        """
        Return the changes that a killed worker may have made.

        :param results: what :meth:`load` has returned. Those stored since may be of other changes in doubt: the next
            worker may have been killed while it looked at them one by one
        """
        held: Any = self._store.get(DOUBTS)
        if not held:
            return []
        since = {(result.id, result.field) for result in results[held["results"] :]}
        found = [Result(*values) for values in held["doubts"]]
        left = [doubt for doubt in found if (doubt.id, doubt.field) not in since]
        self._holds = bool(left)
        return left

    def clear(self, results: Results) -> None:
        """
        Delete all results: the task is done, and if somebody runs it again, it starts over.

        :param results: all results
        """
        self._store.clear(math.ceil(len(results) / CHUNK))
