"""The budget in Redis: shared by machines, and never more than the limit even when Redis loses what it knew."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import (
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis_server import RedisServer

from airflow_provider_helpcrunch.client import (
    HelpCrunchClient,
    RetryPolicy,
)
from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError, HelpCrunchConfigurationError
from airflow_provider_helpcrunch.rate_limit import redis as module
from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter
from airflow_provider_helpcrunch.rate_limit.redis import KEEP, RedisStore
from airflow_provider_helpcrunch.rate_limit.store import LONGEST_FLIGHT, Unreachable, Wait
from airflow_provider_helpcrunch.sandbox import Sandbox

NEVER = threading.Event()
PERIOD = 30.0
SLACK = 10.0
"""Seconds by which a busy machine may be late."""

StartRedis = Callable[..., RedisServer]
Open = Callable[..., RedisStore]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open stores of three requests in half a minute; they close with the test."""
    with contextlib.ExitStack() as stack:

        def connect(server: RedisServer, limit: int = 3, period: float = PERIOD, **fields: str) -> RedisStore:
            store = RedisStore(Redis(port=server.port, **fields), "account", limit, period)  # type: ignore[arg-type]
            return stack.enter_context(contextlib.closing(store))

        yield connect


def let_pass(server: RedisServer, seconds: float) -> None:
    """Let what Redis has stored be older by some seconds: all of it is moments."""
    with server.admin() as admin:
        for key in admin.scan_iter():
            for member in admin.zrange(key, 0, -1):
                admin.zincrby(key, -seconds * 1e6, member)


def known(store: RedisStore, server: RedisServer) -> RedisStore:
    """Let a new count know what was sent in the last period."""
    store.wait_time(1)
    let_pass(server, PERIOD)
    assert store.wait_time(1) == 0
    return store


def taken(store: RedisStore, times: int) -> list[bool]:
    """Try to acquire a slot this many times; return for each whether there was one."""
    return [isinstance(store.acquire(), int) for _ in range(times)]


def full_wait(answer: object, *, unknown: bool, period: float = PERIOD) -> bool:
    """Tell whether this is a wait of a whole period, less what the way to Redis took."""
    assert isinstance(answer, Wait)
    assert (answer.paused, answer.unknown) == (False, unknown)
    return max(period - SLACK, period / 5) < answer.seconds <= period


def test_a_slot_is_free_again_one_period_after_its_answer(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    slots = [store.acquire(), other.acquire(), store.acquire()]
    assert sorted(slots) == [0, 1, 2]  # type: ignore[type-var]
    assert full_wait(other.acquire(), unknown=False)  # nobody knows when these will be answered
    let_pass(server, SLACK + 1)
    store.release(1)
    assert full_wait(other.acquire(), unknown=False)
    let_pass(server, PERIOD - SLACK)
    assert isinstance(other.acquire(), Wait)
    let_pass(server, SLACK)
    assert other.acquire() == 1
    assert isinstance(store.acquire(), Wait)


def test_redis_keeps_the_time_itself(redis_server: StartRedis, opened: Open) -> None:
    store = opened(redis_server(), 3, 0.3)
    while waited := store.wait_time(1):
        assert isinstance(waited, float)
        time.sleep(waited)
    assert taken(store, 1) == [True]


def test_nobody_knows_what_was_sent_before_the_first_use(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store = opened(server)
    assert full_wait(store.acquire(), unknown=True)
    let_pass(server, PERIOD / 2)
    again = store.acquire()
    assert isinstance(again, Wait)
    assert 0 < again.seconds <= PERIOD / 2
    assert again.unknown
    let_pass(server, PERIOD / 2)
    assert taken(store, 4) == [True, True, True, False]


@pytest.fixture(scope="module")
def old_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, RedisServer]]:
    """Start two servers for all tests that need them to be up for some time; a replica of them has no delay."""
    with contextlib.ExitStack() as stack:

        def start(name: str) -> RedisServer:
            server = RedisServer(tmp_path_factory.mktemp(name), "--repl-diskless-sync-delay", "0")
            stack.callback(server.kill)
            return server.start()

        yield start("redis"), start("replica")


SHORT = 9.8
"""Period of those servers: seconds, for which they have to be up."""


@pytest.fixture
def long_up(old_servers: tuple[RedisServer, RedisServer], monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """Return a server that knows nothing, and is up for longer than anything lasts, as the other one is."""
    monkeypatch.setattr(module, "LONGEST_FLIGHT", 0.1)
    for server in old_servers:
        with server.admin() as admin:
            admin.flushall()
            admin.script_flush()
            while admin.info("server")["uptime_in_seconds"] - 1 < SHORT + 0.1:
                time.sleep(0.05)
    return old_servers[0]


def test_nobody_waits_where_nothing_can_have_been_sent(long_up: RedisServer, opened: Open) -> None:
    store, other = opened(long_up, period=SHORT), opened(long_up, period=SHORT)
    assert store.wait_time(3) == 0
    assert taken(other, 2) == [True, True]
    assert taken(store, 2) == [True, False]


def test_a_server_up_for_long_that_was_emptied_makes_everyone_wait(
    long_up: RedisServer, opened: Open
) -> None:
    store = opened(long_up, period=SHORT)
    for use in (store.acquire, lambda: store.wait_time(1)):
        use()
        with long_up.admin() as admin:
            admin.flushall()
        assert full_wait(store.acquire(), unknown=True, period=SHORT)
        assert 0 < store.wait_time(1) <= SHORT  # type: ignore[operator]


def test_a_server_up_for_long_that_does_not_say_so_makes_everyone_wait(
    long_up: RedisServer, opened: Open
) -> None:
    with long_up.admin() as admin:
        admin.acl_setuser("worker", enabled=True, passwords=["+w"], keys=["*"], commands=["+@all", "-info"])
    store = opened(long_up, period=SHORT, username="worker", password="w")
    assert full_wait(store.acquire(), unknown=True, period=SHORT)


def test_an_emptied_redis_makes_everyone_wait_one_period(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store = known(opened(server), server)
    slot = store.acquire()
    with server.admin() as admin:
        admin.flushall()
    assert full_wait(store.acquire(), unknown=True)
    let_pass(server, PERIOD / 2)
    assert isinstance(slot, int)
    store.release(slot)  # it was under way when the count was lost, so its own period begins only now
    let_pass(server, PERIOD / 2 + SLACK)
    assert taken(store, 3) == [True, True, False]


def test_an_answer_does_not_make_a_count_that_was_lost(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store = known(opened(server), server)
    slot = store.acquire()
    with server.admin() as admin:
        admin.flushall()
        assert isinstance(slot, int)
        store.release(slot)
        assert admin.keys() == []
    assert taken(store, 1) == [False]


def test_a_restart_with_an_old_snapshot_is_noticed(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    with server.admin() as admin:
        admin.save()
    for slot in [store.acquire() for _ in range(3)]:
        store.release(slot)  # type: ignore[arg-type]
    server.kill()
    server.start()
    assert full_wait(other.acquire(), unknown=True)
    assert isinstance(store.acquire(), Wait)
    assert taken(known(store, server), 4) == [True, True, True, False]


def test_slots_of_a_larger_limit_are_free_one_period_later(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    small = known(opened(server, 2), server)
    big = opened(server, 5)
    assert taken(big, 3) == [True, True, False]
    let_pass(server, PERIOD + SLACK)
    assert taken(small, 1) == [False]
    assert taken(big, 4) == [True, True, True, False]


def test_a_smaller_limit_uses_only_the_first_slots(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    big = known(opened(server, 250), server)
    small = opened(server, 2)
    assert [small.acquire(), small.acquire()] == [0, 1]
    assert isinstance(small.acquire(), Wait)
    assert taken(big, 249) == [True] * 248 + [False]
    small.release(1)
    assert small.wait_time(1) <= PERIOD < LONGEST_FLIGHT < small.wait_time(2)  # type: ignore[operator]
    let_pass(server, PERIOD)
    assert small.acquire() == 1


def test_a_pause_stops_everyone_and_never_gets_shorter(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    store.pause(60)
    store.pause(10)
    wait = other.acquire()
    assert isinstance(wait, Wait)
    assert wait.paused
    assert 60 - SLACK < wait.seconds <= 60
    assert 60 - SLACK < other.wait_time(1) <= 60  # type: ignore[operator]
    let_pass(server, 60)  # not the wait: that is shorter by what the way to Redis took
    assert taken(other, 1) == [True]


def test_what_a_dead_process_took_is_kept_for_the_longest_flight(
    redis_server: StartRedis, opened: Open
) -> None:
    server = redis_server()
    store = known(opened(server, 1), server)
    store.acquire()
    assert store.wait_time(1) == pytest.approx(LONGEST_FLIGHT + PERIOD, abs=SLACK)


def test_a_clock_that_was_set_back_costs_one_period(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store = known(opened(server), server)
    store.pause(0.01)
    time.sleep(0.02)
    with server.admin() as admin:
        (key,) = admin.keys()
        ahead = {slot: (time.time() + 86_400) * 1e6 for slot in "012"}
        admin.zadd(key, {**ahead, "pause": 2e16 + (time.time() + 86_400) * 1e6})
    assert full_wait(store.acquire(), unknown=True)
    assert taken(known(store, server), 4) == [True, True, True, False]
    let_pass(server, PERIOD)
    assert store.wait_time(1) == pytest.approx(LONGEST_FLIGHT, abs=SLACK)


def test_keys_are_named_by_a_hash_and_expire(redis_server: StartRedis) -> None:
    server, secret = redis_server(), "a-key-that-nobody-should-see"
    budget = open_rate_limiter(server.url, api_key=secret, base_url="https://x.example/v1", period=0.0)
    with budget.permit(5, NEVER):
        budget.pause(100)
    budget.close()
    with server.admin() as admin:
        lives = {key.decode(): admin.ttl(key) for key in admin.scan_iter()}
        told = repr([admin.zrange(key, 0, -1) for key in lives])
    assert list(lives.values()) == [pytest.approx(KEEP, abs=60)]
    assert secret not in told + repr(lives)


def test_another_key_or_address_is_another_account(redis_server: StartRedis) -> None:
    server = redis_server()
    budgets = [
        open_rate_limiter(server.url, api_key=key, base_url=address, requests_per_minute=1, period=PERIOD)
        for key, address in (("a", "u"), ("b", "u"), ("a", "v"))
    ]
    for budget in budgets:
        budget.wait_time(1)
    let_pass(server, PERIOD)
    for budget in budgets:
        with budget.permit(0.0, NEVER):
            pass
        budget.close()


def test_a_user_who_may_do_little_shares_the_count(redis_server: StartRedis, opened: Open) -> None:
    server, rights = redis_server(), ["+@all", "-info", "-client"]
    with server.admin() as admin:
        admin.acl_setuser("worker", enabled=True, passwords=["+w"], keys=["*"], commands=rights)
    limited, other = (opened(server, username="worker", password="w") for _ in range(2))
    assert taken(known(limited, server), 2) == [True, True]
    assert taken(other, 2) == [True, False]
    limited.release(0)
    let_pass(server, PERIOD + SLACK)
    assert taken(other, 2) == [True, False]


def test_the_rights_in_the_documentation_are_enough(redis_server: StartRedis, opened: Open) -> None:
    page = (Path(__file__).parents[2] / "docs" / "workers.md").read_text(encoding="utf-8")
    (rights,) = re.findall(r"`~airflow-provider-helpcrunch:\*` and `([^`]*)`", page)
    server = redis_server()
    with server.admin() as admin:
        keys = ["airflow-provider-helpcrunch:*"]
        admin.acl_setuser("worker", enabled=True, passwords=["+w"], keys=keys, commands=rights.split())
    store = known(opened(server, username="worker", password="w"), server)
    slot = store.acquire()
    assert isinstance(slot, int)
    store.release(slot)
    store.pause(20)
    assert is_paused(store.acquire())


# Redis does not answer


def client_of(account: Sandbox, store: str | Redis, **arguments: object) -> HelpCrunchClient:
    arguments = {"retry": RetryPolicy(max_attempts=1, patience=1.5), **arguments}
    return HelpCrunchClient(account.key, base_url=account.url, rate_limit_store=store, **arguments)  # type: ignore[arg-type]


def test_requests_wait_for_redis_until_their_patience_ends(
    sandbox: Callable[..., Sandbox], closed_port: int
) -> None:
    account = sandbox()
    with client_of(account, f"redis://127.0.0.1:{closed_port}/0") as client:
        started = time.monotonic()
        with pytest.raises(HelpCrunchBudgetStoreError) as caught:
            client.get_organization()
    assert 0.4 < time.monotonic() - started < 30
    assert f"The rate limit store Redis at 127.0.0.1:{closed_port} cannot be used" in str(caught.value)
    assert "No request was sent, because it could not be counted" in str(caught.value)
    assert account.journal == []


def test_requests_fail_at_once_where_that_is_wanted(
    sandbox: Callable[..., Sandbox], closed_port: int
) -> None:
    account = sandbox()
    policy = RetryPolicy(max_attempts=1, patience=600)
    address = f"redis://127.0.0.1:{closed_port}/0"
    with client_of(account, address, rate_limit_on_failure="fail", retry=policy) as client:
        started = time.monotonic()
        with pytest.raises(HelpCrunchBudgetStoreError, match="refused"):
            client.get_organization()
        with pytest.raises(HelpCrunchBudgetStoreError, match="refused"):
            client.budget_wait()
    assert time.monotonic() - started < 60
    assert account.journal == []


def test_requests_go_on_when_redis_is_back(
    redis_server: StartRedis, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server()
    budget = open_rate_limiter(server.url, api_key="k", base_url="u", requests_per_minute=2, period=0.5)

    class Back(threading.Event):
        """Starts Redis while a request waits for it."""

        def wait(self, timeout: float | None = None) -> bool:
            with contextlib.suppress(StopIteration):
                next(starts)()
            return super().wait(timeout)

    starts = iter([server.start])
    with budget.permit(60, NEVER):
        server.kill()
        assert budget.wait_time(1) == 0.5
    with caplog.at_level(logging.INFO), budget.permit(60, Back()):
        pass
    budget.close()
    assert [text for text in caplog.messages if "cannot be used" in text and "Waiting up to" in text]


def test_a_request_that_succeeded_does_not_fail_because_redis_went(
    redis_server: StartRedis, sandbox: Callable[..., Sandbox]
) -> None:
    account, server = sandbox(latency=0.3), redis_server()
    budget = open_rate_limiter(server.url, api_key="k", base_url="u", period=0.0)

    def kill() -> None:
        while not account.journal:
            time.sleep(0.005)
        server.kill()

    killing = threading.Thread(target=kill)
    killing.start()
    with HelpCrunchClient(account.key, base_url=account.url, budget=budget) as client:
        assert client.get_organization()["id"]
    killing.join()


HANGING = 5.0
"""Seconds after which a Redis that hangs is given up; before it hangs, it must answer within them."""


def test_a_redis_that_hangs_does_not_hang_the_task(
    redis_server: StartRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server()
    monkeypatch.setattr(module, "TIMEOUT", HANGING)
    budget = open_rate_limiter(server.url, api_key="k", base_url="u", period=0.0, on_failure="fail")
    started = time.monotonic()
    with budget.permit(5, NEVER):
        server.signal(signal.SIGSTOP)
    with pytest.raises(HelpCrunchBudgetStoreError, match="[Tt]imeout"), budget.permit(600, NEVER):
        pass
    assert time.monotonic() - started < 60
    server.signal(signal.SIGCONT)
    with budget.permit(5, NEVER):  # not answered with what the hanging request had asked
        pass
    budget.close()


def test_a_server_that_is_no_redis_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                with contextlib.suppress(OSError), listener.accept()[0] as peer:
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        budget = open_rate_limiter(url, api_key="k", base_url="u", on_failure="fail")
        with pytest.raises(HelpCrunchBudgetStoreError, match="cannot be used"):
            budget.wait_time(1)
    budget.close()


def test_an_answer_is_noted_on_a_connection_that_was_closed(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store = known(opened(server), server)
    with server.admin() as admin:
        admin.config_set("save", "")
        slot = store.acquire()
        admin.client_kill_filter(_type="normal", skipme=True)
        assert isinstance(slot, int)
        store.release(slot)
    let_pass(server, PERIOD + SLACK)
    assert taken(store, 4) == [True, True, True, False]


def test_a_connection_that_was_idle_for_long_is_not_trusted(
    redis_server: StartRedis, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server()
    store = known(opened(server), server)
    with server.admin() as admin:
        before = admin.info("stats")["total_connections_received"]
        store.wait_time(1)
        assert admin.info("stats")["total_connections_received"] == before
        monkeypatch.setattr(module, "LONGEST_IDLE", 0.0)
        store.wait_time(1)
        assert admin.info("stats")["total_connections_received"] == before + 1


def test_who_is_far_from_redis_asks_again_in_time(
    redis_server: StartRedis, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server()
    store = known(opened(server), server)
    assert taken(store, 3) == [True] * 3
    near = store._run

    def far(script: Script, *arguments: int) -> object:
        time.sleep(0.2)
        return near(script, *arguments)

    monkeypatch.setattr(store, "_run", far)
    wait = store.acquire()
    assert isinstance(wait, Wait)
    assert PERIOD - SLACK < wait.seconds <= PERIOD - 0.2


@pytest.mark.parametrize(
    ("answer", "lasting"),
    [
        ("BUSY Redis is busy running a script.", False),
        ("LOADING Redis is loading the dataset in memory", False),
        ("MISCONF Redis is configured to save RDB snapshots", False),
        ("NOREPLICAS Not enough good replicas to write.", False),
        ("Error running script (call to f_1): @user_script:9: -OOM command not allowed", False),
        ("unknown command 'EVALSHA'", True),
        ("The user executing the script can't run this command or subcommand", True),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", True),
    ],
)
def test_what_passes_is_waited_for_and_what_lasts_is_not(answer: str, lasting: bool) -> None:
    assert module.lasts(ResponseError(answer)) is lasting


@pytest.mark.parametrize("kind", [ReadOnlyError, OutOfMemoryError, MasterDownError, TryAgainError])
def test_what_redis_py_names_passes_too(kind: type[Exception]) -> None:
    assert not module.lasts(kind("the code is cut off"))


def test_connections_that_redis_closed_are_replaced(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store = known(opened(server), server)
    with server.admin() as admin:
        for _ in range(3):
            admin.client_kill_filter(_type="normal", skipme=True)
            assert isinstance(store.acquire(), int)


def test_a_pause_that_redis_did_not_hear_stops_this_process_and_the_others_when_redis_is_back(
    redis_server: StartRedis, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    server.kill()
    store.pause(30)
    assert [text for text in caplog.messages if "only this process pauses for now" in text]
    assert isinstance(store.acquire(), Unreachable)
    assert isinstance(store.wait_time(1), Unreachable)
    server.start()
    assert is_paused(store.acquire())
    assert store.acquire().seconds > 20  # type: ignore[union-attr]
    assert is_paused(other.acquire())


def test_a_pause_outlives_the_count(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    store.pause(30)
    with server.admin() as admin:
        (key,) = admin.keys()
        admin.zremrangebyrank(key, 0, 3)  # all but the pause
    assert is_paused(other.acquire())
    with server.admin() as admin:
        admin.flushall()
    assert is_paused(store.acquire())
    assert store.wait_time(1) > 20  # type: ignore[operator]


def is_paused(answer: object) -> bool:
    """Tell whether this is a wait because of a 429."""
    assert isinstance(answer, Wait)
    return answer.paused


@contextlib.contextmanager
def busy(server: RedisServer) -> Iterator[None]:
    """Let Redis answer BUSY to all for a while."""
    with server.admin() as admin, contextlib.closing(server.admin()) as other:
        admin.config_set("lua-time-limit", 1)
        loop = threading.Thread(target=lambda: stubborn(other))
        loop.start()
        while not is_busy(admin):
            time.sleep(0.01)
        yield
        admin.script_kill()
        loop.join()


def is_busy(redis: Redis) -> bool:
    try:
        redis.ping()
    except ResponseError as error:
        return str(error).startswith("BUSY")
    return False


def stubborn(redis: Redis) -> None:
    """Run a script until it is killed."""
    with contextlib.suppress(ResponseError):
        redis.eval("while true do end", 0)


def test_no_answer_is_taken_for_that_to_another_question(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    slots = [store.acquire() for _ in range(2)]
    with busy(server):
        for slot in slots:
            store.release(slot)  # type: ignore[arg-type]
        assert isinstance(other.acquire(), Unreachable)
    assert store.wait_time(1) == 0
    assert 0 < store.wait_time(3) <= PERIOD  # type: ignore[operator]
    assert taken(store, 3) == [True, False, False]


def test_a_full_redis_counts_and_pauses_what_it_knows(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    with server.admin() as admin:
        admin.config_set("maxmemory", 1)
        slot = store.acquire()
        assert isinstance(slot, int)
        store.release(slot)
        admin.config_set("maxmemory", 0)
        let_pass(server, PERIOD + SLACK)
        admin.config_set("maxmemory", 1)
    assert taken(other, 4) == [True, True, True, False]
    store.pause(20)
    assert is_paused(other.acquire())


def test_a_master_that_became_a_replica_is_left(redis_server: StartRedis) -> None:
    old, new = redis_server(), redis_server()
    with Proxy(old.port) as proxy:
        budget = open_rate_limiter(f"redis://127.0.0.1:{proxy.port}/0", api_key="k", base_url="u", period=0.5)
        with budget.permit(60, NEVER):
            pass
        with old.admin() as admin:
            admin.replicaof("127.0.0.1", str(new.port))
        proxy.target = new.port
        with budget.permit(60, NEVER):
            pass
        budget.close()
    with new.admin() as admin:
        assert len(admin.keys()) == 1


def test_a_new_master_hears_of_answers_that_the_old_one_refused(redis_server: StartRedis) -> None:
    old, new = redis_server(), redis_server()
    with Proxy(old.port) as proxy, contextlib.ExitStack() as stack:
        stores = [
            stack.enter_context(contextlib.closing(RedisStore(Redis(port=port), "account", 3, PERIOD)))
            for port in (proxy.port, new.port)
        ]
        store, other = known(stores[0], old), stores[1]
        slots = [store.acquire() for _ in range(3)]
        with old.admin() as admin:
            admin.replicaof("127.0.0.1", str(new.port))
        proxy.target = new.port
        assert full_wait(other.acquire(), unknown=True)
        let_pass(new, PERIOD / 2)
        for slot in slots:
            store.release(slot)  # type: ignore[arg-type]
        store.wait_time(1)
        let_pass(new, PERIOD / 2 + SLACK)
        assert taken(other, 1) == [False]


def test_a_release_that_was_interrupted_is_sent_with_the_next_call(
    redis_server: StartRedis, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server()
    store = known(opened(server), server)
    slots = [store.acquire() for _ in range(3)]
    evaluated = store._evaluated

    def interrupted(*arguments: object) -> object:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_evaluated", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.release(slots[0])  # type: ignore[arg-type]
    assert store._evaluated == evaluated
    for slot in slots[1:]:
        store.release(slot)  # type: ignore[arg-type]
    assert store.wait_time(3) == pytest.approx(PERIOD, abs=SLACK)


@pytest.mark.parametrize("closes", ["before", "after"])
def test_answers_are_noted_when_the_client_closes(
    redis_server: StartRedis, opened: Open, closes: str
) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    slots = [store.acquire() for _ in range(3)]
    if closes == "before":
        store.close()
    else:
        server.kill()
        assert isinstance(store.acquire(), Unreachable)
        server.start()
        other.acquire()
    for slot in slots:
        store.release(slot)  # type: ignore[arg-type]
    if closes == "after":
        store.close()
    assert all(each._sock is None for each in store._redis.connection_pool._available_connections)
    assert PERIOD - SLACK < other.wait_time(3) <= PERIOD  # type: ignore[operator]


def test_a_pause_that_is_over_does_not_come_back_with_the_clock(
    redis_server: StartRedis, opened: Open
) -> None:
    server = redis_server()
    store, other = known(opened(server), server), opened(server)
    store.pause(0.05)
    time.sleep(0.1)
    assert other.wait_time(1) == 0
    with server.admin() as admin:
        (key,) = admin.keys()
        assert admin.zscore(key, "pause") is None
        admin.zadd(key, {"pause": 2e16 + (time.time() + 7200) * 1e6})
    store.pause(20)
    assert 20 - SLACK < other.wait_time(1) <= 20  # type: ignore[operator]


def test_a_promoted_replica_is_not_believed_that_nothing_was_spent(
    long_up: RedisServer, old_servers: tuple[RedisServer, RedisServer], opened: Open
) -> None:
    _, replica = old_servers
    with replica.admin() as admin:
        admin.replicaof("127.0.0.1", str(long_up.port))
        while admin.info("replication")["master_link_status"] != "up":
            time.sleep(0.05)
        admin.replicaof("no", "one")
    assert full_wait(opened(replica, period=SHORT).acquire(), unknown=True, period=SHORT)


def test_a_count_with_gaps_starts_over(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    big, small = known(opened(server, 5), server), opened(server, 4)
    with server.admin() as admin:
        (key,) = admin.keys()
        admin.zrem(key, "1", "2")
    assert small.wait_time(4) == PERIOD
    assert full_wait(big.acquire(), unknown=True)
    assert taken(known(big, server), 6) == [True] * 5 + [False]


def test_answers_are_noted_although_redis_hangs(
    redis_server: StartRedis, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server()
    monkeypatch.setattr(module, "TIMEOUT", HANGING)
    store = known(opened(server, 20), server)
    slots = [store.acquire() for _ in range(20)]
    server.signal(signal.SIGSTOP)
    assert isinstance(store.acquire(), Unreachable)
    started = time.monotonic()
    for slot in slots:
        store.release(slot)  # type: ignore[arg-type]
    assert time.monotonic() - started < 50  # a timeout for each would take 100 s
    server.signal(signal.SIGCONT)
    while isinstance(store.wait_time(1), Unreachable):
        time.sleep(0.05)
    let_pass(server, PERIOD + SLACK)
    assert taken(store, 20) == [True] * 20


def test_what_a_fork_asks_is_not_answered_to_its_parent(redis_server: StartRedis, opened: Open) -> None:
    server = redis_server()
    store = known(opened(server, 40), server)
    slot = store.acquire()
    store.release(slot)  # type: ignore[arg-type]
    child = os.fork()
    if not child:
        os._exit(sum(taken(store, 10)))
    mine = sum(taken(store, 10))
    _, status = os.waitpid(child, 0)
    assert (mine, os.waitstatus_to_exitcode(status)) == (10, 10)


def test_a_signal_handler_may_close_what_it_interrupts(
    redis_server: StartRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = redis_server()
    monkeypatch.setattr(module, "TIMEOUT", HANGING)
    budget = open_rate_limiter(server.url, api_key="k", base_url="u", on_failure="fail")
    budget.wait_time(1)
    server.signal(signal.SIGSTOP)
    before = signal.signal(signal.SIGALRM, lambda *_: budget.close())
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(HelpCrunchBudgetStoreError):
        budget.wait_time(1)
    signal.signal(signal.SIGALRM, before)
    server.signal(signal.SIGCONT)


def test_a_server_that_answers_anything_is_told(redis_server: StartRedis) -> None:
    for answer in (b":0\r\n", b"$-1\r\n", b"*-1\r\n", b"+OK\r\n", b"*1\r\n:1\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=parrot, args=(listener, answer))
            thread.start()
            url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
            budget = open_rate_limiter(url, api_key="k", base_url="u")
            with pytest.raises(HelpCrunchBudgetStoreError, match="not a Redis that can run scripts"):
                budget.permit(600, NEVER).__enter__()
            budget.close()
            thread.join()


def parrot(listener: socket.socket, answer: bytes) -> None:
    """Answer the same to all commands of one client."""
    peer, _ = listener.accept()
    with peer, contextlib.suppress(OSError):
        while heard := peer.recv(65536):
            peer.sendall(answer * heard.count(b"*"))


class Proxy:
    """A name that may lead to another server; whoever is connected stays where it is."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                for source, sink in ((peer, server), (server, peer)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source, sink:
            while heard := source.recv(65536):
                sink.sendall(heard)


def test_a_wrong_password_is_told_at_once_and_never_shown(redis_server: StartRedis) -> None:
    server = redis_server("--requirepass", "right")
    for redis in (Redis(port=server.port, password="hidden-word"), Redis(port=server.port)):
        budget = open_rate_limiter(redis, api_key="k", base_url="u")
        with pytest.raises(HelpCrunchBudgetStoreError, match="Correct user, password") as caught:
            budget.permit(600, NEVER).__enter__()
        seen = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert "hidden-word" not in "".join(seen.format())
        assert caught.value.__context__ is None
        budget.close()


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hidden-word@host:6379/0",
        "redis://user:hidden-word@host/0",
        "rediss://hidden-word@host/0",
        "redis://@host/0",
    ],
)
def test_a_password_in_the_address_is_refused_with_advice(url: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="name that in rate_limit_conn_id") as caught:
        HelpCrunchClient("a-key", rate_limit_store=url)
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "redis://host:port/0",
        "redis://host:99999/0",
        "redis://host/db",
        "redis://host/0/1",
        "redis://host/0?password=hidden-word",
        "redis://host/0#hidden-word",
        "rediss://host/-1",
    ],
)
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="must look like redis://host:6379/0") as caught:
        HelpCrunchClient("a-key", rate_limit_store=url)
    assert "hidden-word" not in str(caught.value)


def test_an_address_may_leave_out_port_and_database() -> None:
    with HelpCrunchClient("a-key", rate_limit_store="redis://host"):
        pass


def test_the_database_of_the_address_is_used(redis_server: StartRedis) -> None:
    server = redis_server()
    budget = open_rate_limiter(f"redis://localhost:{server.port}/3", api_key="k", base_url="u")
    budget.wait_time(1)
    budget.close()
    with server.admin() as admin:
        assert list(admin.info("keyspace")) == ["db3"]


def test_tls_is_spoken_and_certificates_are_checked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def hear() -> None:
            peer, _ = listener.accept()
            with peer:
                heard.append(peer.recv(3))

        thread = threading.Thread(target=hear)
        thread.start()
        url = f"rediss://127.0.0.1:{listener.getsockname()[1]}/0"
        budget = open_rate_limiter(url, api_key="k", base_url="u", on_failure="fail")
        with pytest.raises(HelpCrunchBudgetStoreError, match="with TLS cannot be used"):
            budget.wait_time(1)
        thread.join()
    assert heard[0][:2] == b"\x16\x03"
    kind = budget._store._redis.connection_pool.make_connection()  # type: ignore[attr-defined]
    assert (kind.check_hostname, kind.cert_reqs.name) == (True, "CERT_REQUIRED")


def test_without_redis_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "airflow_provider_helpcrunch.rate_limit.redis")
    with pytest.raises(HelpCrunchConfigurationError, match=r"airflow-provider-helpcrunch\[redis\]"):
        HelpCrunchClient("a-key", rate_limit_store="redis://host")


@pytest.mark.parametrize("mode", ["", "ignore", "WAIT"])
def test_an_unknown_mode_is_refused(mode: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="rate_limit_on_failure must be wait or fail"):
        HelpCrunchClient("a-key", rate_limit_on_failure=mode)
