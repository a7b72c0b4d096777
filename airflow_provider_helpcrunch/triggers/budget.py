"""Trigger that waits for the account's rate limit without a worker slot."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class BudgetTrigger(BaseTrigger):
    """
    Waits until a moment, then returns the task's state to it.

    The state travels in the event, because ``dag.test()`` keeps nothing else of a deferral.

    :param until: the moment, in UNIX seconds
    :param state: the state of the task, as plain JSON
    """

    def __init__(self, until: float, state: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until
        self.state = state

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the import path of the class and its arguments, from which Airflow rebuilds the trigger."""
        path = "airflow_provider_helpcrunch.triggers.budget.BudgetTrigger"
        return path, {"until": self.until, "state": self.state}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one event with the state."""
        # Wall-clock time means the same on every machine, and after a restart of the triggerer.
        await asyncio.sleep(max(self.until - time.time(), 0.0))
        # No permit is acquired here: until the task starts on a worker, it would be lost to all others.
        yield TriggerEvent(self.state)  # type: ignore[no-untyped-call]
