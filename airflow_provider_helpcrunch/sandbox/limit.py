"""The account's rate limit: a sliding window, as strict as the documentation can be read."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """
    At most ``limit`` requests in any rolling window; refused requests do not count.

    Not thread-safe: requests are judged one at a time, see :mod:`~.exchange`.

    :param limit: requests a window, ``None`` for no limit
    :param seconds: length of the window
    """

    def __init__(self, limit: int | None, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._accepted: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Return the seconds until a request is accepted: 0 means at once."""
        while self._accepted and now - self._accepted[0] >= self._seconds:
            self._accepted.popleft()
        if self._limit is None or len(self._accepted) < self._limit:
            return 0.0
        return self._accepted[0] + self._seconds - now

    def spend(self, now: float) -> None:
        """Count a request that was accepted."""
        if self._limit is not None:
            self._accepted.append(now)

    def clear(self) -> None:
        """Forget all requests."""
        self._accepted.clear()
