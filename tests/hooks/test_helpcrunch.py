"""The hook: what of a connection reaches the client, and what is refused before anything is sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_helpcrunch._airflow import AirflowNotFoundException
from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchRateLimitError
from airflow_provider_helpcrunch.hooks.helpcrunch import EXTRAS, HelpCrunchHook
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.older

CONNECTION = "AIRFLOW_CONN_HELPCRUNCH_DEFAULT"
DEFAULT_URL = "https://api.helpcrunch.com/v1"

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]


@pytest.fixture
def fields(monkeypatch: pytest.MonkeyPatch) -> SetConnection:
    """Set ``helpcrunch_default`` from fields, beginning with a key that looks right."""

    def write(**fields: Any) -> None:
        connection = {"conn_type": "helpcrunch", "password": "a-key-that-looks-right", **fields}
        monkeypatch.setenv(CONNECTION, json.dumps(connection))

    return write


@pytest.fixture
def warnings_logged() -> Any:
    """Collect what the hook's module warns about."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("airflow_provider_helpcrunch.hooks.helpcrunch")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def client_arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the hook gives to the client; ``open_rate_limiter`` and ``Transport`` get it unchanged."""
    given: dict[str, Any] = {}

    def record(api_key: str, **arguments: Any) -> HelpCrunchClient:
        given.update(arguments)
        return HelpCrunchClient(api_key, **arguments)

    monkeypatch.setattr("airflow_provider_helpcrunch.hooks.helpcrunch.HelpCrunchClient", record)
    with HelpCrunchHook() as hook:
        _ = hook.client
    return given


def refusal(hook: HelpCrunchHook | None = None) -> str:
    """Return why the hook refuses its connection."""
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        _ = (hook or HelpCrunchHook()).client
    return str(caught.value)


class TestLife:
    def test_nothing_is_read_before_the_client_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            msg = "the connection was read too early"
            raise AssertionError(msg)

        monkeypatch.setattr(HelpCrunchHook, "get_connection", fail)
        hook = HelpCrunchHook("no_such_connection")
        with hook:
            hook.close()
        assert hook.helpcrunch_conn_id == "no_such_connection"

    def test_nothing_is_sent_before_a_method_of_the_client_is_called(
        self, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=3)
        connection(server)
        with HelpCrunchHook() as hook:
            client = hook.client
            assert server.journal == []
            assert client.list_agents() == server.agents

    def test_client_is_made_once(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        connection(sandbox())
        with HelpCrunchHook() as hook:
            assert hook.get_conn() is hook.client is hook.get_conn()

    def test_a_closed_hook_opens_again(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = sandbox(agents=3)
        connection(server)
        hook = HelpCrunchHook()
        with hook:
            first = hook.client
            first.get_organization()
        with hook:
            assert hook.client is not first
            assert hook.client.list_agents() == server.agents
        hook.close()
        hook.close()
        assert len({request.peer for request in server.journal}) == 2

    def test_another_connection_id(self, sandbox: StartSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        server = sandbox(agents=1)
        monkeypatch.setenv("AIRFLOW_CONN_SECOND_ACCOUNT", server.connection())
        with HelpCrunchHook("second_account") as hook:
            assert hook.client.list_agents() == server.agents
        with HelpCrunchHook(helpcrunch_conn_id="second_account") as hook:
            assert hook.client.base_url == server.url

    def test_patience_ends_the_wait_for_the_budget(
        self, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox()
        connection(server, requests_per_minute=1)
        with HelpCrunchHook(patience=0.2) as hook:
            hook.client.get_organization()
            with pytest.raises(HelpCrunchRateLimitError, match="s of patience are left"):
                hook.client.get_organization()
        assert len(server.journal) == 1

    def test_missing_connection(self) -> None:
        with pytest.raises(AirflowNotFoundException, match="nowhere"):
            _ = HelpCrunchHook("nowhere").client


class TestKey:
    @pytest.mark.parametrize(
        ("password", "said"),
        [
            (None, "has no API key"),
            ("", "has no API key"),
            (" ", "spaces"),
            (" key-of-the-account", "spaces"),
            ("key-of-the-account ", "spaces"),
            ("key-of-the-account\n", "has spaces, line breaks"),
            ("key-of\r\nthe-account", "has spaces, line breaks"),
            ("\u00a0key-of-the-account", "spaces"),
            ("<key-of-the-account>", "angle brackets"),
            ("Bearer key-of-the-account", "Bearer"),
            ("key-öf-the-account", "characters that no key has"),
            ("key\u200b-of-the-account", "characters that no key has"),
            ("key-\x00of-the-account", "characters that no key has"),
        ],
    )
    def test_refused_with_a_sentence_that_says_what_to_do(
        self, password: str | None, said: str, sandbox: StartSandbox, fields: SetConnection
    ) -> None:
        server = sandbox()
        fields(password=password, host=server.url)
        message = refusal()
        assert "'helpcrunch_default'" in message
        assert said in message
        assert "Settings → Developers → Public API" in message
        assert "of-the-account" not in message
        assert HelpCrunchHook().test_connection() == (False, message)
        assert server.journal == []

    def test_one_that_only_the_account_can_judge_is_sent_as_it_is(
        self, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(key="aB3+/=_.~%:!key")
        connection(server)
        with HelpCrunchHook() as hook:
            hook.client.get_organization()
        assert [request.authorized for request in server.journal] == [True]


class TestHost:
    @pytest.mark.parametrize(
        ("host", "base_url"),
        [
            (None, DEFAULT_URL),
            ("", DEFAULT_URL),
            ("api.helpcrunch.com", DEFAULT_URL),
            ("api.helpcrunch.com/", DEFAULT_URL),
            ("api.helpcrunch.com/v1", DEFAULT_URL),
            ("https://api.helpcrunch.com", DEFAULT_URL),
            ("https://api.helpcrunch.com/v1/", DEFAULT_URL),
            (" https://api.helpcrunch.com/v1\n", DEFAULT_URL),
            ("helpcrunch.example:8443", "https://helpcrunch.example:8443/v1"),
            ("https://gateway.example/helpcrunch/v2/", "https://gateway.example/helpcrunch/v2"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/v1"),
            ("http://localhost:9/v1", "http://localhost:9/v1"),
            ("http://[::1]:9/v1", "http://[::1]:9/v1"),
            # One account, one spelling: the address names the request budget.
            ("https://API.HelpCrunch.com/v1", DEFAULT_URL),
            ("HTTPS://api.helpcrunch.com:443/v1", DEFAULT_URL),
            ("https://api.helpcrunch.com./v1", DEFAULT_URL),
            ("https://api.helpcrunch.com//v1//", DEFAULT_URL),
            ("https://api.helpcrunch.com/%761", DEFAULT_URL),
            ("http://LOCALHOST.:80", "http://localhost/v1"),
            ("http://[0:0:0:0:0:0:0:1]:9", "http://[::1]:9/v1"),
        ],
    )
    def test_address(self, host: str | None, base_url: str, fields: SetConnection) -> None:
        fields(host=host)
        with HelpCrunchHook() as hook:
            assert hook.client.base_url == base_url

    @pytest.mark.parametrize(
        "host",
        [
            " ",
            "ftp://api.helpcrunch.com",
            "https://",
            "https:///v1",
            "https://user@api.helpcrunch.com/v1",
            "https://user:hidden-word@api.helpcrunch.com/v1",
            "https://:hidden-word@api.helpcrunch.com/v1",
            "https://api.helpcrunch.com/v1?token=hidden-word",
            "https://api.helpcrunch.com/v1#hidden-word",
            "https://api.helpcrunch.com:port/v1",
            "https://api.helpcrunch.com:99999/v1",
            "https://[::1",
            "https://[::g]/v1",
            "https://api helpcrunch.com/v1",
        ],
    )
    def test_refused(self, host: str, fields: SetConnection) -> None:
        fields(host=host)
        message = refusal()
        assert message.startswith("Connection 'helpcrunch_default': The API URL")
        assert "hidden-word" not in message

    @pytest.mark.parametrize(
        "host",
        [
            "http://api.helpcrunch.com/v1",
            "http://127.0.0.1.example/v1",
            "http://localhost.example",
            "http://0.0.0.0:8080",
            "HTTP://10.0.0.1/v1",
        ],
    )
    def test_plain_http_to_another_machine_is_refused(self, host: str, fields: SetConnection) -> None:
        fields(host=host)
        assert "https://" in refusal()

    def test_port_belongs_into_the_host(self, fields: SetConnection) -> None:
        fields(host="127.0.0.1", port=8080)
        assert "write the port into the API URL (host)" in refusal()


class TestExtras:
    @pytest.mark.parametrize(
        ("extra", "given"),
        [
            ({}, {}),
            (dict.fromkeys(EXTRAS, ""), {}),
            (dict.fromkeys(EXTRAS), {}),
            ({"requests_per_minute": "30"}, {"requests_per_minute": 30}),
            ({"requests_per_minute": 30.0}, {"requests_per_minute": 30}),
            ({"read_timeout": "30"}, {"read_timeout": 30.0}),
            ({"connect_timeout": " 2.5 "}, {"connect_timeout": 2.5}),
            ({"connect_timeout": 3}, {"connect_timeout": 3.0}),
            ({"rate_limit_store": "memory://"}, {"rate_limit_store": "memory://"}),
            ({"rate_limit_store": "redis://h:1/0"}, {"rate_limit_store": "redis://h:1/0"}),
            ({"rate_limit_on_failure": "fail"}, {"rate_limit_on_failure": "fail"}),
        ],
    )
    def test_values(
        self,
        extra: dict[str, Any],
        given: dict[str, Any],
        fields: SetConnection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fields(extra=extra)
        arguments = client_arguments(monkeypatch)
        arguments.pop("retry")
        assert arguments == given
        assert {name: type(value) for name, value in arguments.items()} == {n: EXTRAS[n][0] for n in given}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("requests_per_minute", "many"),
            ("requests_per_minute", "30.5"),
            ("requests_per_minute", 30.5),
            ("requests_per_minute", 0),
            ("requests_per_minute", -120),
            ("requests_per_minute", True),
            ("requests_per_minute", float("inf")),
            ("requests_per_minute", [120]),
            ("connect_timeout", "soon"),
            ("connect_timeout", False),
            ("connect_timeout", 0),
            ("connect_timeout", "-1"),
            ("connect_timeout", "nan"),
            ("read_timeout", "inf"),
            ("read_timeout", 3601),
            ("read_timeout", {"seconds": 3}),
            ("rate_limit_store", 1),
            ("rate_limit_store", True),
            ("rate_limit_store", "file:///tmp"),
            ("rate_limit_store", "sqlite://folder"),
            ("rate_limit_store", "memory://other"),
            ("rate_limit_store", "redis://"),
            ("rate_limit_conn_id", 5),
            ("rate_limit_on_failure", "ignore"),
            ("rate_limit_on_failure", True),
        ],
    )
    def test_wrong_value_names_its_field_and_connection(
        self, name: str, value: Any, fields: SetConnection
    ) -> None:
        fields(extra={name: value})
        message = refusal()
        assert message.startswith("Connection 'helpcrunch_default': ")
        assert name in message

    @pytest.mark.parametrize(
        "store",
        [
            "redis://:hidden-word@host:6379/0",
            "rediss://user:hidden-word@host:6379/0",
            "redis://:hidden-word[@host:6379/0",
            "redis://:hidden-word\u2100@host:6379/0",
            "hidden-word-hidden-word-hidden-word",
        ],
    )
    def test_a_password_in_the_store_is_never_shown(self, store: str, fields: SetConnection) -> None:
        fields(extra={"rate_limit_store": store})
        message = refusal()
        assert "rate_limit_store must " in message
        assert "hidden-word" not in message
        assert HelpCrunchHook().test_connection() == (False, message)

    def test_a_long_text_in_the_wrong_field_is_never_shown(self, fields: SetConnection) -> None:
        fields(extra={"requests_per_minute": "hidden-word-hidden-word-hidden-word"})
        assert "hidden-word" not in refusal()

    def test_unknown_ones_are_named_and_have_no_effect(
        self, sandbox: StartSandbox, connection: SetConnection, warnings_logged: list[str]
    ) -> None:
        server = sandbox(agents=3)
        unknown = {
            "verify": False,
            "proxies": {"http": "http://127.0.0.1:9"},
            "base_url": "http://127.0.0.1:9",
            "retry": {"max_attempts": 0},
            "budget": "none",
            "api_key": "hidden-word",
        }
        connection(server, requests_per_minute=30, **unknown)
        with HelpCrunchHook() as hook:
            assert hook.client.list_agents() == server.agents
        assert len(warnings_logged) == 1
        assert all(name in warnings_logged[0] for name in (*unknown, *EXTRAS))
        assert "'helpcrunch_default' has unknown extras, which are ignored" in warnings_logged[0]
        assert "hidden-word" not in warnings_logged[0]

    def test_known_ones_are_no_reason_to_warn(
        self, fields: SetConnection, warnings_logged: list[str]
    ) -> None:
        fields(extra={"requests_per_minute": "", "rate_limit_store": None, "read_timeout": 5})
        with HelpCrunchHook() as hook:
            _ = hook.client
        assert warnings_logged == []

    def test_extra_as_json_text(self, fields: SetConnection, monkeypatch: pytest.MonkeyPatch) -> None:
        fields(extra='{"read_timeout": "5"}')
        assert client_arguments(monkeypatch)["read_timeout"] == 5.0

    @pytest.mark.parametrize("extra", ["[1, 2]", '["read_timeout"]', '"read_timeout"', "5"])
    def test_extra_that_is_no_object(self, extra: str, fields: SetConnection) -> None:
        fields(extra=extra)
        # Airflow 2 itself knows no connection with some of these.
        with pytest.raises(
            (HelpCrunchConfigurationError, AirflowNotFoundException), match="helpcrunch_default"
        ):
            _ = HelpCrunchHook().client


class TestUri:
    def test_connection_as_uri(self, sandbox: StartSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        server = sandbox(agents=3, key="key/with+signs=")
        key, host = quote(server.key, safe=""), quote(server.url, safe="")
        monkeypatch.setenv(CONNECTION, f"helpcrunch://:{key}@{host}/?read_timeout=7")
        assert client_arguments(monkeypatch)["read_timeout"] == 7.0
        with HelpCrunchHook() as hook:
            assert hook.client.list_agents() == server.agents

    def test_uri_with_nothing_but_the_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(CONNECTION, "helpcrunch://:some-key@")
        with HelpCrunchHook() as hook:
            assert hook.client.base_url == DEFAULT_URL
