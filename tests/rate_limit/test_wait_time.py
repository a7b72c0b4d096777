"""The wait until a number of permits is free: exact, and asking acquires none of them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hand_clock import Clock, store_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter, RetryPolicy
from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore
from airflow_provider_helpcrunch.rate_limit.store import LONGEST_FLIGHT, LONGEST_PAUSE, Store, Wait
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

ROOT = Path(__file__).parents[2]
NEVER = threading.Event()
QUIET = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """Return a store of five requests in ten seconds."""
    yield from store_of(request.param, 5, tmp_path, clock)


def spend(store: Store, requests: int = 1) -> None:
    """Make this many requests, each answered at once."""
    for _ in range(requests):
        slot = store.acquire()
        assert isinstance(slot, int)
        store.release(slot)


def waits(store: Store) -> list[float]:
    """Return the waits for one to five requests."""
    return [store.wait_time(requests) for requests in range(1, 6)]


def test_nothing_is_to_wait_for_while_all_is_free(store: Store) -> None:
    assert waits(store) == [0.0] * 5


def test_each_request_is_free_again_one_period_after_its_answer(store: Store, clock: Clock) -> None:
    for _ in range(3):
        spend(store)
        clock.now += 2
    assert waits(store) == pytest.approx([0, 0, 4, 6, 8])
    clock.now += 5
    assert waits(store) == pytest.approx([0, 0, 0, 1, 3])
    clock.now += 3.01
    assert waits(store) == [0.0] * 5


def test_what_is_told_is_when_so_many_can_be_taken(store: Store, clock: Clock) -> None:
    for pause in (1, 1, 3, 2, 1):
        spend(store)
        clock.now += pause
    for requests in range(1, 6):
        clock.now += max(store.wait_time(requests) - 0.01, 0)
        assert store.wait_time(requests) > 0
        clock.now += 0.02
        assert store.wait_time(requests) == 0
    assert all(isinstance(store.acquire(), int) for _ in range(5))


def test_asking_takes_nothing(store: Store) -> None:
    for _ in range(20):
        store.wait_time(5)
    spend(store, 5)
    assert isinstance(store.acquire(), Wait)


def test_a_request_in_flight_counts_until_its_answer(store: Store, clock: Clock) -> None:
    slot = store.acquire()
    assert isinstance(slot, int)
    assert store.wait_time(4) == 0
    assert store.wait_time(5) == pytest.approx(LONGEST_FLIGHT + 10)
    clock.now += 1
    store.release(slot)
    assert store.wait_time(5) == pytest.approx(10)


def test_a_pause_holds_for_however_few(store: Store, clock: Clock) -> None:
    store.pause(4)
    assert waits(store) == pytest.approx([4] * 5)
    clock.now += 1
    store.pause(2)  # ends earlier than the one that holds
    spent = clock.now
    assert waits(store) == pytest.approx([3] * 5)
    clock.now = spent + 3.01
    assert waits(store) == [0.0] * 5


def test_a_pause_and_spent_requests_do_not_add_up(store: Store, clock: Clock) -> None:
    spend(store, 3)
    store.pause(4)
    assert waits(store) == pytest.approx([4, 4, 10, 10, 10])
    store.pause(12)
    assert waits(store) == pytest.approx([12] * 5)


def test_a_clock_that_was_set_back_makes_nobody_wait_for_more_than_a_window(
    tmp_path: Path, clock: Clock
) -> None:
    with contextlib.closing(SQLiteStore(tmp_path / "budget", 3, 10.0, clock)) as store:
        spend(store, 2)
        store.pause(LONGEST_PAUSE)
        clock.now -= 86_400
        assert [store.wait_time(requests) for requests in (1, 2, 3)] == [10.0] * 3


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@QUIET
@given(
    spent=st.lists(st.floats(0, 4), max_size=12),
    pauses=st.lists(st.floats(0, 15), max_size=2),
    requests=st.integers(1, 5),
)
def test_nobody_is_told_too_little_or_too_much(
    kind: str,
    spent: list[float],
    pauses: list[float],
    requests: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clock = Clock()
    path = tmp_path_factory.mktemp("budget") / "budget"
    store: MemoryStore | SQLiteStore = (
        MemoryStore(5, 10.0, clock) if kind == "memory" else SQLiteStore(path, 5, 10.0, clock)
    )
    with contextlib.closing(store):
        for pause in spent:
            if isinstance(slot := store.acquire(), int):
                store.release(slot)
            clock.now += pause
        for pause in pauses:
            store.pause(pause)
        told = store.wait_time(requests)
        if told > 0.001:
            clock.now += told - 0.001
            assert not all(isinstance(store.acquire(), int) for _ in range(requests))
            return
        clock.now += 0.001
        assert all(isinstance(store.acquire(), int) for _ in range(requests))


def test_more_than_the_limit_counts_as_the_limit_and_less_than_one_as_one(clock: Clock) -> None:
    budget = RateLimiter(MemoryStore(3, 10.0, clock), 3, 10.0)
    with budget.permit(0, NEVER):
        pass
    assert (budget.wait_time(3), budget.wait_time(4), budget.wait_time(10**9)) == pytest.approx((10, 10, 10))
    assert (budget.wait_time(0), budget.wait_time(-5), budget.wait_time(1)) == (0, 0, 0)


@pytest.mark.parametrize("scheme", ["memory", "sqlite"])
def test_a_smaller_limit_waits_for_its_own_part(tmp_path: Path, scheme: str) -> None:
    url = "memory://" if scheme == "memory" else f"sqlite://{tmp_path}/budget"
    big, small = (
        open_rate_limiter(url, api_key=str(tmp_path), base_url="u", requests_per_minute=limit, period=10.0)
        for limit in (5, 2)
    )
    for _ in range(2):
        with big.permit(0, NEVER):
            pass
    assert (big.wait_time(3), small.wait_time(1) > 9, big.wait_time(5) > 9) == (0, True, True)
    big.close()
    small.close()


# As a client tells it


@pytest.mark.usefixtures("hand_time")
def test_a_client_tells_its_limit_and_the_wait_and_sends_nothing(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient]
) -> None:
    account = sandbox(chats=3)
    caller = client(account, limit=4, period=30.0)
    assert caller.requests_per_minute == 4
    assert (caller.budget_wait(), caller.budget_wait(4)) == (0.0, 0.0)
    for chat in account.chats:
        caller.get_chat(chat["id"])
    assert caller.budget_wait() == 0.0
    assert (caller.budget_wait(2), caller.budget_wait(10**6)) == (30.0, 30.0)
    assert len(account.journal) == 3
    assert caller.usage.budget_wait == 0


@pytest.mark.parametrize("retry_after", ["200", None])
def test_a_429_pauses_everyone_and_is_told(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient], retry_after: str | None
) -> None:
    account = sandbox(chats=3, faults=[Fault("status", status=429, retry_after=retry_after)])
    shared = RateLimiter(MemoryStore(100, 150.0), 100, 150.0)
    reader, other = client(account, budget=shared, retry=RetryPolicy()), client(account, budget=shared)

    def read() -> None:
        with pytest.raises(HelpCrunchError, match="client is closed"):
            reader.list_chats()

    thread = threading.Thread(target=read)
    thread.start()
    while not other.budget_wait():
        thread.join(0.01)
    low, high = (100.0, 150.0) if retry_after is None else (150.0, 200.0)
    assert low < other.budget_wait() <= high
    reader.close()
    thread.join()


@pytest.mark.usefixtures("hand_time")
@pytest.mark.parametrize("scheme", ["memory", "sqlite"])
def test_what_another_client_of_the_account_spends_is_told(
    sandbox: Callable[..., Sandbox], tmp_path: Path, scheme: str
) -> None:
    account = sandbox(chats=3)
    url = "memory://" if scheme == "memory" else f"sqlite://{tmp_path}/budget"
    arguments = {"base_url": account.url, "rate_limit_store": url, "requests_per_minute": 3}
    with (
        HelpCrunchClient(account.key, **arguments) as one,  # type: ignore[arg-type]
        HelpCrunchClient(account.key, **arguments) as other,  # type: ignore[arg-type]
        HelpCrunchClient("another-key", **arguments) as stranger,  # type: ignore[arg-type]
    ):
        one.get_chat(4410001)
        one.get_chat(4410002)
        assert (other.budget_wait(1), stranger.budget_wait(3)) == (0.0, 0.0)
        assert other.budget_wait(2) == pytest.approx(61.0)


SPEND = """
import sys, threading

sys.path.insert(0, sys.argv[1])
import without_airflow
from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter

for key in ("spent", "paused"):
    limiter = open_rate_limiter(sys.argv[2], api_key=key, base_url="u", requests_per_minute=5)
    for _ in range(4):
        with limiter.permit(0, threading.Event()):
            pass
    if key == "paused":
        limiter.pause(500)
    limiter.close()
"""


def test_a_process_sees_the_requests_and_pauses_of_another_with_the_same_file(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/budget"
    command = [sys.executable, "-c", SPEND, str(Path(__file__).parent), url]
    subprocess.run(command, check=True, cwd=ROOT, timeout=300)
    spent, paused = (
        open_rate_limiter(url, api_key=key, base_url="u", requests_per_minute=5)
        for key in ("spent", "paused")
    )
    assert spent.wait_time(1) == 0.0
    assert 0 < spent.wait_time(2) <= 61
    assert 400 < paused.wait_time(1) <= 500
    spent.close()
    paused.close()
