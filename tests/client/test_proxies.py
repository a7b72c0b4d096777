"""Proxies that answer slowly are bounded by the timeouts, and those for SOCKS work or say what is missing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchConnectionError

Handler = Callable[[socket.socket], None]
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def listen() -> Iterator[Callable[[Handler], int]]:
    """Start servers that treat each connection with a function; they end with the test."""
    servers: list[socket.socket] = []

    def start(handle: Handler) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=guarded, args=(connection,), daemon=True).start()

        def guarded(connection: socket.socket) -> None:
            try:
                handle(connection)
            except OSError:
                pass  # the client cut the connection, as it should
            finally:
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def drip(connection: socket.socket, content: bytes) -> None:
    for at in range(len(content)):
        connection.sendall(content[at : at + 1])
        time.sleep(0.2)
    time.sleep(60)


def connect_slowly(connection: socket.socket) -> None:
    connection.recv(65536)
    drip(connection, b"HTTP/1.1 200 Connection established\r\n" + b"X-Filler: slow\r\n" * 100)


def connect_and_shake_hands_slowly(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    connection.recv(65536)
    drip(connection, b"\x16\x03\x03\x3f\xff" + b"\x02" * 1000)


def shake_hands_slowly(connection: socket.socket) -> None:
    connection.recv(65536)
    drip(connection, b"\x16\x03\x03\x3f\xff" + b"\x02" * 1000)


def seconds_until_given_up(base_url: str) -> float:
    client = HelpCrunchClient(
        "key", base_url=base_url, rate_limit_store="memory://", connect_timeout=1, read_timeout=1, retry=ONCE
    )
    began = time.monotonic()
    with client, pytest.raises(HelpCrunchConnectionError):
        client.get_organization()
    return time.monotonic() - began


@pytest.mark.parametrize("proxy", [connect_slowly, connect_and_shake_hands_slowly])
def test_a_proxy_that_drips(
    proxy: Handler, listen: Callable[[Handler], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listen(proxy)}")
    assert seconds_until_given_up("https://helpcrunch.example/v1") < 30


def test_a_server_that_drips_its_handshake(listen: Callable[[Handler], int]) -> None:
    assert seconds_until_given_up(f"https://127.0.0.1:{listen(shake_hands_slowly)}/v1") < 30


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
@pytest.mark.skipif(find_spec("socks") is not None, reason="PySocks is installed")
def test_a_socks_proxy_says_what_is_missing(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:1")
    with (
        HelpCrunchClient("key", rate_limit_store="memory://", retry=ONCE) as client,
        pytest.raises(HelpCrunchConfigurationError, match=r"pip install 'requests\[socks\]'"),
    ):
        client.get_organization()


@pytest.mark.parametrize(
    "address",
    [
        "http://kim:canary/x@127.0.0.1:9",
        "http://kim:canary?x@127.0.0.1:9",
        "http://kim:canary#x@127.0.0.1:9",
        "http://kim:canary@127.0.0.1:99999",
        "http://kim:canary@127.0.0.1:9a",
        "http://kim:canary@:9",
        "htp://kim:canary@127.0.0.1:9",
        "kim:canary@127.0.0.1:9",
    ],
)
def test_the_address_of_a_proxy_that_cannot_be_read_is_not_shown(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with (
        HelpCrunchClient("key", rate_limit_store="memory://") as client,
        pytest.raises(
            HelpCrunchConfigurationError, match="its address cannot be read. Correct HTTPS_PROXY"
        ) as error,
    ):
        client.get_organization()
    assert "canary" not in f"{error.value}{caplog.text}"
    assert client.usage.requests == 1


@pytest.mark.skipif(find_spec("socks") is None, reason="needs: pip install pysocks")
def test_a_socks_proxy_that_lets_through_and_one_whose_server_drips(
    listen: Callable[[Handler], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def let_through(connection: socket.socket) -> None:
        connection.recv(3)
        connection.sendall(b"\x05\x00")
        seen.append(connection.recv(65536))
        connection.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        shake_hands_slowly(connection)

    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{listen(let_through)}")
    assert seconds_until_given_up("https://helpcrunch.example/v1") < 30
    assert b"helpcrunch.example" in seen[0]
