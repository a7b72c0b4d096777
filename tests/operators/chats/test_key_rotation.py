"""The key is replaced while a task moves chats: what docs/security.md says about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

LEAVER = 1001
WRITE = "/v1/chats/assignee"
StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]


def replace_key(server: Sandbox, key: str) -> None:
    """Let the account know this key alone; ``server.connection()`` has the key of the start."""
    settings = replace(server._settings, key=key)
    server._settings = server._state.settings = settings


def test_a_key_that_is_deleted_too_early_fails_at_once_and_a_cleared_task_goes_on_with_the_new_one(
    account: StartAccount, reassign: Reassign, connection: Callable[..., None]
) -> None:
    server = account()
    server.insert_chats(7, assignee=LEAVER)
    server.add_fault(Fault("status", method="PUT", path=WRITE, nth=4, times=0, status=401))
    with pytest.raises(HelpCrunchAuthError, match="Check the API key") as refused:
        reassign()
    # Airflow does not retry it, and one request was enough to know.
    assert isinstance(refused.value, AirflowFailException)
    assert len(server.requests(WRITE, "PUT")) == 4
    assert len(server.chats_of(LEAVER)) == 4

    server.clear_faults()
    replace_key(server, "the-new-key")
    with pytest.raises(HelpCrunchAuthError):
        reassign()
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")
    assert len(reassign()["chats"]) == 4
    assert server.chats_of(LEAVER) == []


def test_a_hook_keeps_the_key_it_began_with_and_the_next_one_has_the_new_one(
    account: StartAccount, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = account()
    with HelpCrunchHook() as running:
        running.client.list_agents()
        monkeypatch.setenv(
            "AIRFLOW_CONN_HELPCRUNCH_DEFAULT", server.connection().replace(server.key, "the-new-key")
        )
        running.client.list_agents()
        assert all(request.authorized for request in server.journal)
        with HelpCrunchHook() as later, pytest.raises(HelpCrunchAuthError):
            later.client.list_agents()
        replace_key(server, "the-new-key")
        with HelpCrunchHook() as later:
            later.client.list_agents()
        with pytest.raises(HelpCrunchAuthError):
            running.client.list_agents()
