"""``HelpCrunchHook.test_connection``: one request, and a sentence that a person can act on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow_process import run

from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

CONNECTION = "AIRFLOW_CONN_HELPCRUNCH_DEFAULT"
KEY = "hc-5fQ8wZ1nB7xK3mT9vR2cL6yD4pS0gH"
AIRFLOW_3 = int(airflow.__version__.split(".")[0]) >= 3

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]


def outcome() -> tuple[bool, str]:
    """Test the default connection, which must end soon and whose sentence must not hold the key."""
    started = time.monotonic()
    success, message = HelpCrunchHook().test_connection()
    assert time.monotonic() - started < 30
    assert KEY not in message
    assert "\n" not in message
    return success, message


def point_at(monkeypatch: pytest.MonkeyPatch, host: str, **extra: Any) -> None:
    fields = {"conn_type": "helpcrunch", "password": KEY, "host": host, "extra": extra}
    monkeypatch.setenv(CONNECTION, json.dumps(fields))


def test_success_names_the_organization(sandbox: StartSandbox, connection: SetConnection) -> None:
    server = sandbox(key=KEY)
    connection(server)
    success, message = outcome()
    assert success
    assert "shop" in message
    assert [(r.method, r.path, r.status) for r in server.journal] == [("GET", "/v1/organization", 200)]


def test_the_key_alone_decides(sandbox: StartSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    server = sandbox(key="another-key")
    point_at(monkeypatch, server.url)
    success, message = outcome()
    assert not success
    assert "401" in message
    assert "Paste the key" in message
    assert len(server.journal) == 1


@pytest.mark.parametrize("status", [401, 400, 403, 500])
def test_an_echoed_key_is_not_repeated(status: int, sandbox: StartSandbox, connection: SetConnection) -> None:
    server = sandbox(key=KEY, faults=[Fault("echo_key", status=status)])
    connection(server)
    success, message = outcome()
    assert not success
    assert str(status) in message
    assert "***" in message
    assert len(server.journal) == 1


@pytest.mark.parametrize(
    ("fault", "said", "advice"),
    [
        (Fault("html"), "text/html", "not HelpCrunch"),
        (Fault("garbage"), "not JSON", "not HelpCrunch"),
        (Fault("no_data"), "no organization", "not HelpCrunch"),
        (Fault("data_null"), "no organization", "not HelpCrunch"),
        (Fault("status", status=404, body="html"), "404", "not HelpCrunch"),
        (Fault("redirect"), "redirect", "URL"),
        (Fault("status", status=500), "500", "Test again later"),
        (Fault("status", status=503, body="html"), "503", "Test again later"),
        (Fault("status", status=502, body="empty"), "502", "Test again later"),
        (Fault("status", status=403), "403", "Paste the key"),
        (Fault("status", status=429), "429", "Test again in"),
        (Fault("reset"), "connection reset", "network"),
        (Fault("close"), "connection closed without a response", "network"),
        (Fault("truncate"), "connection closed midway", "network"),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
def test_a_failure_says_what_to_do_after_one_request(
    fault: Fault, said: str, advice: str, sandbox: StartSandbox, connection: SetConnection
) -> None:
    server = sandbox(key=KEY, faults=[fault])
    connection(server)
    success, message = outcome()
    assert not success
    assert said in message
    assert advice in message
    assert len(server.journal) == 1


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("drip", seconds=0.2)], ids=lambda fault: fault.kind)
def test_an_answer_that_does_not_come(fault: Fault, sandbox: StartSandbox, connection: SetConnection) -> None:
    server = sandbox(key=KEY, faults=[fault])
    connection(server, read_timeout=0.4)
    success, message = outcome()
    assert not success
    assert "timed out after" in message
    assert "Check the API URL (host)" in message
    while not server.journal:
        time.sleep(0.005)  # a server that stood still reads a request that was given up, too
    assert len(server.journal) == 1


def test_wrong_path(sandbox: StartSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    server = sandbox(key=KEY)
    point_at(monkeypatch, server.url + "/v1")
    success, message = outcome()
    assert not success
    assert "404" in message
    assert "leave host empty for the default" in message


def test_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, "no-such-machine.invalid")
    success, message = outcome()
    assert not success
    assert "no-such-machine.invalid" in message
    assert "Check the API URL (host)" in message


def test_nobody_listens(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, f"http://127.0.0.1:{closed_port}")
    success, message = outcome()
    assert not success
    assert "refused" in message
    assert f"http://127.0.0.1:{closed_port}/v1" in message


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\x16", b""])
def test_something_else_listens(
    answer: bytes, raw_server: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, raw_server(lambda _: answer))
    success, message = outcome()
    assert not success
    assert "Check the API URL (host)" in message


def test_spent_budget_is_told_apart_from_a_wrong_key(
    sandbox: StartSandbox, connection: SetConnection
) -> None:
    server = sandbox(key=KEY)
    connection(server, requests_per_minute=2)
    with HelpCrunchHook() as hook:
        hook.client.get_organization()
        hook.client.get_organization()
    success, message = outcome()
    assert not success
    assert "The key was not tested" in message
    assert "Test again in" in message
    assert len(server.journal) == 2


def test_unusable_budget_store(sandbox: StartSandbox, connection: SetConnection, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server = sandbox(key=KEY)
    connection(server, rate_limit_store=f"sqlite://{tmp_path}")
    success, message = outcome()
    assert not success
    assert str(tmp_path) in message
    assert "set rate_limit_store" in message
    assert server.journal == []


@pytest.mark.parametrize(
    "connection_text",
    [
        None,
        "",
        "{",
        '{"conn_type": "helpcrunch", "password": "KEY"',
        '{"conn_type": "helpcrunch", "password": "KEY", "port": "x"}',
        '{"conn_type": "helpcrunch", "password": "KEY", "no_such_field": 1}',
        '{"conn_type": "helpcrunch", "password": "KEY", "host": "https://[::1"}',
        '{"conn_type": "helpcrunch", "password": "KEY", "host": "http:// /v1"}',
        '{"conn_type": "helpcrunch", "password": "KEY", "extra": "[1]"}',
        "helpcrunch://:KEY/KEY@host",
        "helpcrunch://:KEY#@host",
    ],
)
def test_never_raises(connection_text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection_text is None:
        monkeypatch.delenv(CONNECTION, raising=False)
    else:
        monkeypatch.setenv(CONNECTION, connection_text.replace("KEY", KEY))
    success, message = outcome()
    assert not success
    assert message


def test_tests_the_connection_as_it_is_now(sandbox: StartSandbox, connection: SetConnection) -> None:
    server, other = sandbox(key=KEY), sandbox(key=KEY, seed=2)
    connection(server)
    with HelpCrunchHook() as hook:
        hook.client.get_organization()
        connection(other)
        assert hook.test_connection()[0]
        hook.client.get_organization()
    assert (len(server.journal), len(other.journal)) == (2, 1)


def said_by(code: str, home: Path, *arguments: str) -> str:
    """Run Python in a process of its own, on an Airflow that has nothing yet, and return what it prints."""
    said = run(
        code,
        home,
        *arguments,
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
    )
    assert KEY not in said
    return said


# Two runs of one command in one process: loading Airflow takes longer than all else.
COMMAND_LINE = """
import contextlib, json, os, sys
from airflow.cli.cli_parser import get_parser
for connection in sys.argv[1:]:
    os.environ["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = connection
    arguments = get_parser().parse_args(["connections", "test", "helpcrunch_default"])
    with contextlib.suppress(SystemExit):
        arguments.func(arguments)
"""


def test_airflow_command_line(sandbox: StartSandbox, tmp_path: Path) -> None:
    server, other = sandbox(key=KEY), sandbox(key="another-key")
    wrong = json.dumps({"conn_type": "helpcrunch", "password": KEY, "host": other.url})
    said = " ".join(said_by(COMMAND_LINE, tmp_path, server.connection(), wrong).split())
    success, _, failure = said.partition("Connection success!")
    assert "failed" not in success
    assert "Connection failed!" in failure
    assert "Paste the key into the field API key" in failure
    assert [request.path for request in server.journal + other.journal] == ["/v1/organization"] * 2


ASK_API = """
import json, sys
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient
client = TestClient(create_app(apps="core"))
token = client.get("/auth/token").json()["access_token"]
connection = {"connection_id": "typed_in", "conn_type": "helpcrunch", **json.loads(sys.argv[1])}
answer = client.post("/api/v2/connections/test", json=connection, headers={"Authorization": f"Bearer {token}"})
print(json.dumps([answer.status_code, answer.json()]))
"""


@pytest.mark.long
@pytest.mark.skipif(not AIRFLOW_3, reason="the button of Airflow 3's connection form")
def test_airflow_form(sandbox: StartSandbox, tmp_path: Path) -> None:
    server = sandbox(key=KEY)
    fields = {"password": KEY, "host": server.url, "extra": '{"read_timeout": null}'}
    status, answer = json.loads(said_by(ASK_API, tmp_path, json.dumps(fields)).strip().splitlines()[-1])
    assert (status, answer["status"]) == (200, True)
    assert "HelpCrunch knows this key" in answer["message"]
    assert [request.path for request in server.journal] == ["/v1/organization"]
