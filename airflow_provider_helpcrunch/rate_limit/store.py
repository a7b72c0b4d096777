"""
Contract of a store, which counts the permits of an account.

All stores keep the same data: ``limit`` slots and, for each, the time from which it may be used again. A request
acquires a free slot and releases it when its response is complete; one ``period`` later the slot is free again. So
every slot is used at most once in any ``period`` *as the server sees it*: the server saw the first request before its
response arrived, and sees the second after the slot was acquired, however late the network delivers either of them.
That is the whole proof that no rolling window ever holds more than ``limit`` requests.

A process that dies before the release leaves its slot in use for :data:`LONGEST_FLIGHT` more seconds.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

LONGEST_FLIGHT = 60.0
"""Seconds that a request may be in flight before its slot is given to another one."""

LONGEST_PAUSE = 3600.0
"""Longest pause in seconds after one 429. A stored pause that ends later is from before the clock was set back."""


class Wait(NamedTuple):
    """
    The reason why no slot is free, and the shortest time until one is.

    :param seconds: from now; no slot is free any sooner, whatever is released in the meantime
    :param paused: whether a 429 paused everyone; otherwise all slots are in use
    :param unknown: whether the slots count as in use because the store does not know the last period (``False``)
    """

    seconds: float
    paused: bool
    unknown: bool = False


class Unreachable(NamedTuple):
    """
    The store cannot be used now.

    :param reason: the cause, and the address of the store; a sentence for the user
    :param lasting: whether waiting is useless, because somebody has to act first (``False``)
    """

    reason: str
    lasting: bool = False


class Store(Protocol):
    """Slots of an account. Every method may be called from any thread."""

    def acquire(self) -> int | Wait | Unreachable:
        """Acquire a free slot and return it, or the wait until one may be free at the earliest."""

    def release(self, slot: int) -> None:
        """Start the slot's period: the response is complete. Never raises because the store is unreachable."""

    def pause(self, seconds: float) -> None:
        """Pause everyone who shares the store for ``seconds``. Never raises because the store is unreachable."""

    def wait_time(self, slots: int) -> float | Unreachable:
        """Return the seconds until ``slots`` slots are free, if nobody acquires them; 0.0 when they are now."""

    def close(self) -> None:
        """Release the store's resources."""
