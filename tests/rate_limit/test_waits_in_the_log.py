"""What the rate limiter says while a request waits: how long, why, and again when the wait goes on."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_helpcrunch.rate_limit import limiter
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.rate_limit.store import Unreachable, Wait

NEVER = threading.Event()


class Refusals:
    """Stands for a store that refuses for as long as it is told, because no real one does so in milliseconds."""

    def __init__(self, *refusals: Wait | Unreachable) -> None:
        self._refusals = list(refusals)

    def acquire(self) -> int | Wait | Unreachable:
        return self._refusals.pop(0) if self._refusals else 1


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Return what is logged while the refusals are waited out, each as if it took its seconds."""

    def of(*refusals: Wait | Unreachable, max_wait: float = 600) -> list[str]:
        now = 1000.0

        def wait(_: RateLimiter, seconds: float, __: threading.Event) -> None:
            nonlocal now
            now += seconds

        monkeypatch.setattr(limiter, "time", SimpleNamespace(monotonic=lambda: now))
        monkeypatch.setattr(RateLimiter, "_wait", wait)
        with caplog.at_level("INFO", logger=limiter.__name__):
            RateLimiter(Refusals(*refusals), 120).acquire(max_wait, NEVER)  # type: ignore[arg-type]
        return caplog.messages

    return of


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (Wait(23.4, False), "Waiting 23 s: 120 of 120 requests of this minute are used."),
        (
            Wait(61, False, True),
            "Waiting 61 s: The rate limit store is new or lost its count, so the last minute counts as used.",
        ),
        (
            Wait(130, True),
            "Waiting 2 min 10 s: HelpCrunch answered 429, so all requests of this account pause.",
        ),
        (Unreachable("Redis is away."), "Waiting up to 10 min: Redis is away."),
    ],
)
def test_the_first_line_says_how_long_and_why(waits: Any, refusal: Wait | Unreachable, line: str) -> None:
    assert waits(refusal) == [line]


def test_a_wait_of_a_few_seconds_is_not_worth_a_line(waits: Any) -> None:
    assert waits(Wait(4.9, False)) == []


def test_many_short_waits_in_a_row_are(waits: Any) -> None:
    assert waits(*[Wait(1.0, False)] * 10) == ["Waiting 1.0 s: 120 of 120 requests of this minute are used."]


def test_a_wait_that_goes_on_is_told_once_a_minute(waits: Any) -> None:
    used = "120 of 120 requests of this minute are used."
    assert waits(*[Wait(30.0, False)] * 5) == [
        f"Waiting 30 s: {used}",
        f"Waiting 30 s more, after 60 s: {used}",
        f"Waiting 30 s more, after 2 min: {used}",
    ]
