"""The request budget: never more than the limit in any window, as the server counts, whoever shares it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hand_clock import Clock, store_of
from redis_server import RedisServer

from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter, RetryPolicy
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchRateLimitError,
)
from airflow_provider_helpcrunch.rate_limit.limiter import Cancelled, open_rate_limiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore
from airflow_provider_helpcrunch.rate_limit.store import LONGEST_FLIGHT, LONGEST_PAUSE, Store, Wait
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

HAMMER = Path(__file__).with_name("hammer.py")
ROOT = Path(__file__).parents[2]
NEVER = threading.Event()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """Return a store of three requests in ten seconds."""
    yield from store_of(request.param, 3, tmp_path, clock)


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, redis_server: Callable[..., RedisServer]) -> str:
    """Return the address of a store that processes share."""
    return redis_server().url if request.param == "redis" else f"sqlite://{tmp_path}/budget"


def take(store: Store) -> int:
    """Take a slot that must be free."""
    taken = store.acquire()
    assert isinstance(taken, int)
    return taken


def test_a_slot_is_free_again_one_period_after_its_answer(store: Store, clock: Clock) -> None:
    slots = [take(store) for _ in range(3)]
    assert len(set(slots)) == 3
    clock.now += 2
    for slot in slots:
        store.release(slot)
    assert store.acquire() == (pytest.approx(10.0), False, False)
    clock.now += 9.99
    assert isinstance(store.acquire(), Wait)
    clock.now += 0.02
    assert {take(store) for _ in range(3)} == set(slots)
    assert isinstance(store.acquire(), Wait)


def test_a_request_in_flight_keeps_its_slot_however_long_it_takes(store: Store, clock: Clock) -> None:
    slow, *others = (take(store) for _ in range(3))
    for slot in others:
        store.release(slot)
    clock.now += 30
    assert {take(store), take(store)} == set(others)
    assert isinstance(store.acquire(), Wait)
    store.release(slow)
    clock.now += 10.01
    assert take(store) == slow


def test_what_a_dead_process_took_comes_back_by_itself(store: Store, clock: Clock) -> None:
    for _ in range(3):
        take(store)
    clock.now += LONGEST_FLIGHT + 9
    assert isinstance(store.acquire(), Wait)
    clock.now += 2
    take(store)


def test_a_pause_stops_everyone_and_never_gets_shorter(store: Store, clock: Clock) -> None:
    slot = take(store)
    store.pause(100)
    store.pause(5)
    store.release(slot)
    assert store.acquire() == (pytest.approx(100), True, False)
    clock.now += 99
    assert isinstance(store.acquire(), Wait)
    clock.now += 2
    take(store)


def test_a_pause_is_bounded(store: Store, clock: Clock) -> None:
    store.pause(10**9)
    clock.now += LONGEST_PAUSE + 1
    take(store)


def test_a_clock_that_was_set_back_costs_one_period(tmp_path: Path, clock: Clock) -> None:
    store = SQLiteStore(tmp_path / "budget", 3, 10.0, clock)
    for slot in [take(store), take(store), take(store)]:
        store.release(slot)
    store.pause(60)
    clock.now -= 86_400
    assert store.acquire() == Wait(10.0, paused=False)
    assert store.wait_time(3) == 10.0
    clock.now += 10.0
    assert sorted([take(store), take(store), take(store)]) == [0, 1, 2]
    store.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_smaller_limit_uses_a_part_of_the_same_budget(tmp_path: Path, kind: str) -> None:
    url = "memory://" if kind == "memory" else f"sqlite://{tmp_path}/budget"
    big, small = (
        open_rate_limiter(url, api_key=str(tmp_path), base_url="u", requests_per_minute=limit)
        for limit in (5, 2)
    )
    assert [isinstance(small._store.acquire(), int) for _ in range(3)] == [True, True, False]
    assert [isinstance(big._store.acquire(), int) for _ in range(4)] == [True, True, True, False]
    big.close()
    small.close()


def test_patience_ends_before_a_wait_that_is_too_long(clock: Clock) -> None:
    budget = RateLimiter(MemoryStore(1, 10.0, clock), 1, 10.0)
    with budget.permit(0, NEVER):
        pass
    with (
        pytest.raises(HelpCrunchRateLimitError, match="limit of 1 requests a minute is used up") as caught,
        budget.permit(5, NEVER),
    ):
        pass
    assert (caught.value.status_code, caught.value.retry_after) == (None, pytest.approx(10))


def test_the_former_name_can_still_be_imported(clock: Clock) -> None:
    with pytest.warns(DeprecationWarning, match="Budget is now called RateLimiter"):
        from airflow_provider_helpcrunch.client import Budget

    assert Budget is RateLimiter
    limiter = Budget(MemoryStore(1, 10.0, clock), 1, 10.0)
    with HelpCrunchClient("a-key", budget=limiter) as client:
        assert client.requests_per_minute == 1


def test_what_is_acquired_is_released(clock: Clock) -> None:
    limiter = RateLimiter(MemoryStore(1, 10.0, clock), 1, 10.0)
    slot = limiter.acquire(0, NEVER)
    assert limiter.wait_time(1) == LONGEST_FLIGHT + 10
    limiter.release(slot)
    assert limiter.wait_time(1) == 10


def test_a_wait_can_be_given_up(clock: Clock) -> None:
    budget = RateLimiter(MemoryStore(1, 10.0, clock), 1, 10.0)
    with budget.permit(0, NEVER):
        pass

    class GivenUp(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            threading.Timer(0.05, self.set).start()
            return super().wait(timeout)

    with pytest.raises(Cancelled), budget.permit(100, GivenUp()):
        pass
    assert budget.waited > 0


def test_a_permit_is_settled_when_the_request_fails(clock: Clock) -> None:
    budget = RateLimiter(MemoryStore(1, 10.0, clock), 1, 10.0)
    with pytest.raises(ZeroDivisionError), budget.permit(0, NEVER):
        raise ZeroDivisionError
    clock.now += 10.01
    with budget.permit(0, NEVER):
        pass


@contextlib.contextmanager
def hammer(
    sandbox: Sandbox,
    store: str,
    *,
    processes: int,
    threads: int,
    requests: int,
    limit: int = 20,
    period: float = 1.0,
) -> Iterator[subprocess.Popen[str]]:
    """Start processes that share one rate limit; each of their threads makes so many requests."""
    arguments = [processes, sandbox.url, sandbox.key, store, limit, period, requests, threads]
    with subprocess.Popen(
        [sys.executable, str(HAMMER), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        yield process


def test_processes_never_pass_the_limit(sandbox: Callable[..., Sandbox], shared: str) -> None:
    account = sandbox(rate_limit=20, window=0.5, agents=1, latency=0.01)
    with hammer(account, shared, processes=4, threads=4, requests=5, period=0.5) as process:
        made = json.loads(process.communicate(timeout=300)[0])
    assert process.returncode == 0
    assert made == [20] * 4
    assert len(account.journal) == 80
    assert account.busiest_window(0.5) <= 20
    assert account.count(429) == 0


def test_eight_threads_and_a_process_that_was_killed_never_pass_the_limit(
    sandbox: Callable[..., Sandbox], shared: str
) -> None:
    account = sandbox(rate_limit=20, window=1.0, agents=1500)
    with hammer(account, shared, processes=1, threads=8, requests=10**6) as victim:
        while len(account.journal) < 10:
            assert victim.poll() is None
            time.sleep(0.005)
        os.killpg(victim.pid, signal.SIGKILL)
    budget = open_rate_limiter(
        shared, api_key=account.key, base_url=account.url, requests_per_minute=20, period=1.0
    )
    with HelpCrunchClient(account.key, base_url=account.url, budget=budget) as survivor:
        assert survivor.list_agents() == account.agents
    assert account.count(429) == 0


def test_a_429_seen_by_one_process_stops_the_other(sandbox: Callable[..., Sandbox], shared: str) -> None:
    account = sandbox(agents=1, faults=[Fault("status", status=429, retry_after="9", nth=30)])
    budget = open_rate_limiter(
        shared, api_key=account.key, base_url=account.url, requests_per_minute=200, period=1.0
    )
    with hammer(account, shared, processes=2, threads=2, requests=2_000, limit=200) as process:
        try:
            asked, rest = time.monotonic(), budget.wait_time(1)
            while rest < 1.2:  # a wait for the limit is shorter
                assert process.poll() is None
                time.sleep(0.01)
                asked, rest = time.monotonic(), budget.wait_time(1)
            paused, ends = time.monotonic(), asked + rest
            while account.journal[-1].at < ends:
                assert process.poll() is None
                time.sleep(0.01)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    budget.close()
    # Each thread, but that of the 429, may have had its permit before.
    assert sum(paused < request.at < ends for request in account.journal) <= 3
    assert account.count(429) == 1


def test_the_burst_is_not_slowed_at_all(sandbox: Callable[..., Sandbox]) -> None:
    account = sandbox(rate_limit=120, agents=11_000)
    with HelpCrunchClient(account.key, base_url=account.url) as caller:
        assert len(caller.list_agents()) == 11_000
        assert caller.usage.budget_wait == 0
    assert account.count(429) == 0


def test_many_processes_may_make_the_file_at_once(sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    account = sandbox(agents=1)
    store = f"sqlite://{tmp_path}/budget"
    with hammer(account, store, processes=12, threads=1, requests=3, limit=1000) as process:
        made = json.loads(process.communicate(timeout=300)[0])
    assert made == [3] * 12
    assert len(list((tmp_path / "budget").glob("*.sqlite"))) == 1


def test_the_file_is_private_and_named_by_a_hash(tmp_path: Path) -> None:
    key = "a-key-that-nobody-should-see"
    budget = open_rate_limiter(f"sqlite://{tmp_path}/budget", api_key=key, base_url="https://x.example/v1")
    names = [path.name for path in (tmp_path / "budget").iterdir()]
    assert any(
        name.startswith(hashlib.sha256(f"https://x.example/v1\n{key}".encode()).hexdigest()[:40])
        for name in names
    )
    assert (tmp_path / "budget").stat().st_mode & 0o077 == 0
    assert not any(key.encode() in path.read_bytes() for path in (tmp_path / "budget").iterdir())
    budget.close()


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "link"):
        with pytest.raises(HelpCrunchBudgetStoreError, match="Only this user may have access"):
            open_rate_limiter(f"sqlite://{tmp_path}/{name}", api_key="k", base_url="u")


def test_a_damaged_file_is_told_and_never_means_no_limit(
    tmp_path: Path, sandbox: Callable[..., Sandbox]
) -> None:
    account = sandbox()
    store = f"sqlite://{tmp_path}/budget"
    HelpCrunchClient(account.key, base_url=account.url, rate_limit_store=store).close()
    (file,) = (tmp_path / "budget").glob("*.sqlite")
    file.write_bytes(b"no database at all" * 1000)
    with pytest.raises(HelpCrunchBudgetStoreError, match="Delete the file if it is damaged"):
        HelpCrunchClient(account.key, base_url=account.url, rate_limit_store=store)
    assert account.journal == []


@pytest.mark.parametrize("url", ["sqlite", "", "memory://x", "sqlite://host/x", "postgres://u:pw@h/d"])
def test_an_unknown_store_is_refused_without_repeating_what_was_given(url: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="rate_limit_store must be sqlite://") as caught:
        HelpCrunchClient("a-key", rate_limit_store=url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("limit", [0, -1, 100_001])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="requests_per_minute must be 1 to 100000"):
        HelpCrunchClient("a-key", requests_per_minute=limit)


def test_a_spent_budget_is_told_at_once_to_those_without_patience(sandbox: Callable[..., Sandbox]) -> None:
    account = sandbox(agents=1)
    policy = RetryPolicy(patience=2)
    with HelpCrunchClient(account.key, base_url=account.url, requests_per_minute=1, retry=policy) as caller:
        caller.list_agents()
        with pytest.raises(HelpCrunchRateLimitError, match="is used up"):
            caller.list_agents()
    assert len(account.journal) == 1
