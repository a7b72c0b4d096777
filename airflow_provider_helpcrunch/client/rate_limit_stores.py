"""
Where the account's request budget is kept: what all stores promise, and the store of one process.

:mod:`.rate_limit_sqlite` serves one machine, :mod:`.rate_limit_redis` many. All of them keep the same thing:
``limit`` slots and, for each, the time from which it may be used again. A request takes a free slot, and when its
answer is there the slot is free again one ``period`` later. So every slot is used at most once in any ``period``
*as the server sees it*: the server saw the first request before its answer arrived and sees the second after the
slot was taken, however late the network delivers either of them. That is the whole proof that no rolling window
ever holds more than ``limit`` requests.

A process that dies between the two leaves its slot taken for :data:`LONGEST_FLIGHT` more seconds.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from airflow_provider_helpcrunch.client.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_FLIGHT = 60.0
"""Seconds that a request may be under way before its slot is given to another one."""

LONGEST_PAUSE = 3600.0
"""Seconds for which one 429 can stop everyone; also how far a stored time is believed after the clock was set back."""


class Wait(NamedTuple):
    """
    Why no slot is free, and how long that will last at least.

    :param seconds: from now; no slot is free any sooner, whatever is settled meanwhile
    :param paused: whether a 429 stopped everyone; else the slots are all in use
    :param unknown: whether the slots count as in use because the store knows nothing of the last period
    """

    seconds: float
    paused: bool
    unknown: bool = False


class Away(NamedTuple):
    """
    The store does not answer.

    :param reason: why, and where
    :param lasting: whether it will not without somebody's help
    """

    reason: str
    lasting: bool = False


class Store(Protocol):
    """What a budget needs from its store. Every method is safe to call from any thread."""

    def take(self) -> int | Wait | Away:
        """Take a free slot and return it, or the wait until one may be free at the earliest."""

    def settle(self, slot: int) -> None:
        """Say that the answer to the request in ``slot`` is there. Never fails because the store is away."""

    def pause(self, seconds: float) -> None:
        """Stop everyone who shares the store for ``seconds``. Never fails because the store is away."""

    def wait(self, slots: int) -> float | Away:
        """Return the seconds until so many slots are free, if nobody takes them; 0.0 when they are now."""

    def close(self) -> None:
        """Give up what the store holds open."""


class _Slots:
    """What the memory stores of one account share."""

    def __init__(self) -> None:
        self.free_at: list[float] = []
        self.paused_until = 0.0
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Take a new lock: a thread of the parent may hold the old one."""
        self.lock = threading.Lock()


class MemoryStore:
    """
    The budget of one process; all its threads share it.

    A forked process begins with a copy of its parent's count, and from then on each counts its own requests.

    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    :param clock: seconds since any fixed moment
    :param slots: the slots of an account that other stores use too
    """

    _accounts: dict[str, _Slots] = {}  # noqa: RUF012

    def __init__(
        self,
        limit: int,
        period: float,
        clock: Callable[[], float] = time.monotonic,
        slots: _Slots | None = None,
    ) -> None:
        self._limit = limit
        self._period = period
        self._clock = clock
        self._slots = slots or _Slots()
        with self._slots.lock:
            self._slots.free_at += [0.0] * (limit - len(self._slots.free_at))

    @classmethod
    def shared(cls, name: str, limit: int, period: float) -> MemoryStore:
        """Return a store of the account ``name``, which all threads of this process share."""
        return cls(limit, period, slots=cls._accounts.setdefault(name, _Slots()))

    def take(self) -> int | Wait:
        """Take a free slot (see :class:`Store`)."""
        slots = self._slots
        with slots.lock:
            now = self._clock()
            if slots.paused_until > now:
                return Wait(slots.paused_until - now, paused=True)
            mine = slots.free_at[: self._limit]
            free_at = min(mine)
            if free_at > now:
                return Wait(min(free_at - now, self._period), paused=False)
            slot = mine.index(free_at)
            slots.free_at[slot] = now + LONGEST_FLIGHT + self._period
            return slot

    def settle(self, slot: int) -> None:
        """Start the slot's period (see :class:`Store`)."""
        with self._slots.lock:
            self._slots.free_at[slot] = self._clock() + self._period

    def pause(self, seconds: float) -> None:
        """Stop every thread (see :class:`Store`)."""
        with self._slots.lock:
            until = self._clock() + min(seconds, LONGEST_PAUSE)
            self._slots.paused_until = max(self._slots.paused_until, until)

    def wait(self, slots: int) -> float:
        """Return the seconds until so many slots are free (see :class:`Store`)."""
        with self._slots.lock:
            free_at: float = sorted(self._slots.free_at[: self._limit])[slots - 1]
            return max(0.0, max(free_at, self._slots.paused_until) - self._clock())

    def close(self) -> None:
        """Do nothing: other clients of the process may share the slots."""
