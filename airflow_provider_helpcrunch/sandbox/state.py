"""Everything a sandbox knows, apart from how it is served."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox.account import Account
from airflow_provider_helpcrunch.sandbox.chat_data import Cast
from airflow_provider_helpcrunch.sandbox.chat_shape import ChatShape
from airflow_provider_helpcrunch.sandbox.chats import Chats
from airflow_provider_helpcrunch.sandbox.clock import Clock, milliseconds
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
        # Once, so that a reset brings back the same chats.
        self._start = milliseconds(time.time() if settings.now is None else settings.now)
        self.reset()

    def reset(self) -> None:
        """Go back to the start: data, faults with fresh counts, an empty window, an empty journal."""
        settings = self.settings
        self.account = _account(settings, Clock(self._start, runs=settings.now is None))
        self.limit = SlidingWindow(settings.rate_limit, settings.window)
        self.faults = FaultPlan(self._faults)
        self.journal.clear()


def _account(settings: Settings, clock: Clock) -> Account:
    seed, agents, departments = settings.seed, settings.agents, settings.departments
    # Two customers for three chats: some come again. A few without a chat can be given one.
    customers = 10 + settings.chats * 2 // 3
    cast = Cast(seed, agents, departments, customers, settings.chats, clock.start)
    shape = ChatShape(seed, settings.timestamps, settings.on_hold, settings.chat_shape)
    chats = Chats(cast, clock, shape)
    return Account(agents=agents, departments=departments, seed=seed, chats=chats)
