"""Extras that Airflow cannot read, which it takes for empty ones."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.sandbox import Sandbox

BROKEN = ["{'ssl': true}", '{"ssl": true,}', "ssl=true", "{"]


def stored(connection: str, extra: str) -> str:
    """Return a connection with an extra as somebody typed it."""
    return json.dumps({**json.loads(connection), "extra": extra})


@pytest.mark.parametrize("extra", BROKEN)
def test_an_extra_of_the_connection_is_refused(
    extra: str, sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may name the store in which all workers count."""
    account = sandbox(agents=2)
    monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", stored(account.connection(), extra))
    with (
        HelpCrunchHook() as hook,
        pytest.raises(HelpCrunchConfigurationError, match="its extra must be a JSON object, such as"),
    ):
        hook.client.list_agents()
    succeeded, message = HelpCrunchHook().test_connection()
    assert (succeeded, "its extra must be a JSON object" in message) == (False, True)
    assert account.journal == []


@pytest.mark.parametrize("extra", BROKEN)
def test_an_extra_of_redis_is_refused(
    extra: str, sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may ask for TLS, without which the password would be readable on its way."""
    account = sandbox(agents=2)
    redis = {"conn_type": "redis", "host": "127.0.0.1", "port": 1, "password": "hidden-word"}
    monkeypatch.setenv("AIRFLOW_CONN_BUDGET", stored(json.dumps(redis), extra))
    monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", account.connection(rate_limit_conn_id="budget"))
    with (
        HelpCrunchHook() as hook,
        pytest.raises(HelpCrunchConfigurationError, match="'budget', whose extra must be a JSON object"),
    ):
        hook.client.list_agents()
    assert account.journal == []
