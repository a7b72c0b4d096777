"""The list of agents, which cannot be read while chats are moved: the move goes on without it, and says so."""

from __future__ import annotations

from typing import Any

import pytest
from in_process import client_of

from airflow_provider_helpcrunch.assignment import round_robin
from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint, columns, from_columns
from airflow_provider_helpcrunch.chats.reassignment import Reassignment, ReassignmentRun
from airflow_provider_helpcrunch.exceptions import HelpCrunchRateLimitError
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

LEAVER, TARGETS = 1001, (1002, 1003)
AGENTS, ASSIGNEE = "/v1/agents", "/v1/chats/assignee"


@pytest.fixture
def account() -> Sandbox:
    """An account whose only chats are eight of the leaver's."""
    sandbox = Sandbox(agents=4, chats=0)
    sandbox.insert_chats(8, assignee=LEAVER)
    return sandbox


def run_of(checkpoint: Checkpoint) -> ReassignmentRun:
    work: dict[str, Any] = {"sources": (LEAVER,), "recipients": TARGETS, "department": None, "statuses": None}
    work |= {"strategy": "round_robin", "most": None, "dry_run": False}
    return ReassignmentRun(Reassignment(**work), round_robin, checkpoint)


def owners(account: Sandbox) -> set[int]:
    return {chat["assignee"]["id"] for chat in account.chats}


def test_after_a_deferral_the_report_does_without_names(
    account: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint()
    with pytest.raises(HelpCrunchRateLimitError):
        list(run_of(checkpoint).run(client_of(account, 5)))
    account.add_fault(Fault("status", path=AGENTS, status=400, times=0))
    run = run_of(Checkpoint.from_json(checkpoint.to_json(columns), from_columns))
    list(run.run(client_of(account)))
    assert run.names == {}
    assert owners(account) == set(TARGETS)
    assert "The names of the agents could not be read, so the report has only ids: GET /agents" in caplog.text


def test_an_agent_whom_a_refusal_blames_stays_if_nobody_knows_better(
    account: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    account.add_fault(Fault("vanish", path=ASSIGNEE, nth=2, agent=TARGETS[1]))
    account.add_fault(Fault("status", path=AGENTS, status=400, nth=2))
    list(run_of(Checkpoint()).run(client_of(account)))
    assert f"Could not find out whether agent {TARGETS[1]} still exists: GET /agents" in caplog.text
    assert f"Agent {TARGETS[1]} has left the account, and gets no more chats." in caplog.text
    tried = [request.body["assignee"] for request in account.requests(ASSIGNEE)]
    assert tried.count(TARGETS[1]) == 2, "dropped before anybody knew, or asked for again and again"
    assert owners(account) == {TARGETS[0]}
