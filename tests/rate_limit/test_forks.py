"""A client that was used before a fork works in the child, and goes on working in the parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer

from airflow_provider_helpcrunch.forks import _after_fork
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore
from airflow_provider_helpcrunch.rate_limit.store import Unreachable
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox


def forked(account: Sandbox, dripping: Sandbox, store: str) -> Any:
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("forking.py")),
            account.url,
            account.key,
            store,
            dripping.url,
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # before it, what the client logged


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        start: Callable[..., RedisServer] = request.getfixturevalue("redis_server")
        return start().url
    return {"memory": "memory://", "sqlite": f"sqlite://{tmp_path}/budget"}[request.param]


def test_children_and_parent_share_no_connection_lock_or_thread(
    sandbox: Callable[..., Sandbox], store: str
) -> None:
    account = sandbox(agents=250, departments=30)
    endless = sandbox(key=account.key, faults=[Fault("drip", times=0)])
    result = forked(account, endless, store)
    assert (result["parent"], result["wrong"]) == (True, [])
    for child in result["children"]:
        assert "error" not in child
        assert child["departments"] == [account.departments] * 5
        assert child["slow"] < 60


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_lock_that_another_thread_held_is_free_in_the_child(kind: str, tmp_path: Path) -> None:
    store: Any = MemoryStore(5, 1.0) if kind == "memory" else SQLiteStore(tmp_path / "budget", 5, 1.0)
    budget = RateLimiter(store, 5, 1.0)
    lock = store._slots.lock if kind == "memory" else store._lock
    with lock, budget._turn:
        store.after_fork() if kind == "sqlite" else store._slots.after_fork()
        budget.after_fork()
        assert isinstance(store.acquire(), int)
        assert not budget._turn.locked()


def test_a_real_fork_with_a_lock_held(tmp_path: Path) -> None:
    code = f"""
import os, sys, threading, warnings
from pathlib import Path

sys.path.insert(0, {str(Path(__file__).parent)!r})
import without_airflow
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore

warnings.simplefilter("ignore", DeprecationWarning)
store = SQLiteStore(Path({str(tmp_path / "budget")!r}), 5, 1.0)
held, over = threading.Event(), threading.Event()

def hold():
    with store._lock:
        held.set()
        over.wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
if (pid := os.fork()) == 0:
    os._exit(0 if isinstance(store.acquire(), int) else 1)
status = os.waitpid(pid, 0)[1]
over.set()
assert isinstance(store.acquire(), int)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=300, env={**os.environ}, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_holder_that_cannot_go_on_keeps_no_other_from_it(tmp_path: Path) -> None:
    """The directory of a budget may be gone by the time of the fork; only who uses that budget hears of it."""
    first = SQLiteStore(tmp_path / "gone", 5, 1.0)
    (tmp_path / "place").mkdir()
    lost = SQLiteStore(tmp_path / "place" / "budget", 5, 1.0)
    last = SQLiteStore(tmp_path / "other", 5, 1.0)
    for file in (tmp_path / "place").iterdir():
        file.unlink()
    (tmp_path / "place").rmdir()
    _after_fork()
    assert isinstance(lost.acquire(), Unreachable)
    assert isinstance(first.acquire(), int)
    assert isinstance(last.acquire(), int)
