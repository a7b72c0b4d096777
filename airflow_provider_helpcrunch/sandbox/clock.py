"""The clock of the account: the moment its first chats lead up to, and the time of each change after it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Now: TypeAlias = datetime | float | str
SECOND = 1_000
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
# 1 January 2000: there is room for three million chats after 1970.
EARLIEST = 946_684_800


def milliseconds(now: Now) -> int:
    """
    Return a moment in UNIX milliseconds, rounded down to a whole second.

    :param now: a ``datetime``, ISO 8601 text or UNIX seconds; in UTC where it has no offset
    :raises ValueError: it is no such moment, or lies before the year 2000
    """
    try:
        seconds = _seconds(now)
    except (ValueError, TypeError, OverflowError):
        seconds = 0
    if seconds < EARLIEST:
        message = f"now must be ISO 8601 or UNIX seconds, from the year 2000 on, such as 2026-01-31T08:00, not {now!r}"
        raise ValueError(message)
    return seconds * SECOND


def _seconds(now: Now) -> int:
    if isinstance(now, str) and not re.fullmatch(r"[0-9]{9,11}(\.[0-9]+)?", now, re.ASCII):
        now = datetime.fromisoformat(now)
    if isinstance(now, datetime):
        now = (now if now.tzinfo else now.replace(tzinfo=UTC)).timestamp()
    # A year of four digits, as all that reads the account's times expects.
    return int(datetime.fromtimestamp(float(now), UTC).timestamp())


def machine_time() -> int:
    """Return the time of this machine in UNIX milliseconds."""
    return time.time_ns() // 1_000_000


class Clock:
    """
    The account's clock: one that runs, or one that stands still but for a second with each change.

    Not thread-safe: the account it belongs to has a lock.

    :param start: where it starts, in UNIX milliseconds
    :param running: tells the time in UNIX milliseconds; ``None``: it stands still
    """

    def __init__(self, start: int, running: Callable[[], int] | None) -> None:
        self.start = start
        self._now = start
        self._running = running
        self._ahead = 0

    @property
    def now(self) -> int:
        """The time, in UNIX milliseconds."""
        return max(self._now, self._running() + self._ahead) if self._running else self._now

    def advance(self, milliseconds: int) -> None:
        """Let time pass at once."""
        self._now = self.now + milliseconds
        self._ahead += milliseconds if self._running else 0

    def tick(self) -> int:
        """Return the time of a change, in UNIX milliseconds: later than that of any other."""
        if self._running:
            self._now = max(self._now + 1, self._running() + self._ahead)
        else:
            self._now += SECOND
        return self._now
