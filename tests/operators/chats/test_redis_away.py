"""``ReassignChatsOperator`` while the Redis that counts the account's requests is away."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from redis_server import RedisServer

from airflow_provider_helpcrunch._airflow import TaskDeferred
from airflow_provider_helpcrunch.client import client
from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError
from airflow_provider_helpcrunch.operators.chats import runner
from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

LIMIT, CHATS, WINDOW, MARGIN = 30, 100, 1.0, 0.1

StartLimited = Callable[..., tuple[Sandbox, RedisServer]]


@pytest.fixture
def limited(
    account: Callable[..., Sandbox],
    redis_server: Callable[..., RedisServer],
    monkeypatch: pytest.MonkeyPatch,
) -> StartLimited:
    """Start an account whose minute is a second, and the Redis in which its requests are counted."""
    monkeypatch.setattr(
        client, "open_rate_limiter", functools.partial(open_rate_limiter, period=WINDOW + MARGIN)
    )
    monkeypatch.setattr(runner, "BRIEF", 0.5)

    def start(**extra: Any) -> tuple[Sandbox, RedisServer]:
        redis = redis_server()
        extra = {"requests_per_minute": LIMIT, "rate_limit_store": redis.url, **extra}
        return account(*["opened"] * CHATS, extra=extra, rate_limit=LIMIT, window=WINDOW), redis

    return start


def go_away(account: Sandbox, redis: RedisServer, after: int, seconds: float) -> threading.Thread:
    """Let Redis die after this many changes, and come back empty."""

    def act() -> None:
        while len(account.writes()) < after:
            time.sleep(0.005)
        redis.kill()
        time.sleep(seconds)
        redis.start()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_the_work_goes_on_when_redis_is_back(
    limited: StartLimited, reassign: Callable[..., dict[str, Any]]
) -> None:
    server, redis = limited()
    outage = go_away(server, redis, after=20, seconds=1.5)
    result = reassign(patience=60)
    outage.join()
    moves = Counter(write.chat for write in server.writes())
    assert result["changed"] == len(moves) == CHATS
    assert set(moves.values()) == {1}
    assert server.count(429) == 0
    assert server.busiest_window(WINDOW) <= LIMIT


def test_a_deferrable_task_gives_its_slot_back_meanwhile(
    limited: StartLimited, reassign: Callable[..., dict[str, Any]]
) -> None:
    server, redis = limited()
    redis.kill()
    with pytest.raises(TaskDeferred):
        reassign(patience=60, deferrable=True)
    assert server.journal == []


def test_it_fails_at_once_where_that_is_wanted(
    limited: StartLimited, reassign: Callable[..., dict[str, Any]]
) -> None:
    server, redis = limited(rate_limit_on_failure="fail")
    redis.kill()
    started = time.monotonic()
    with pytest.raises(HelpCrunchBudgetStoreError, match="cannot be used"):
        reassign(patience=600)
    assert time.monotonic() - started < 60
    assert server.journal == []
