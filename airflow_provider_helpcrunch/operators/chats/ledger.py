"""What a task has done so far: kept across deferrals and, on Airflow 3.3 and newer, across a killed worker."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.operators.chats.outcome import FAILURES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        self._job = job
        self._store = store

    @property
    def is_kept(self) -> bool:
        """Whether the store has all outcomes, so that :meth:`load` finds them again."""
        return self._store is not None

    def load(self) -> None:
        """Read what the task instance noted before, as the work of earlier tries."""
        noted: list[Any] = []
        with self._guarded():
            while self._store is not None and (chunk := self._store.get(self._key(len(noted) // CHUNK))):
                noted += chunk
                if len(chunk) < CHUNK:
                    break
        self.outcomes = [Outcome(*values) for values in noted]
        self.earlier = len(noted)

    def standing(self) -> list[Outcome]:
        """Return the outcomes without failures of earlier tries: what is still to be done, this try has met again."""
        return [
            outcome
            for place, outcome in enumerate(self.outcomes)
            if place >= self.earlier or outcome.outcome not in FAILURES
        ]

    def add(self, outcome: Outcome) -> None:
        """Take note of an outcome."""
        self.outcomes.append(outcome)
        if self._store is None:
            return
        number = (len(self.outcomes) - 1) // CHUNK
        chunk = [list(noted) for noted in self.outcomes[number * CHUNK :]]
        with self._guarded():
            self._store.set(self._key(number), chunk)

    def close(self) -> None:
        """Forget everything: the task is done, and when somebody runs it once more it is to start over."""
        with self._guarded():
            for number in range(len(self.outcomes) // CHUNK + 1) if self._store is not None else ():
                self._store.delete(self._key(number))

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """
        Go on without the store when it fails: changes are made all the same, and must not be reported as failed.

        But not without Airflow: a task that nobody supervises any more would work beside its own retry.
        """
        try:
            yield
        except (EOFError, ConnectionError) as error:
            msg = "Airflow does not answer this task any more, so it stops; a retry goes on behind what was done."
            raise HelpCrunchError(msg) from error
        except Exception as error:
            log.warning("Airflow's state store cannot be used, so a retry would start over: %s", error)
            self._store = None

    def _key(self, number: int) -> str:
        return f"helpcrunch_{self._job}_{number}"
