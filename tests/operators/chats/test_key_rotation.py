"""The key is replaced while tasks move chats: the steps of docs/security.md, and what they rely on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.sandbox import Sandbox

LEAVER, OTHER = 1001, 1005
OLD, NEW = "sandbox-key", "the-new-key"
EXTRA = {"requests_per_minute": 3000, "rate_limit_store": "memory://"}
StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
Connect = Callable[..., None]


TO_HAPPEN: dict[int, Callable[[], None]] = {}
"""What happens before which chat of a task is assigned, counted from 0."""


def round_robin_while(chat: Mapping[str, Any], loads: Mapping[int, int]) -> int:
    """Choose an agent, as a strategy does, while something happens."""
    happens = TO_HAPPEN.pop(sum(loads.values()), None)
    if happens:
        happens()
    return min(loads, key=lambda agent: loads[agent])


STRATEGY = f"{__name__}.round_robin_while"


def test_the_documented_steps_fail_no_run(
    account: StartAccount,
    reassign: Reassign,
    connection: Connect,
    importable: None,
) -> None:
    server = account(*["opened"] * 8)
    server.insert_chats(3, assignee=OTHER)

    def steps_1_to_3() -> None:
        server.add_key(NEW)
        connection(server, **EXTRA)
        with HelpCrunchHook() as hook:
            assert hook.test_connection()[0]
        assert len(reassign(from_agents=OTHER)["chats"]) == 3

    TO_HAPPEN[4] = steps_1_to_3
    # This task began before the rotation, and ends after it: step 4.
    assert len(reassign(strategy=STRATEGY)["chats"]) == 8
    assert not TO_HAPPEN
    server.revoke_key(OLD)
    server.insert_chats(2, assignee=LEAVER)
    assert len(reassign()["chats"]) == 2
    assert {request.status for request in server.journal} == {200}


def test_a_key_that_is_deleted_too_early_fails_at_once_and_a_cleared_task_goes_on_with_the_new_one(
    account: StartAccount,
    reassign: Reassign,
    connection: Connect,
    importable: None,
) -> None:
    server = account(*["opened"] * 7)
    server.add_key(NEW)
    TO_HAPPEN[4] = lambda: server.revoke_key(OLD)
    with pytest.raises(HelpCrunchAuthError, match="Check the API key") as refused:
        reassign(strategy=STRATEGY)
    # Airflow does not retry it, and one request was enough to know.
    assert isinstance(refused.value, AirflowFailException)
    assert [request.authorized for request in server.journal].count(False) == 1
    assert len(server.chats_of(LEAVER)) == 3

    connection(server, **EXTRA)
    assert len(reassign()["chats"]) == 3
    assert server.chats_of(LEAVER) == []


def test_a_hook_keeps_the_key_it_began_with_and_the_next_one_has_the_new_one(
    account: StartAccount, connection: Connect
) -> None:
    server = account()
    with HelpCrunchHook() as running:
        running.client.list_agents()
        server.add_key(NEW)
        connection(server, **EXTRA)
        running.client.list_agents()
        server.revoke_key(OLD)
        with HelpCrunchHook() as later:
            later.client.list_agents()
        with pytest.raises(HelpCrunchAuthError):
            running.client.list_agents()
