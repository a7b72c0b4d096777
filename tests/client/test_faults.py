"""
The twenty scenarios in which other clients lose rows, hang or give up; here none may end silently wrong.

One row a scenario: the account's settings, what goes wrong, and whether the listing survives or which error it raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchError,
    HelpCrunchPaginationError,
)
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

AGENTS = 1000
FIFTH = 4 * 99
"""Offset of the fifth page."""

SCENARIOS: dict[str, tuple[dict[str, Any], list[Fault], type[HelpCrunchError] | None]] = {
    "page size capped": ({"page_cap": 40}, [], None),
    "offset ignored": ({"ignore_offset": True}, [], HelpCrunchPaginationError),
    "offset ignored, no total": ({"ignore_offset": True, "total": "missing"}, [], HelpCrunchPaginationError),
    "no meta": ({"total": "missing"}, [], None),
    "total too low": ({"total": "low"}, [], None),
    "total too high": ({"total": "high"}, [], None),
    "total zero": ({"total": "zero"}, [], None),
    "50 early rows deleted": ({}, [Fault("delete", rows=50, at="front", nth=4)], None),
    "50 rows inserted in front": ({}, [Fault("insert", rows=50, at="front", nth=4)], None),
    "one short page": ({}, [Fault("short_page", rows=50, offset=FIFTH)], None),
    "one empty page": ({}, [Fault("empty_page", offset=FIFTH)], None),
    "500 twice": ({}, [Fault("status", status=500, body="html", offset=FIFTH, times=2)], None),
    "429 once with Retry-After": ({}, [Fault("status", status=429, retry_after="1", offset=FIFTH)], None),
    "429 twice without Retry-After": ({}, [Fault("status", status=429, offset=FIFTH, times=2)], None),
    "truncated body": ({}, [Fault("truncate", offset=FIFTH)], None),
    "200 with HTML": ({}, [Fault("html", offset=FIFTH)], None),
    "200 with errors": ({}, [Fault("errors", offset=FIFTH)], None),
    "connection reset": ({}, [Fault("reset", offset=FIFTH)], None),
    "server hangs": ({}, [Fault("hang", offset=FIFTH)], None),
    "401 midway": ({}, [Fault("status", status=401, offset=FIFTH, times=0)], HelpCrunchAuthError),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_survived_or_loud(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient], scenario: str
) -> None:
    settings, faults, error = SCENARIOS[scenario]
    account = sandbox(agents=AGENTS, faults=faults, **settings)
    lasting = account.agents
    caller = client(account, read_timeout=1.0, budget=RateLimiter(MemoryStore(10_000, 0.5), 10_000, 0.5))
    if error:
        with pytest.raises(error):
            caller.list_agents()
        return
    got = caller.list_agents()
    now = account.agents
    assert len({agent["id"] for agent in got}) == len(got)
    assert [agent for agent in got if agent in lasting and agent in now] == [
        agent for agent in lasting if agent in now
    ]
    assert not faults or any(request.fault for request in account.journal), "the fault was never met"


def test_there_are_twenty_and_at_least_seventeen_are_survived() -> None:
    assert len(SCENARIOS) == 20
    assert sum(error is None for _, _, error in SCENARIOS.values()) >= 17
