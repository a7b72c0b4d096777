"""Store of one process: all its threads share the slots."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.forks import renew_after_fork
from airflow_provider_helpcrunch.rate_limit.store import LONGEST_FLIGHT, LONGEST_PAUSE, Wait

if TYPE_CHECKING:
    from collections.abc import Callable


class _Slots:
    """The slots that the memory stores of one account share."""

    def __init__(self) -> None:
        self.free_at: list[float] = []
        self.paused_until = 0.0
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock: a thread of the parent may hold it."""
        self.lock = threading.Lock()


class MemoryStore:
    """
    A store in the memory of this process.

    A forked process begins with a copy of its parent's count; from then on, each counts its own requests.

    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    :param clock: seconds since any fixed moment (``time.monotonic``)
    :param slots: the slots of an account, shared with other stores. Default: new ones
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
        """
        Return a store whose slots all threads of this process share.

        :param name: names the account without showing its key
        :param limit: requests in any ``period``
        :param period: length of the window in seconds
        """
        return cls(limit, period, slots=cls._accounts.setdefault(name, _Slots()))

    def acquire(self) -> int | Wait:
        """Acquire a free slot (see :class:`.store.Store`)."""
        slots = self._slots
        with slots.lock:
            now = self._clock()
            if slots.paused_until > now:
                return Wait(slots.paused_until - now, paused=True)
            mine = slots.free_at[: self._limit]
            free_at = min(mine)
            if free_at > now:
                # A slot in use may be released at any moment, and be free one period later.
                return Wait(min(free_at - now, self._period), paused=False)
            slot = mine.index(free_at)
            # In use until its release; this time counts only if a thread dies before that.
            slots.free_at[slot] = now + LONGEST_FLIGHT + self._period
            return slot

    def release(self, slot: int) -> None:
        """Start the slot's period (see :class:`.store.Store`)."""
        with self._slots.lock:
            self._slots.free_at[slot] = self._clock() + self._period

    def pause(self, seconds: float) -> None:
        """Pause every thread (see :class:`.store.Store`)."""
        with self._slots.lock:
            until = self._clock() + min(seconds, LONGEST_PAUSE)
            self._slots.paused_until = max(self._slots.paused_until, until)

    def wait_time(self, slots: int) -> float:
        """Return the seconds until ``slots`` slots are free (see :class:`.store.Store`)."""
        with self._slots.lock:
            free_at: float = sorted(self._slots.free_at[: self._limit])[slots - 1]
            return max(0.0, max(free_at, self._slots.paused_until) - self._clock())

    def close(self) -> None:
        """Do nothing: other clients of the process may share the slots."""
