"""Fixtures for all tests: a sandbox, a client and a connection for it, and a budget that no other test shares."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter, RetryPolicy
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).parent))

from redis_server import RedisServer

QUICK = RetryPolicy(first_pause=0.01, longest_pause=0.05, deadline=10.0, patience=20.0)
"""Retries as ever, only with shorter pauses between them."""


FIRST_CHAT = 1_700_000_000
"""Near this moment, in November 2023, the first chat of the tests' sandboxes was created."""


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default budget lies in the temporary directory: give each test, and its child processes, its own."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes, without a rate limit unless one is given; they stop with the test."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Sandbox:
            # The first chat is of the same moment in all of them, however many there are.
            now = FIRST_CHAT + 300 * settings.get("chats", 300)
            return stack.enter_context(Sandbox(**{"rate_limit": None, "now": now, **settings}))

        yield start


@pytest.fixture
def client() -> Iterator[Callable[..., HelpCrunchClient]]:
    """Make clients of a sandbox, with short pauses and a roomy budget of their own unless others are given."""
    with contextlib.ExitStack() as stack:

        def connect(
            sandbox: Sandbox, *, limit: int = 100_000, period: float = 1.0, **arguments: Any
        ) -> HelpCrunchClient:
            arguments.setdefault("budget", RateLimiter(MemoryStore(limit, period), limit, period))
            arguments.setdefault("retry", QUICK)
            arguments.setdefault("base_url", sandbox.url)
            return stack.enter_context(HelpCrunchClient(arguments.pop("key", sandbox.key), **arguments))

        yield connect


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Start Redis servers, with the command line options given; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> RedisServer:
            server = RedisServer(tmp_path, *options)
            stack.callback(server.kill)
            return server.start()

        yield start


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the Airflow connection ``helpcrunch_default`` to a sandbox, with the extras given."""

    def connect(sandbox: Sandbox, **extra: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", sandbox.connection(**extra))

    return connect
