"""Everything a sandbox knows, apart from how it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox.account import Account
from airflow_provider_helpcrunch.sandbox.faults import Fault, FaultPlan
from airflow_provider_helpcrunch.sandbox.journal import Journal
from airflow_provider_helpcrunch.sandbox.limit import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_helpcrunch.sandbox.settings import Settings


class State:
    """
    The account, its rate limit, the faults to come and the requests so far.

    :param settings: the switches
    :param faults: the faults it starts with, and returns to
    """

    def __init__(self, settings: Settings, faults: Iterable[Fault] = ()) -> None:
        self.settings = settings
        self.journal = Journal()
        self._faults = tuple(faults)
        self.reset()

    def reset(self) -> None:
        """Go back to the start: data, faults with fresh counts, an empty window, an empty journal."""
        settings = self.settings
        self.account = Account(agents=settings.agents, departments=settings.departments, seed=settings.seed)
        self.limit = SlidingWindow(settings.rate_limit, settings.window)
        self.faults = FaultPlan(self._faults)
        self.journal.clear()
