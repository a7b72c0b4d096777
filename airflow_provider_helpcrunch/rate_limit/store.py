"""
The contract of a store: where an account's permits are counted.

All stores keep the same thing: ``limit`` slots and, for each, the time from which it may be used again. A request
acquires a free slot, and when its response is there the slot is free again one ``period`` later. So every slot is used
at most once in any ``period`` *as the server sees it*: the server saw the first request before its response arrived,
and sees the second after the slot was acquired, however late the network delivers either of them. That is the whole
proof that no rolling window ever holds more than ``limit`` requests.

A process that dies between the two leaves its slot in use for :data:`LONGEST_FLIGHT` more seconds.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

LONGEST_FLIGHT = 60.0
"""Seconds that a request may be under way before its slot is given to another one."""

LONGEST_PAUSE = 3600.0
"""Seconds for which one 429 can stop everyone; also how far a stored time is believed after the clock was set back."""


class Wait(NamedTuple):
    """
    The reason why no slot is free, and the shortest time until one is.

    :param seconds: from now; no slot is free any sooner, whatever is released meanwhile
    :param paused: whether a 429 stopped everyone; otherwise the slots are all in use
    :param unknown: whether the slots count as in use because the store knows nothing of the last period
    """

    seconds: float
    paused: bool
    unknown: bool = False


class Unreachable(NamedTuple):
    """
    The store cannot be used now.

    :param reason: why, and where the store is; a sentence for the user
    :param lasting: whether it stays so until somebody acts, so that there is nothing to wait for
    """

    reason: str
    lasting: bool = False


class Store(Protocol):
    """Slots of an account. Every method may be called from any thread."""

    def acquire(self) -> int | Wait | Unreachable:
        """Acquire a free slot and return it, or the wait until one may be free at the earliest."""

    def release(self, slot: int) -> None:
        """Start the slot's period: the response is there. Never raises because the store is unreachable."""

    def pause(self, seconds: float) -> None:
        """Stop everyone who shares the store for ``seconds``. Never raises because the store is unreachable."""

    def wait_time(self, slots: int) -> float | Unreachable:
        """Return the seconds until ``slots`` slots are free, if nobody acquires them; 0.0 when they are now."""

    def close(self) -> None:
        """Release the store's resources."""
