"""A request to any endpoint: what is refused, what is returned, and what is sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests_mock

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.call import is_idempotent
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]


def test_a_request_returns_the_decoded_body(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=3)
    page = client(account).request("get", "/agents", params={"limit": 2})
    assert page == {"data": account.agents[:2], "meta": {"total": 3}}
    assert account.journal[0].query == {"limit": "2"}


@pytest.mark.parametrize("ok", ["json", "text"])
def test_ok_is_ok_with_and_without_quotation_marks(sandbox: Start, client: Connect, ok: str) -> None:
    account = sandbox(agents=3, ok=ok)
    agent = account.agents[0]["id"]
    assert client(account).request("GET", f"/agents/{agent}/unsubscribe") == "Ok"
    assert account.unsubscribed == {agent}


def answered(client: HelpCrunchClient, body: bytes, **arguments: Any) -> Any:
    with requests_mock.Mocker() as server:
        server.get("https://api.helpcrunch.com/v1/organization", content=body, **arguments)
        return client.request("GET", "/organization")


@pytest.fixture
def remote(sandbox: Start, client: Connect) -> HelpCrunchClient:
    return client(sandbox(agents=0, chats=0), base_url="https://api.helpcrunch.com/v1")


@pytest.mark.parametrize(
    ("body", "value"),
    [(b"", None), (b" \n", None), (b"Ok", "Ok"), (b'"Ok"', "Ok"), (b"null", None), (b"[1]", [1])],
)
def test_every_kind_of_body(remote: HelpCrunchClient, body: bytes, value: Any) -> None:
    assert answered(remote, body) == value


@pytest.mark.parametrize(
    "body",
    [b"<html>Sign in</html>", b'{"data": [', b'[{"id": 1}', b'"Ok', b"\xff\xfe", b'{"errors": ["no"]}'],
)
def test_a_body_that_is_cut_off_or_from_a_proxy_is_no_text(remote: HelpCrunchClient, body: bytes) -> None:
    with pytest.raises(HelpCrunchResponseError, match="HelpCrunch answered 200, but"):
        answered(remote, body)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "agents",
            "",
            "/",
            "//agents",
            "/agents//1",
            "https://elsewhere.example/v1/agents",
            "/agents?limit=1",
        ),
        *(
            "/agents#1",
            "/../agents",
            "/chats/..",
            "/chats/./1",
            "/%2e%2e/agents",
            "/chats/1 2",
            "/a\n",
            "\\a",
            None,
        ),
        "/sandbox-key",
    ],
)
def test_a_path_that_is_none_is_refused(sandbox: Start, client: Connect, path: Any) -> None:
    account = sandbox(agents=1)
    with pytest.raises(
        HelpCrunchConfigurationError, match="path must be a path below the API URL"
    ) as refusal:
        client(account).request("GET", path)
    assert account.key not in str(refusal.value)
    assert account.journal == []


def test_an_unknown_method_is_refused(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=1)
    with pytest.raises(HelpCrunchConfigurationError, match="method must be one of GET, HEAD, .* not 'FETCH'"):
        client(account).request("FETCH", "/agents")
    assert account.journal == []


@pytest.mark.parametrize("body", [{"a": {1}}, float("nan"), [object()]], ids=["set", "nan", "object"])
def test_a_body_that_json_cannot_express_is_refused(sandbox: Start, client: Connect, body: Any) -> None:
    account = sandbox(agents=1)
    with pytest.raises(HelpCrunchConfigurationError, match="json must be a value that JSON can express"):
        client(account).request("POST", "/events", json=body)
    assert account.journal == []


@pytest.mark.parametrize(
    ("method", "path", "idempotent"),
    [
        ("GET", "/agents", True),
        ("HEAD", "/agents", True),
        ("GET", "/agents/7/unsubscribe", False),
        ("GET", "/agents/7/unsubscribe/", False),
        ("PUT", "/chats/status", True),
        ("PUT", "/chats/rate", False),
        ("DELETE", "/customers/7", True),
        ("DELETE", "/customers/7/tags", True),
        ("POST", "/chats", False),
        ("POST", "/messages", False),
        ("POST", "/chats/search", True),
        ("POST", "/customers/search/", True),
        ("PATCH", "/customers/7", True),
        ("PATCH", "/chats/7", False),
    ],
)
def test_which_requests_are_idempotent(method: str, path: str, idempotent: bool) -> None:
    assert is_idempotent(method, path) is idempotent


def test_only_an_idempotent_request_is_sent_again_after_a_fault(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3, faults=[Fault("status", status=503, times=1)])
    body = {"chat": account.chats[0]["id"], "text": "Hello", "type": "message"}
    with pytest.raises(HelpCrunchServerError):
        client(account).request("POST", "/messages", json=body)
    assert len(account.journal) == 1
    account.add_fault(Fault("status", status=503, times=1))
    assert client(account).request("POST", "/messages", json=body, idempotent=True)["text"] == "Hello"
    assert len(account.journal) == 3


def test_errors_are_typed_and_hide_the_key(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3)
    connected = client(account)
    with pytest.raises(HelpCrunchNotFoundError):
        connected.request("GET", "/chats/1")
    with pytest.raises(HelpCrunchBadRequestError) as refusal:
        connected.request("POST", "/messages", json={"text": account.key})
    assert account.key not in repr(refusal.value)
    assert isinstance(refusal.value, HelpCrunchError)


def test_an_observer_sees_every_response_as_it_came(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=3, faults=[Fault("status", status=503, body="html", retry_after="7")])
    connected = client(account)
    seen: list[tuple[str, int, str | None]] = []
    connected.on_response(lambda got: seen.append((got.path, got.status, got.headers.get("Retry-After"))))
    assert connected.list_agents() == account.agents
    assert seen == [("/agents", 503, "7"), ("/agents", 200, None)]
