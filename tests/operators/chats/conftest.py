"""Fixtures for the tests about many chats: an account whose agent 1001 leaves, and quick retries."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest
from team import Team

from airflow_provider_helpcrunch.client import RetryPolicy
from airflow_provider_helpcrunch.hooks import helpcrunch
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator
from airflow_provider_helpcrunch.operators.chats.bulk import ChatBulkOperator
from airflow_provider_helpcrunch.sandbox import Sandbox, endpoints
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer

LEAVER = 1001
TARGETS = (1002, 1003, 1004)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tasks repeat as often as ever, only with shorter pauses."""
    quick = functools.partial(RetryPolicy, first_pause=0.01, longest_pause=0.05)
    monkeypatch.setattr(helpcrunch, "RetryPolicy", quick)


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch, task_log: Callable[..., Any]) -> Team:
    """Make a team whose tasks that change chats write to its log."""
    made = Team(monkeypatch)
    made.log = task_log(ChatBulkOperator(task_id="log"))
    return made


@pytest.fixture
def account(sandbox: Callable[..., Sandbox], connection: Callable[..., None]) -> Callable[..., Sandbox]:
    """Start an account of six agents whose only chats are those of the leaver, in the statuses given."""

    def start(
        *statuses: str, agents: int = 6, extra: dict[str, Any] | None = None, **settings: Any
    ) -> Sandbox:
        server = sandbox(agents=agents, chats=0, **settings)
        connection(server, **{"requests_per_minute": 3000, "rate_limit_store": "memory://", **(extra or {})})
        for status in statuses:
            server.insert_chats(1, assignee=LEAVER, status=status)
        return server

    return start


@pytest.fixture
def reassign() -> Callable[..., dict[str, Any]]:
    """Execute a task that gives the chats of the leaver to three others by default."""

    def run(context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        given = {"from_agents": LEAVER, "to_agents": list(TARGETS), **arguments}
        return ReassignChatsOperator(task_id="reassign", **given).execute(context or {})

    return run


@pytest.fixture
def importable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the functions of the test's own module be found by their import path."""
    monkeypatch.setitem(sys.modules, request.module.__name__, request.module)


@pytest.fixture
def twist(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a function of the test between the sandbox and its answers to searches, or to another request."""

    def install(
        answer: Callable[[Request, Callable[[Request], Answer]], Answer],
        route: tuple[str, str] = ("POST", "/v1/chats/search"),
    ) -> None:
        honest = endpoints.ROUTES[route]

        def twisted(account: Any, settings: Any, request: Request) -> Answer:
            return answer(request, lambda asked: honest(account, settings, asked))

        monkeypatch.setitem(endpoints.ROUTES, route, twisted)

    return install
