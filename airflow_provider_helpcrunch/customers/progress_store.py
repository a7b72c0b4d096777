"""Progress store: outcomes in Airflow's task state store (3.3 and newer), where they survive a killed worker."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.customers.progress import Progress
from airflow_provider_helpcrunch.exceptions import HelpCrunchError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

CHUNK = 500
"""Rows per key of the store. A new outcome rewrites its chunk, so this bounds the size of a write."""


class ProgressStore:
    """
    Keeps the progress of a task instance.

    :param store: the task's ``task_state_store``, with ``get``, ``set`` and ``delete``; ``None`` if Airflow has none
    :param fingerprint: hash of the work, part of the keys: the progress of other work is not found
    """

    def __init__(self, store: Any, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._store = store
        self._chunks = 0

    @property
    def is_open(self) -> bool:
        """Whether the store works, and therefore has all outcomes."""
        return self._store is not None

    def load(self) -> Progress:
        """Return the stored progress of the task instance."""
        chunks: list[Any] = []
        with self._guarded():
            while self._store is not None and (chunk := self._store.get(self._key(len(chunks)))):
                chunks.append(chunk)
        self._chunks = len(chunks)
        return Progress.from_json(*chunks)

    def save(self, progress: Progress) -> None:
        """
        Store the outcomes that are not stored yet.

        :param progress: the progress
        """
        chunks = sorted({(row - 1) // CHUNK for row in progress.unsaved})
        with self._guarded():
            for number in chunks if self._store is not None else ():
                self._store.set(self._key(number), progress.part(number * CHUNK, (number + 1) * CHUNK))
                self._chunks = max(self._chunks, number + 1)
        progress.unsaved.clear()

    def clear(self) -> None:
        """Delete everything: the task is done, and if somebody runs it again, it starts over."""
        with self._guarded():
            for number in range(self._chunks) if self._store is not None else ():
                self._store.delete(self._key(number))

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """
        Continue without the store when it fails: what was written must not be reported as failed.

        Stop when Airflow itself is gone: a task without a supervisor would work at the same time as its own retry.
        """
        try:
            yield
        except (EOFError, ConnectionError) as error:
            msg = (
                "Airflow no longer responds to this task, so it stops; a retry continues after the last row."
            )
            raise HelpCrunchError(msg) from error
        except Exception as error:
            log.warning(
                "Airflow's state store cannot be used, so a retry would compare every row again: %s", error
            )
            self._store = None

    def _key(self, number: int) -> str:
        return f"helpcrunch_{self._fingerprint}_{number}"
