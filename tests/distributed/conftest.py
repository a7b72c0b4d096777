"""One cluster, one account and one log for all tests of this folder."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

sys.path.append(str(Path(__file__).parent))

import cluster as clusters
from processes import ProcessError, raise_on_signals

DAGS = Path(__file__).parent / "dags"
AGENTS = 160
CHATS = 5000
OF_THE_LEAVER = 400
OF_THE_CROWD = 130
LATENCY = 0.2
"""Seconds of each answer: long enough that a worker can be killed while it waits for one."""


def pytest_exception_interact(call: pytest.CallInfo[object]) -> None:
    """Say once, and not for each test that comes after it, that a part of the cluster has ended or hangs."""
    if call.excinfo and isinstance(call.excinfo.value, ProcessError | TimeoutError):
        pytest.exit(
            f"The cluster failed, so nothing else was tested. All logs: {clusters.LOGS}", returncode=1
        )


class Story:
    """Events with their times, shown on the terminal while the tests run."""

    def __init__(self, plugins: pytest.PytestPluginManager) -> None:
        self._terminal = plugins.get_plugin("terminalreporter")
        self._capture = plugins.get_plugin("capturemanager")
        self._began = time.monotonic()
        self._table: list[tuple[str, str, object]] = []

    def say(self, step: str) -> None:
        self._write(f"{time.monotonic() - self._began:6.0f} s  {step}")

    def note(self, what: str, wanted: str, measured: object) -> None:
        """Keep a line of the table at the end."""
        self._table.append((what, wanted, measured))

    def tell_table(self) -> None:
        heads = [("", "asserted", "measured")] if self._table else []
        for what, wanted, measured in (*heads, *self._table):
            self._write(f"  {what:<52} {wanted:<18} {measured}")

    def _write(self, line: str) -> None:
        with self._capture.global_and_fixture_disabled():
            self._terminal.ensure_newline()
            self._terminal.write_line(line)
            self._terminal.flush()


@pytest.fixture(scope="session")
def story(request: pytest.FixtureRequest) -> Iterator[Story]:
    story = Story(request.config.pluginmanager)
    yield story
    story.tell_table()


@pytest.fixture(scope="session")
def account(story: Story) -> Iterator[Sandbox]:
    """The first agent is to leave and has 400 open chats; the second has some; the third has all the others."""
    with Sandbox(agents=AGENTS, chats=0, latency=LATENCY) as sandbox:
        leaver, crowded, other = (agent["id"] for agent in sandbox.agents[:3])
        half, odd = divmod(CHATS - OF_THE_LEAVER - OF_THE_CROWD, 2)
        sandbox.insert_chats(half, status="closed", assignee=other)
        sandbox.insert_chats(OF_THE_LEAVER, assignee=leaver)
        sandbox.insert_chats(OF_THE_CROWD, assignee=crowded)
        sandbox.insert_chats(half + odd, status="closed", assignee=other)
        story.say(f"HelpCrunch has {AGENTS} agents and {CHATS:,} chats; it answers 120 requests a minute")
        yield sandbox


@pytest.fixture(scope="session")
def curtain() -> Iterator[contextlib.ExitStack]:
    """Return the function that ends the cluster: called by the last test, or else at the end of the session."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def cluster(story: Story, account: Sandbox, curtain: contextlib.ExitStack) -> clusters.Cluster:
    raise_on_signals()
    # The setup that docs/workers.md recommends for workers on many machines.
    connection = account.connection(rate_limit_conn_id="redis_default")
    return curtain.enter_context(clusters.running(DAGS, connection, story.say))
