"""Mapped tasks, one for each agent who leaves, at the same time on one budget."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.client import client
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, runner
from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

StartAccount = Callable[..., Sandbox]

LEAVERS = (1001, 1005)
HERE = Path(__file__).parent


def owners(server: Sandbox) -> Counter[int]:
    return Counter(chat["assignee"]["id"] for chat in server.chats)


def start(server: Sandbox, limit: int, leaver: int, folder: Path) -> subprocess.Popen[bytes]:
    (folder / str(leaver)).mkdir()
    starter = str(folder / "go")
    arguments = {"from_agents": leaver, "to_agents": [1002, 1003], "store": False, "starter": starter}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", HERE / "hand_over.py", folder / str(leaver), json.dumps(arguments)],
        env={**os.environ, "AIRFLOW_CONN_HELPCRUNCH_DEFAULT": server.connection(requests_per_minute=limit)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_two_processes_share_the_budget(account: StartAccount, tmp_path: Path) -> None:
    """The limit is what both need together, so one request too many would be answered 429."""
    chats = 60
    needed = 2 * (chats + 2 + 1)
    # Slow enough that neither is done before the other has begun, even on a busy machine.
    server = account(rate_limit=needed, window=60.0, latency=0.1)
    for leaver in LEAVERS:
        server.insert_chats(chats, assignee=leaver)
    with contextlib.ExitStack() as stack:
        tasks = [stack.enter_context(start(server, needed, leaver, tmp_path)) for leaver in LEAVERS]
        stack.callback(lambda: [task.kill() for task in tasks])
        while not all((tmp_path / str(leaver) / "ready").exists() for leaver in LEAVERS):
            assert [task.poll() for task in tasks] == [None, None]
            time.sleep(0.01)
        (tmp_path / "go").touch()
        assert [task.wait(300) for task in tasks] == [0, 0]
    results = [json.loads((tmp_path / str(leaver) / "xcom.json").read_text()) for leaver in LEAVERS]
    assert [result["return_value"]["changed"] for result in results] == [chats, chats]
    assert owners(server) == {1002: chats, 1003: chats}
    assert (server.count(429), len(server.journal)) == (0, needed)
    writers = [write.body["id"] for write in server.writes()]
    assert writers != sorted(writers)  # they did run at the same time


def test_two_threads_share_a_budget_that_runs_out(
    account: StartAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "open_rate_limiter", functools.partial(open_rate_limiter, period=1.1))
    monkeypatch.setattr(runner, "BRIEF", 0.1)
    extra = {"requests_per_minute": 30, "rate_limit_store": "sqlite://"}
    server = account(rate_limit=30, window=1.0, extra=extra)
    for leaver in LEAVERS:
        server.insert_chats(35, assignee=leaver)
    tasks = [
        ReassignChatsOperator(task_id=f"from_{leaver}", from_agents=leaver, to_agents=[1002, 1003, 1004])
        for leaver in LEAVERS
    ]
    # Not as it is wrapped by Airflow, of which 2.11 lets no other than the main thread call it by hand.
    execute = inspect.unwrap(ReassignChatsOperator.execute)
    with ThreadPoolExecutor(len(tasks)) as pool:
        results = list(pool.map(lambda task: execute(task, {}), tasks))
    assert [result["changed"] for result in results] == [35, 35]
    assert owners(server) == {1002: 24, 1003: 24, 1004: 22}
    assert server.count(429) == 0
    assert server.busiest_window(1.0) <= 30
    assert len(server.writes()) == len({write.chat for write in server.writes()})
