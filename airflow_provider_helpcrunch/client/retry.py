"""When a failed request is sent again, and when not."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception, wait_exponential, wait_random

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConnectionError,
    HelpCrunchPaginationError,
    HelpCrunchRateLimitError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenacity import RetryCallState

FAULTS = (
    HelpCrunchConnectionError,
    HelpCrunchServerError,
    HelpCrunchResponseError,
    HelpCrunchPaginationError,
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How often and how long one call is repeated.

    A 429 is not a fault: the rate limiter waits it out, for as long as ``patience``.

    :param max_attempts: how often one request may meet a fault (network error, 5xx, unusable answer)
    :param deadline: seconds that failed attempts and the pauses after them may take together
    :param patience: seconds that one call may wait for a permit and for 429s
    :param first_pause: seconds before the second attempt; doubles each time, with jitter
    :param longest_pause: seconds at most between two attempts
    """

    max_attempts: int = 6
    deadline: float = 60.0
    patience: float = 600.0
    first_pause: float = 0.5
    longest_pause: float = 20.0


class Attempts:
    """
    The attempts of one call.

    :param policy: how many and how long
    :param idempotent: whether the request may safely reach the server twice (GET, searches, PUTs that set a value)
    """

    def __init__(self, policy: RetryPolicy, *, idempotent: bool) -> None:
        self.sent = 0
        self._policy = policy
        self._idempotent = idempotent
        self._faults = 0
        self._failing = 0.0
        self._refusals: list[HelpCrunchRateLimitError] = []
        self._started = time.monotonic()
        self._pause_after_fault = wait_exponential(
            multiplier=policy.first_pause, max=policy.longest_pause
        ) + wait_random(0, policy.first_pause)

    @property
    def max_wait(self) -> float:
        """Seconds that the call may still wait for a permit."""
        return self._policy.patience - (time.monotonic() - self._started)

    @property
    def time_left(self) -> float:
        """Seconds that the next attempt may take: no bound on the first, then what is left of the deadline."""
        return max(self._policy.deadline - self._failing, 1.0) if self._faults else math.inf

    def retrying(self, sleep: Callable[[float], None], tell: Callable[[RetryCallState], None]) -> Retrying:
        """
        Return the tenacity controller of this call.

        :param sleep: how to wait
        :param tell: called before each wait
        """
        return Retrying(
            retry=retry_if_exception(self._worth_another),
            stop=lambda _: (
                self._faults >= self._policy.max_attempts or self._failing >= self._policy.deadline
            ),
            wait=self._pause,
            sleep=sleep,
            before_sleep=tell,
            reraise=True,
        )

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Count one attempt and, when it ends in a fault, the time it took."""
        self.sent += 1
        started = time.monotonic()
        try:
            yield
        except FAULTS as error:
            # A page that contradicts itself rarely mends itself: half as many tries.
            self._faults += 2 if isinstance(error, HelpCrunchPaginationError) else 1
            self._failing += time.monotonic() - started
            raise

    def _worth_another(self, error: BaseException) -> bool:
        if isinstance(error, HelpCrunchRateLimitError):
            return error.status_code is not None  # without one, the patience is at an end
        if isinstance(error, HelpCrunchConnectionError) and not error.connected:
            return True
        return self._idempotent and isinstance(error, FAULTS)

    def _pause(self, state: RetryCallState) -> float:
        if self._faults == 0 or (
            state.outcome and isinstance(state.outcome.exception(), HelpCrunchRateLimitError)
        ):
            return 0.0
        pause = self._pause_after_fault(state)
        self._failing += pause
        return pause

    def refused(self, refusal: HelpCrunchRateLimitError) -> float | None:
        """
        Take note of a 429 and return the seconds for which all must stop; ``None`` means: until the window has passed.

        ``Retry-After`` is believed, but not for ever: a call refused again and again waits longer each time.
        """
        self._refusals.append(refusal)
        asked = refusal.retry_after
        return None if asked is None else max(asked, 2.0 ** (len(self._refusals) - 1))

    def out_of_patience(
        self, error: HelpCrunchRateLimitError, method: str, path: str
    ) -> HelpCrunchRateLimitError:
        """Return the error that ends the call, with what HelpCrunch said to it and how long it took."""
        refusals = self._refusals
        times = "once" if len(refusals) == 1 else f"{len(refusals)} times"
        waited = time.monotonic() - self._started
        refused = (
            f" HelpCrunch answered 429 to this call {times}; it waited {waited:.0f} s in all."
            if refusals
            else ""
        )
        return HelpCrunchRateLimitError(
            f"{method} {path}: {error}{refused}",
            waited=waited,
            retry_after=error.retry_after,
            status_code=429 if refusals else None,
            errors=refusals[-1].errors if refusals else (),
            method=method,
            path=path,
            attempts=self.sent,
        )
