"""Fixtures for all tests: a sandbox, a client and a connection for it, and a budget that no other test shares."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Workers of pytest-xdist run side by side, and each Airflow writes into its home: this comes before it is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    os.environ["AIRFLOW_HOME"] = str(home / os.environ["PYTEST_XDIST_WORKER"])

from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter, RetryPolicy, transport
from airflow_provider_helpcrunch.rate_limit import redis as redis_store
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "scripts"))

from in_process import SERVING, ShortCut
from redis_server import RedisServer

if find_spec("hypothesis"):  # which the environments of some tests do without
    from hypothesis import HealthCheck, settings

    # However long an example takes, it is the machine that is slow.
    settings.register_profile(
        "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")

QUICK = RetryPolicy(first_pause=0.01, longest_pause=0.05, deadline=10.0, patience=20.0)
"""Retries as ever, only with shorter pauses between them."""


FIRST_CHAT = 1_700_000_000
"""Near this moment, in November 2023, the first chat of the tests' sandboxes was created."""


SERVERS = {"sandbox", "redis_server", "s3", "run_python"}
"""Fixtures that start servers or processes."""

NOT_FAST = ("slow", "packaging", "release", "distributed", "foreign", "site", "ui")
"""Markers of tests that are slow, or that need an environment of their own."""

LIBRARIES = {"airflow_process", "redis_server", "signal", "socket", "subprocess", "threading", "time"}
"""Modules that only tests import which start processes or threads, listen, or wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark unit tests as ``fast``, and put the longest modules first, so that no worker ends late."""
    heavy = {module: _is_heavy(module) for module in {_module(item) for item in items}}
    for item in items:
        needs_servers = SERVERS.intersection(getattr(item, "fixturenames", ()))
        if not (heavy[_module(item)] or needs_servers or any(map(item.get_closest_marker, NOT_FAST))):
            item.add_marker("fast")
    items.sort(key=lambda item: not heavy[_module(item)])


def _module(item: pytest.Item) -> ModuleType:
    module: ModuleType = item.module  # type: ignore[attr-defined]
    return module


def _is_heavy(module: ModuleType) -> bool:
    names = (
        getattr(value, "__module__", None) or getattr(value, "__name__", None)
        for value in vars(module).values()
    )
    return not LIBRARIES.isdisjoint(name for name in names if isinstance(name, str))


_EMPTY: list[Path] = []
"""A temporary directory in which the tests so far have left nothing, if there is one."""


@pytest.fixture(autouse=True)
def own_temporary_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """
    The default budget lies in the temporary directory: give each test, and its child processes, an empty one.

    Most tests leave nothing there, and making a directory for each of them took a tenth of all their time.
    """
    directory = _EMPTY.pop() if _EMPTY else tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    if directory.is_dir() and not any(directory.iterdir()):
        _EMPTY.append(directory)


@pytest.fixture(autouse=True)
def own_count_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Forget the counts that earlier tests kept in memory.

    A count goes by the key and the address, and a sandbox may be given the port of an earlier one.
    """
    monkeypatch.setattr(MemoryStore, "_accounts", {})


@pytest.fixture
def sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes, without a rate limit unless one is given; they stop with the test."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Sandbox:
            # The first chat is of the same moment in all of them, however many there are.
            now = FIRST_CHAT + 300 * settings.get("chats", 300)
            started = stack.enter_context(Sandbox(**{"rate_limit": None, "now": now, **settings}))
            SERVING[started.port] = started.adapter()
            stack.callback(SERVING.pop, started.port)
            return started

        yield start
        # A failed listing leaves requests under way; they end before the sandbox stops beneath them.
        for thread in threading.enumerate():
            if thread.name.startswith("helpcrunch-page"):
                thread.join(10)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clients of this process reach the sandboxes of the fixture ``sandbox`` without a socket."""
    monkeypatch.setattr(transport, "WatchedAdapter", ShortCut)


@pytest.fixture
def client() -> Iterator[Callable[..., HelpCrunchClient]]:
    """Make clients of a sandbox, with short pauses and a roomy budget of their own unless others are given."""
    with contextlib.ExitStack() as stack:

        def connect(
            sandbox: Sandbox, *, limit: int = 1_000, period: float = 1.0, **arguments: Any
        ) -> HelpCrunchClient:
            arguments.setdefault("budget", RateLimiter(MemoryStore(limit, period), limit, period))
            arguments.setdefault("retry", QUICK)
            arguments.setdefault("base_url", sandbox.url)
            return stack.enter_context(HelpCrunchClient(arguments.pop("key", sandbox.key), **arguments))

        yield connect


@pytest.fixture
def hand_time(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let rate limiters, patience and deferred tasks go by a clock that only waiting moves; return it."""
    import hand_time

    return hand_time.install(monkeypatch)


@pytest.fixture
def redis_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RedisServer]]:
    """Start Redis servers, with the command line options given; they end with the test, and may be slow until then."""
    monkeypatch.setattr(redis_store, "TIMEOUT", 60.0)
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> RedisServer:
            server = RedisServer(tmp_path, *options)
            stack.callback(server.kill)
            return server.start()

        yield start


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a port on which nobody listens, and which nobody is given before the test ends."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the Airflow connection ``helpcrunch_default`` to a sandbox, with the extras given."""

    def connect(sandbox: Sandbox, **extra: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", sandbox.connection(**extra))

    return connect
