"""Progress store: results in Airflow's task state store (3.3 and newer), where they survive a killed worker."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.results import Result
from airflow_provider_helpcrunch.exceptions import HelpCrunchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_helpcrunch.chats.results import Results

log = logging.getLogger(__name__)

CHUNK = 100
"""Results per key of the store. Each new result rewrites its chunk, so this bounds the size of a write."""

DOUBTS = "doubts"
"""Last part of the key of the changes that may have been made."""


class ProgressStore:
    """
    Keeps the results of a task instance.

    :param store: the task's ``task_state_store``, with ``get``, ``set`` and ``delete``; ``None`` if Airflow has none
    :param fingerprint: hash of the work, part of the keys: results of other work are not found
    :param must_work: whether the task stops when the store fails, instead of going on without it (``False``)
    """

    def __init__(self, store: Any, fingerprint: str, *, must_work: bool = False) -> None:
        self._fingerprint = fingerprint
        self._store = store
        self._must_work = must_work
        self._saved = 0
        self._holds = False

    @property
    def is_open(self) -> bool:
        """Whether the store works, and therefore has all results."""
        return self._store is not None

    def load(self) -> list[Result]:
        """Return the stored results of the task instance."""
        kept: list[Any] = []
        with self._guarded():
            while self._store is not None and (chunk := self._store.get(self._key(len(kept) // CHUNK))):
                kept += chunk
                if len(chunk) < CHUNK:
                    break
        self._saved = len(kept)
        return [Result(*values) for values in kept]

    def save(self, results: Results) -> None:
        """
        Store the results that are not stored yet, usually the latest alone.

        :param results: all results, the latest last
        """
        if self._store is None:
            return
        with self._guarded():
            for start in range(self._saved - self._saved % CHUNK, len(results), CHUNK):
                chunk = results[start : start + CHUNK]
                self._store.set(self._key(start // CHUNK), [list(result) for result in chunk])
                self._saved = start + len(chunk)

    def hold(self, doubts: Sequence[Result]) -> None:
        """
        Keep the changes that are about to be made, or may have been made: they outlive a killed worker.

        :param doubts: all of them; those that have a result as well are not kept twice. They hold until the next result
            is stored, or the next call
        """
        if self._store is None or not (doubts or self._holds):
            return
        with self._guarded():
            self._holds = bool(doubts)
            held = {
                "results": self._saved,
                "doubts": [list(doubt) for doubt in doubts if doubt.error is None],
            }
            self._store.set(self._key(DOUBTS), held)

    def held(self) -> list[Result]:
        """Return the changes that a killed worker may have made; call :meth:`load` first."""
        held: Any = None
        with self._guarded():
            held = self._store.get(self._key(DOUBTS)) if self._store is not None else None
        if not held or held["results"] != self._saved:
            return []
        self._holds = True
        return [Result(*values) for values in held["doubts"]]

    def clear(self, results: Results) -> None:
        """
        Delete all results: the task is done, and if somebody runs it again, it starts over.

        :param results: all results
        """
        with self._guarded():
            for number in range(len(results) // CHUNK + 1) if self._store is not None else ():
                self._store.delete(self._key(number))
            if self._store is not None:
                self._store.delete(self._key(DOUBTS))

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """
        Continue without the store when it fails: the changes are made in any case, and must not be reported as failed.

        Stop when Airflow itself is gone: a task without a supervisor would work at the same time as its own retry. Stop
        too where going on could repeat what must not be repeated.
        """
        try:
            yield
        except (EOFError, ConnectionError) as error:
            msg = "Airflow no longer responds to this task, so it stops; a retry continues after the last change."
            raise HelpCrunchError(msg) from error
        except Exception as error:
            if self._must_work:
                msg = (
                    f"Airflow's state store cannot be used ({error}), so the task stops: without it a note could be "
                    "sent twice. A retry continues after the last change."
                )
                raise HelpCrunchError(msg) from error
            log.warning("Airflow's state store cannot be used, so a retry would start over: %s", error)
            self._store = None

    def _key(self, part: int | str) -> str:
        return f"helpcrunch_{self._fingerprint}_{part}"
