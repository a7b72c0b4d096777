"""Retries: the policy for them, and the attempts of one call."""

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
from airflow_provider_helpcrunch.plurals import duration

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
    Limits of how often and how long one call is retried.

    A 429 is not a fault: the rate limiter waits it out, for up to ``patience``. A 5xx with ``Retry-After`` is retried
    no earlier than that, if the deadline allows it.

    :param max_attempts: most attempts that may end in a fault: network error, 5xx, unusable response (6)
    :param deadline: most seconds that failed attempts and the pauses after them may take together (60)
    :param patience: longest time in seconds that one call may wait for the account's rate limit and for 429s (600)
    :param first_pause: seconds before the second attempt; doubles each time, with jitter (0.5)
    :param longest_pause: most seconds between two attempts (20)
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

    def retrying(self, sleep: Callable[[float], None], log: Callable[[RetryCallState], None]) -> Retrying:
        """
        Return the tenacity controller of this call.

        :param sleep: how to wait
        :param log: called before each wait
        """
        return Retrying(
            retry=retry_if_exception(self._worth_another),
            stop=lambda _: (
                self._faults >= self._policy.max_attempts or self._failing >= self._policy.deadline
            ),
            wait=self._pause,
            sleep=sleep,
            before_sleep=log,
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
            # A page that contradicts itself is rarely better on a retry: half as many attempts.
            self._faults += 2 if isinstance(error, HelpCrunchPaginationError) else 1
            self._failing += time.monotonic() - started
            raise

    def _worth_another(self, error: BaseException) -> bool:
        if isinstance(error, HelpCrunchRateLimitError):
            return error.status_code is not None  # without one, it is the limiter's own: max wait is used up
        if isinstance(error, HelpCrunchConnectionError) and not error.connected:
            return True  # HelpCrunch cannot have seen the request, so even one that is not idempotent is safe
        return self._idempotent and isinstance(error, FAULTS)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        # After a 429 the next permit is the pause: the limiter hands none out until it is over.
        if self._faults == 0 or isinstance(error, HelpCrunchRateLimitError):
            return 0.0
        pause = self._pause_after_fault(state)
        asked = (isinstance(error, HelpCrunchServerError) and error.retry_after) or 0.0
        # A wait that the deadline has no room for would end the call; without the wait, it may still succeed.
        if asked < self._policy.deadline - self._failing:
            pause = max(pause, asked)
        self._failing += pause
        return pause

    def refused(self, refusal: HelpCrunchRateLimitError) -> float | None:
        """
        Record a 429 and return for how many seconds all requests must pause; ``None``: until the window has passed.

        ``Retry-After`` alone could keep a call in a loop, so a call that is refused repeatedly waits longer each time.

        :param refusal: the 429
        """
        self._refusals.append(refusal)
        asked = refusal.retry_after
        return None if asked is None else max(asked, 2.0 ** (len(self._refusals) - 1))

    def out_of_patience(
        self, error: HelpCrunchRateLimitError, method: str, path: str
    ) -> HelpCrunchRateLimitError:
        """Return the error that ends the call, with HelpCrunch's own errors and the time waited."""
        refusals = self._refusals
        times = "once" if len(refusals) == 1 else f"{len(refusals)} times"
        waited = time.monotonic() - self._started
        refused = (
            f" HelpCrunch answered 429 to this call {times}; it waited {duration(waited)} in all."
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
