"""What a task has done so far: kept across deferrals and, on Airflow 3.3 and newer, across a killed worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.chats.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

CHUNK = 100
"""Outcomes under one key of the state store: each new one writes its chunk anew."""


class Ledger:
    """
    The outcomes of a task instance, in order.

    :param store: the task's ``task_state_store``; ``None`` where Airflow has none
    :param job: stands for what the task is to do: what an earlier try noted for something else is not found
    """

    def __init__(self, store: Any, job: str) -> None:
        self.outcomes: list[Outcome] = []
        self.earlier = 0
        """How many of them are from earlier tries."""
        self._store = store
        self._job = job

    def load(self) -> None:
        """Read what earlier tries of the task instance noted."""
        noted: list[Any] = []
        while self._store is not None and (chunk := self._store.get(self._key(len(noted) // CHUNK))):
            noted += chunk
            if len(chunk) < CHUNK:
                break
        self.resume(noted, len(noted))

    def resume(self, noted: Iterable[Iterable[Any]], earlier: int) -> None:
        """
        Take over what the task carried through a deferral.

        :param noted: the outcomes, as lists
        :param earlier: how many of them are from earlier tries
        """
        self.outcomes = [Outcome(*values) for values in noted]
        self.earlier = earlier

    def add(self, outcome: Outcome) -> None:
        """Take note of an outcome."""
        self.outcomes.append(outcome)
        if self._store is None:
            return
        number = (len(self.outcomes) - 1) // CHUNK
        chunk = [list(noted) for noted in self.outcomes[number * CHUNK :]]
        try:
            self._store.set(self._key(number), chunk)
        except Exception as error:
            # The change is made and must not be reported as failed; a retry would only make some changes once more.
            log.warning("Airflow's state store cannot be written, so a retry would start over: %s", error)
            self._store = None

    def close(self) -> None:
        """Forget everything: the task is done, and when somebody runs it once more it is to start over."""
        for number in range(len(self.outcomes) // CHUNK + 1) if self._store is not None else ():
            self._store.delete(self._key(number))

    def _key(self, number: int) -> str:
        return f"helpcrunch_{self._job}_{number}"
