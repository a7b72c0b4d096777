"""What is said of requests without a complete response: the cause in a few words, then what to check."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    IncompleteRead,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.exceptions import SSLError as HTTPSSLError

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy, transport
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchConnectionError

KEY = "hc-5fQ8wZ1nB7xK3mT9vR2cL6yD4pS0gH"
URL = "https://helpcrunch.example/v1"
ADVICE = "Check the API URL (host) {}, network, firewall and proxy."
ONCE = RetryPolicy(max_attempts=1)


def failure(base_url: str = URL, **arguments: Any) -> HelpCrunchConnectionError:
    client = HelpCrunchClient(KEY, base_url=base_url, rate_limit_store="memory://", retry=ONCE, **arguments)
    with client, pytest.raises(HelpCrunchConnectionError) as caught:
        client.list_agents()
    return caught.value


class Failing(HTTPAdapter):
    """Fails as ``requests`` does: ``raiser`` raises an error of urllib3, and this one wraps it."""

    def __init__(self, raiser: Callable[[], None]) -> None:
        super().__init__()
        self._raiser = raiser

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        try:
            self._raiser()
        except ConnectTimeoutError as error:
            wrapped = MaxRetryError(None, "/v1/agents", error)  # type: ignore[arg-type]
            kind = (
                requests.ConnectionError if isinstance(error, NewConnectionError) else requests.ConnectTimeout
            )
            raise kind(wrapped, request=request) from None
        except HTTPSSLError as error:
            wrapped = MaxRetryError(None, "/v1/agents", error)  # type: ignore[arg-type]
            raise requests.exceptions.SSLError(wrapped, request=request) from None
        except ProxyError as error:
            wrapped = MaxRetryError(None, "/v1/agents", error)  # type: ignore[arg-type]
            raise requests.exceptions.ProxyError(wrapped, request=request) from None
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error, request=request) from None
        except (ProtocolError, DecodeError) as error:
            raise requests.ConnectionError(error, request=request) from None
        raise AssertionError


def connection() -> HTTPSConnection:
    return HTTPSConnection("helpcrunch.example")


def not_connected(inner: OSError) -> None:
    try:
        raise inner
    except OSError:
        # Without "from", as urllib3 does it for a SOCKS proxy.
        raise NewConnectionError(connection(), "Failed to establish a new connection")  # noqa: B904


def connected_too_late() -> None:
    raise ConnectTimeoutError(connection(), "timed out. (connect timeout=10)") from TimeoutError("timed out")


def read_too_late() -> None:
    raise ReadTimeoutError(None, "/", "Read timed out.") from TimeoutError("timed out")  # type: ignore[arg-type]


def untrusted() -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "self-signed certificate"
    raise HTTPSSLError(error)


def no_tls() -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)")
    error.reason = "WRONG_VERSION_NUMBER"
    raise HTTPSSLError(error)


def aborted(inner: Exception) -> None:
    text = "Connection aborted."
    raise ProtocolError(text, inner)


def refused_by_proxy() -> None:
    text = "Unable to connect to proxy"
    raise ProxyError(text, OSError(f"Tunnel connection failed: 407 {KEY}"))


def proxy_away() -> None:
    try:
        not_connected(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    except NewConnectionError as error:
        text = "Unable to connect to proxy"
        raise ProxyError(text, error) from error


def compressed_wrongly() -> None:
    text = "Received response with content-encoding: gzip, but failed to decode it."
    raise DecodeError(text, zlib.error("Error -3 while decompressing data"))


CAUSES = [
    (lambda: not_connected(ConnectionRefusedError(errno.ECONNREFUSED, "…")), "connection refused", False),
    (lambda: not_connected(OSError(errno.EHOSTUNREACH, "No route to host")), "no route to host", False),
    (
        lambda: not_connected(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")),
        "host name not found (Temporary failure in name resolution)",
        False,
    ),
    (connected_too_late, "timed out while connecting after 0.0 s", False),
    (read_too_late, "timed out after 0.0 s", True),
    (untrusted, "certificate not accepted: self-signed certificate", True),
    (no_tls, "TLS failed: wrong version number", True),
    (
        lambda: aborted(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")),
        "connection reset",
        True,
    ),
    (lambda: aborted(http.client.RemoteDisconnected("…")), "connection closed without a response", True),
    (lambda: aborted(http.client.BadStatusLine(KEY)), "not an HTTP response", True),
    (lambda: aborted(IncompleteRead(1, 2)), "connection closed midway", True),
    (compressed_wrongly, "the body cannot be decompressed", True),
    (refused_by_proxy, "proxy: Tunnel connection failed: 407 ***", True),
    (proxy_away, "proxy: connection refused", False),
]


@pytest.mark.parametrize(("raiser", "words", "connected"), CAUSES, ids=[words for _, words, _ in CAUSES])
def test_every_cause_is_told_in_a_few_words(
    raiser: Callable[[], None], words: str, connected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: 0.0))
    error = failure(http_adapter=Failing(raiser))
    assert str(error) == f"GET /agents: no complete response: {words}. {ADVICE.format(URL)}"
    assert (error.method, error.path, error.attempts, error.connected) == ("GET", "/agents", 1, connected)


def cut_short() -> None:
    raise IncompleteRead(1, 2)


def test_an_error_that_the_caller_is_handling_is_no_cause() -> None:
    """Taken for the cause, it would let a message be sent twice: nothing was connected, it says."""
    try:
        not_connected(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    except NewConnectionError:
        error = failure(http_adapter=Failing(cut_short))
    assert "no complete response: connection closed midway." in str(error)
    assert error.connected


def test_nobody_listens(closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}/v1"
    error = failure(url)
    assert str(error) == f"GET /agents: no complete response: connection refused. {ADVICE.format(url)}"
    assert not error.connected


def test_the_proxy_is_away(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port}")
    assert str(failure()).startswith("GET /agents: no complete response: proxy: connection refused. Check")


def test_an_unknown_host() -> None:
    error = failure("https://no-such-machine.invalid/v1")
    assert str(error).startswith("GET /agents: no complete response: host name not found (")
    assert str(error).endswith(ADVICE.format("https://no-such-machine.invalid/v1"))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("exists", [False, True])
def test_trusted_certificates_that_cannot_be_used_are_said_at_once(
    exists: bool, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "company.pem"
    if exists:
        bundle.write_text("not a certificate")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(bundle))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}/v1"
        client = HelpCrunchClient(KEY, base_url=url, rate_limit_store="memory://")
        with client, pytest.raises(HelpCrunchConfigurationError) as caught:
            client.list_agents()
        assert client.usage.requests == 1
    problem = "TLS failed: no certificate or crl found" if exists else f"invalid path: {bundle}"
    assert f"{problem}). Correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE:" in str(caught.value)
