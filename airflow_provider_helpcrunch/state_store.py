"""State store: Airflow's task state store (3.3 and newer), without which the work goes on where that is harmless."""

from __future__ import annotations

import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

FOR_EVER = timedelta.max
"""Airflow's ``NEVER_EXPIRE``. By default, its cleanup takes each entry 30 days after it was set, so the first would be
gone while the task goes on. What is kept for ever goes with its DAG run."""

WORK = "work"
"""Last part of the key of the work that the other values are of."""


class StateStore:
    """
    Keeps values of a task instance, where they survive a killed worker.

    A list of values has the numbers from 0 on as the last parts of its keys; values of their own have names.

    :param store: the task's ``task_state_store``, with ``get``, ``set`` and ``delete``; ``None`` if Airflow has none
    :param fingerprint: hash of the work that the values are of; see :meth:`begin`
    :param names: names of the values that are not in the list. Default: none
    :param without: what a retry does without the store, for the log
    :param needed_because: why the task stops when the store fails. Default: it goes on without it
    """

    def __init__(
        self,
        store: Any,
        fingerprint: str,
        *names: str,
        without: str,
        needed_because: str | None = None,
    ) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._names = names
        self._without = without
        self._needed_because = needed_because

    @property
    def is_open(self) -> bool:
        """Whether the store works, and therefore has all that was set."""
        return self._store is not None

    def begin(self) -> list[Any]:
        """
        Return the list that earlier tries have kept; if it is of other work, delete everything, and return no value.

        Other work may have been done since on the same records. If somebody goes back to the first work, as with a plan
        that was replaced for a while, what was kept of it would no longer be true.

        :raises HelpCrunchError: Airflow is gone, or the store is needed and fails
        """
        kept: list[Any] = []
        while value := self.get(len(kept)):
            kept.append(value)
        if self.get(WORK) == self._fingerprint:
            return kept
        self.delete(WORK)
        self._delete_values(len(kept))
        self.set(WORK, self._fingerprint)
        return []

    def clear(self, count: int) -> None:
        """
        Delete everything: the task is done.

        :param count: length of the list
        :raises HelpCrunchError: Airflow is gone, or the store is needed and fails
        """
        self.delete(WORK)
        # What is left from here on is nobody's. A retry because of it would do all the work again.
        self._needed_because = None
        self._delete_values(count)

    def _delete_values(self, count: int) -> None:
        # The last one first: where this is interrupted, the next one to begin finds the rest.
        parts: list[int | str] = [*reversed(range(count)), *self._names]
        for part in parts:
            self.delete(part)

    def get(self, part: int | str) -> Any:
        """
        Return a value; ``None`` if there is none.

        :param part: last part of its key
        :raises HelpCrunchError: Airflow is gone, or the store is needed and fails
        """
        value = None
        with self._guarded():
            if self._store is not None:
                value = self._store.get(self._key(part))
        return value

    def set(self, part: int | str, value: Any) -> None:
        """
        Keep a value.

        :param part: last part of its key
        :param value: plain JSON
        :raises HelpCrunchError: Airflow is gone, or the store is needed and fails
        """
        with self._guarded():
            if self._store is not None:
                self._store.set(self._key(part), value, retention=FOR_EVER)

    def delete(self, part: int | str) -> None:
        """
        Delete a value, if there is one.

        :param part: last part of its key
        :raises HelpCrunchError: Airflow is gone, or the store is needed and fails
        """
        with self._guarded():
            if self._store is not None:
                self._store.delete(self._key(part))

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """
        Continue without the store when it fails: what was written to HelpCrunch must not be reported as failed.

        Stop when Airflow itself is gone: a task without a supervisor would work at the same time as its own retry. Stop
        too where going on could repeat what must not be repeated.
        """
        try:
            yield
        except (EOFError, ConnectionError) as error:
            msg = "Airflow no longer responds to this task, so it stops; a retry continues after the last change."
            raise HelpCrunchError(msg) from error
        except Exception as error:
            if self._needed_because is not None:
                msg = (
                    f"Airflow's state store cannot be used ({error}), so the task stops: {self._needed_because}. A "
                    "retry continues after the last change."
                )
                raise HelpCrunchError(msg) from error
            log.warning("Airflow's state store cannot be used, so a retry would %s: %s", self._without, error)
            self._store = None

    def _key(self, part: int | str) -> str:
        return f"helpcrunch_{part}"
