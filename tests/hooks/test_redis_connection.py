"""``rate_limit_conn_id``: an Airflow connection of type ``redis`` says where the request budget is kept."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer

from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError, HelpCrunchConfigurationError
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.sandbox import Sandbox

SetConnection = Callable[..., None]
StartRedis = Callable[..., RedisServer]
StartSandbox = Callable[..., Sandbox]


@pytest.fixture
def budget_connection(monkeypatch: pytest.MonkeyPatch) -> SetConnection:
    """Set the Airflow connection ``budget``."""

    def write(**fields: Any) -> None:
        connection = {"conn_type": "redis", "host": "127.0.0.1", "port": 6379, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_BUDGET", json.dumps(connection))

    return write


def refusal() -> str:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        _ = HelpCrunchHook().client
    assert HelpCrunchHook().test_connection() == (False, str(caught.value))
    return str(caught.value)


def slots(server: RedisServer, password: str | None = None) -> int:
    """Return how many slots of one account the server knows."""
    with server.admin(password) as admin:
        (key,) = admin.scan_iter("airflow-provider-helpcrunch:*")
        return int(admin.zcard(key)) - 1


def test_a_password_stays_in_the_connection(
    redis_server: StartRedis,
    sandbox: StartSandbox,
    connection: SetConnection,
    budget_connection: SetConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, account = redis_server("--requirepass", "hidden-word"), sandbox()
    budget_connection(port=server.port, password="hidden-word")
    connection(account, rate_limit_conn_id="budget", requests_per_minute=7)
    monkeypatch.setattr("airflow_provider_helpcrunch.client.client.open_rate_limiter", short_window)
    with HelpCrunchHook() as hook:
        hook.client.get_organization()
    assert len(account.journal) == 1
    assert slots(server, "hidden-word") == 7


def short_window(*args: Any, **kwargs: Any) -> Any:
    from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter

    return open_rate_limiter(*args, **kwargs, period=0.1)


def test_a_wrong_password_is_never_shown(
    redis_server: StartRedis,
    sandbox: StartSandbox,
    connection: SetConnection,
    budget_connection: SetConnection,
) -> None:
    server, account = redis_server("--requirepass", "right"), sandbox()
    budget_connection(port=server.port, password="hidden-word")
    connection(account, rate_limit_conn_id="budget")
    success, message = HelpCrunchHook().test_connection()
    assert not success
    assert (
        "Correct user, password, rights or database in the connection that rate_limit_conn_id names"
        in message
    )
    assert "hidden-word" not in message
    assert account.journal == []


def test_a_new_count_is_told_by_the_connection_test(
    redis_server: StartRedis, sandbox: StartSandbox, connection: SetConnection
) -> None:
    account = sandbox()
    connection(account, rate_limit_store=redis_server().url)
    success, message = HelpCrunchHook().test_connection()
    assert not success
    assert "is new or lost its count" in message
    assert re.search(r"Test again in (61|60|5\d) s", message)


def test_it_fails_at_once_when_redis_is_away(
    sandbox: StartSandbox, connection: SetConnection, budget_connection: SetConnection
) -> None:
    budget_connection(port=1)
    connection(sandbox(), rate_limit_conn_id="budget", rate_limit_on_failure="fail")
    started = time.monotonic()
    with (
        HelpCrunchHook() as hook,
        pytest.raises(HelpCrunchBudgetStoreError, match="127.0.0.1:1 cannot be used"),
    ):
        hook.client.get_organization()
    assert time.monotonic() - started < 60


def test_tls_with_a_certificate_authority_of_its_own(
    redis_server: StartRedis,
    sandbox: StartSandbox,
    connection: SetConnection,
    budget_connection: SetConnection,
    tmp_path: Path,
) -> None:
    key, certificate = certificate_in(tmp_path)
    options = ("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
    secure = RedisServer(tmp_path).port
    server = redis_server("--tls-port", str(secure), *options)
    account = sandbox()
    for extra, problem in (
        ({}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ssl_ca_certs": certificate}, "lost its count"),
    ):
        budget_connection(port=secure, host="localhost", extra={"ssl": True, **extra})
        connection(account, rate_limit_conn_id="budget", rate_limit_on_failure="fail")
        success, message = HelpCrunchHook().test_connection()
        assert not success
        assert problem in message
    assert slots(server) == 120


def certificate_in(folder: Path) -> tuple[str, str]:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return key, certificate


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"conn_type": "postgres"}, "a connection of type postgres, not redis"),
        ({"host": None}, "needs a host and a port"),
        ({"port": None}, "needs a host and a port"),
        ({"host": "redis://user:hidden-word@host"}, "host must be a name or an address alone"),
        ({"host": "user:hidden-word@127.0.0.1"}, "host must be a name or an address alone"),
        ({"extra": {"db": "x"}}, "db must be the number of a database"),
        ({"extra": {"db": -1}}, "db must be the number of a database"),
        ({"extra": {"ssl_cert_reqs": "require"}}, "ssl_cert_reqs must be required, optional or none"),
        ({"extra": {"cluster": True}}, "a Redis cluster; the rate limit store needs a single Redis"),
    ],
)
def test_a_connection_that_does_not_fit_is_refused(
    fields: dict[str, Any],
    said: str,
    sandbox: StartSandbox,
    connection: SetConnection,
    budget_connection: SetConnection,
) -> None:
    budget_connection(**fields, password="hidden-word")
    connection(sandbox(), rate_limit_conn_id="budget")
    message = refusal()
    assert "the extra rate_limit_conn_id names 'budget'" in message
    assert said in message
    assert "hidden-word" not in message


def test_a_missing_connection_is_named(sandbox: StartSandbox, connection: SetConnection) -> None:
    connection(sandbox(), rate_limit_conn_id="nowhere")
    assert "rate_limit_conn_id names 'nowhere', but there is no such connection" in refusal()


def test_an_address_instead_of_an_id_is_refused_without_showing_it(
    sandbox: StartSandbox, connection: SetConnection
) -> None:
    for given in ("redis://:hidden-word@host:6379/0", "redis://hidden-word", "hidden-word@host"):
        connection(sandbox(), rate_limit_conn_id=given)
        message = refusal()
        assert "must be the id of a connection of type redis, not an address" in message
        assert "hidden-word" not in message


def test_both_a_store_and_a_connection_are_refused(sandbox: StartSandbox, connection: SetConnection) -> None:
    connection(sandbox(), rate_limit_conn_id="budget", rate_limit_store="memory://")
    assert "set the extra rate_limit_store or rate_limit_conn_id, not both" in refusal()


def test_without_the_redis_provider_the_extra_is_named(
    sandbox: StartSandbox,
    connection: SetConnection,
    budget_connection: SetConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget_connection()
    connection(sandbox(), rate_limit_conn_id="budget")
    monkeypatch.setitem(sys.modules, "airflow.providers.redis.hooks.redis", None)
    assert "pip install 'airflow-provider-helpcrunch[redis]'" in refusal()
