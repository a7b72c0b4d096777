"""One call at a time: retries, time-outs, typed errors and what travels in a request."""

from __future__ import annotations

import contextlib
import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_helpcrunch import __version__
from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy, retry
from airflow_provider_helpcrunch.client.redaction import Redactor
from airflow_provider_helpcrunch.client.response import Response
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchApiError,
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchRateLimitError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]


@pytest.fixture
def raw_server() -> Iterator[Callable[[bytes], str]]:
    """Serve fixed bytes to every connection; return the base URL. For answers that no HTTP server would send."""
    listeners: list[socket.socket] = []

    def serve(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_answer_all, args=(listener, answer), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    yield serve
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)  # or its thread would accept from whoever has the descriptor next
        listener.close()


def _answer_all(listener: socket.socket, answer: bytes) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except ssl.SSLError:
            continue
        except OSError:
            return
        with peer, contextlib.suppress(OSError):  # the client may have heard enough
            peer.recv(65536)
            peer.sendall(answer)


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a complete HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, HelpCrunchBadRequestError),
        (401, HelpCrunchAuthError),
        (403, HelpCrunchAuthError),
        (404, HelpCrunchNotFoundError),
        (422, HelpCrunchBadRequestError),
    ],
)
def test_permanent_errors_cost_one_request(
    sandbox: Start, client: Connect, status: int, error: type[HelpCrunchApiError]
) -> None:
    account = sandbox(agents=500, faults=[Fault("status", status=status, times=0)])
    with pytest.raises(error) as caught:
        client(account).list_agents()
    assert len(account.journal) == 1
    assert (caught.value.status_code, caught.value.method, caught.value.path) == (status, "GET", "/agents")
    assert caught.value.attempts == 1
    assert caught.value.errors


def test_a_page_of_a_firewall_is_not_taken_for_a_wrong_key_alone(sandbox: Start, client: Connect) -> None:
    account = sandbox(faults=[Fault("status", status=403, body="html", times=0)])
    with pytest.raises(
        HelpCrunchAuthError, match="Check the API key .*, and whether a firewall or proxy refuses"
    ):
        client(account).list_agents()


@pytest.mark.parametrize("generation", ["new", "old"])
def test_a_wrong_key_is_told_in_the_words_of_both_documentations(
    sandbox: Start, client: Connect, generation: Any
) -> None:
    account = sandbox(errors=generation)
    with pytest.raises(HelpCrunchAuthError) as caught:
        client(account, key="wrong-key").list_agents()
    codes = [detail.code for detail in caught.value.errors]
    assert codes == (["invalid_request", "unauthorized"] if generation == "new" else ["invalid_token"])
    assert all(code in str(caught.value) for code in codes)
    assert "Check the API key" in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=500),
        Fault("status", status=502, body="html"),
        Fault("status", status=503, body="empty"),
        Fault("status", status=408),
        Fault("reset"),
        Fault("close"),
        Fault("truncate"),
        Fault("hang"),
        Fault("drip", seconds=0.05),
        Fault("html"),
        Fault("errors"),
        Fault("garbage"),
        Fault("no_data"),
        Fault("data_null"),
        Fault("data_object"),
        Fault("no_ids"),
        Fault("empty_page"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
@pytest.mark.parametrize("nth", [1, 3])
def test_passing_faults_are_survived(sandbox: Start, client: Connect, fault: Fault, nth: int) -> None:
    account = sandbox(agents=500, faults=[Fault(**{**vars_of(fault), "nth": nth})])
    if fault.kind in ("hang", "drip"):
        caller = client(account, read_timeout=0.5)
        assert caller.list_agents() == account.agents
        assert caller.usage.retries >= 1  # a response of a busy machine may be as late
    else:
        caller = client(account)
        assert caller.list_agents() == account.agents
        assert caller.usage.retries == 1


def vars_of(fault: Fault) -> dict[str, Any]:
    """Return a fault's fields."""
    return {name: getattr(fault, name) for name in fault.__dataclass_fields__}


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("status", HelpCrunchServerError, "HelpCrunch answered 500"),
        ("reset", HelpCrunchConnectionError, "no complete response: connection reset"),
        ("truncate", HelpCrunchConnectionError, "connection closed midway"),
        ("html", HelpCrunchResponseError, "with .*, not JSON"),
        ("no_ids", HelpCrunchResponseError, "a record has no integer id"),
    ],
)
def test_lasting_faults_are_loud_after_six_attempts(
    sandbox: Start, client: Connect, kind: str, error: type[Exception], said: str
) -> None:
    account = sandbox(faults=[Fault(kind, times=0)])
    with pytest.raises(error, match=said) as caught:
        client(account).list_agents()
    assert len(account.journal) == 6
    assert caught.value.attempts == 6  # type: ignore[attr-defined]


def test_a_server_that_always_hangs_is_loud_when_the_deadline_has_passed(
    sandbox: Start, client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of the retries, each attempt takes twenty seconds."""
    account = sandbox(faults=[Fault("hang", times=0)])
    caller = client(account, read_timeout=0.4, retry=RetryPolicy(deadline=50, first_pause=0.01))
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: 20.0 * caller.usage.requests))
    with pytest.raises(HelpCrunchConnectionError, match="timed out"):
        caller.list_agents()
    assert caller.usage.requests == 3


@pytest.mark.parametrize("retry_after", [None, "1", "0", "-5", "soon", "nan", "1e400"])
def test_a_429_stops_everyone_and_is_then_survived(
    sandbox: Start, client: Connect, retry_after: str | None
) -> None:
    faults = [Fault("status", status=429, retry_after=retry_after, nth=2)]
    account = sandbox(agents=500, total="missing", faults=faults)  # without a total, one page at a time
    caller = client(account, period=0.6)
    assert caller.list_agents() == account.agents
    refused = next(request for request in account.journal if request.status == 429)
    first_after = min(request.at for request in account.journal if request.at > refused.at + 0.1)
    assert first_after - refused.at >= 0.55


def test_retry_after_as_a_date(sandbox: Start, client: Connect) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    account = sandbox(faults=[Fault("status", status=429, retry_after=date)])
    with pytest.raises(HelpCrunchRateLimitError) as caught:
        client(account, period=0.1).list_agents()
    assert 200 < (caught.value.retry_after or 0) <= 300


def pause_after_a_503(sandbox: Start, client: Connect, retry_after: str) -> float:
    """Return the seconds from a request that is answered 503 to its retry."""
    account = sandbox(faults=[Fault("status", status=503, retry_after=retry_after)])
    client(account, retry=RetryPolicy(first_pause=0.01)).list_agents()
    first, second = (request.at for request in account.journal[:2])
    return float(second - first)


@pytest.mark.parametrize("retry_after", ["1", "1.0"])
def test_a_5xx_is_retried_when_helpcrunch_asks_for_it(
    sandbox: Start, client: Connect, retry_after: str
) -> None:
    assert 1 <= pause_after_a_503(sandbox, client, retry_after) < 30


@pytest.mark.parametrize("retry_after", ["3000", "0", "-5", "soon", "Mon, 01 Jan 2024 00:00:00 GMT"])
def test_a_5xx_that_asks_for_more_than_the_deadline_or_nothing_usable_is_retried_as_ever(
    sandbox: Start, client: Connect, retry_after: str
) -> None:
    assert pause_after_a_503(sandbox, client, retry_after) < 30


@pytest.mark.parametrize("zone", [" GMT", " -0000", ""])
def test_a_date_without_a_time_zone_is_in_gmt(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Retry-After": f"Thu, 01 Jan 2026 12:01:30{zone}", "Date": "Thu, 01 Jan 2026 12:00:00 GMT"}
    response = Response("GET", "/agents", 1, 429, headers, b"", Redactor("key"))
    try:
        with monkeypatch.context() as machine:
            machine.setenv("TZ", "America/New_York")
            time.tzset()
            assert response.retry_after() == 90
    finally:
        time.tzset()


def test_a_429_that_asks_for_more_than_the_patience_fails_at_once(sandbox: Start, client: Connect) -> None:
    account = sandbox(faults=[Fault("status", status=429, retry_after="3000", times=0)])
    with pytest.raises(HelpCrunchRateLimitError) as caught:
        client(account, retry=RetryPolicy(patience=5)).list_agents()
    assert len(account.journal) == 1
    assert caught.value.status_code == 429
    assert 2900 < (caught.value.retry_after or 0) <= 3000
    assert "too_many_requests" in {detail.code for detail in caught.value.errors}


@pytest.mark.usefixtures("hand_time")
def test_endless_429s_are_loud_when_patience_ends_and_say_how_long_it_waited(
    sandbox: Start, client: Connect
) -> None:
    account = sandbox(faults=[Fault("status", status=429, times=0)])
    with pytest.raises(HelpCrunchRateLimitError, match="answered 429 to this call 3 times") as caught:
        client(account, period=60.0, retry=RetryPolicy(patience=150)).list_agents()
    assert caught.value.waited == pytest.approx(120, abs=0.1)


def test_what_may_not_be_repeated_is_sent_once(sandbox: Start, client: Connect) -> None:
    for fault in (Fault("status", status=500), Fault("reset"), Fault("html")):
        account = sandbox(faults=[fault])
        with pytest.raises((HelpCrunchServerError, HelpCrunchConnectionError, HelpCrunchResponseError)):
            client(account)._transport.call("GET", "/agents", dict, idempotent=False)
        assert len(account.journal) == 1


def test_what_may_not_be_repeated_is_repeated_after_a_429(sandbox: Start, client: Connect) -> None:
    account = sandbox(faults=[Fault("status", status=429)])
    client(account, period=0.1)._transport.call("GET", "/agents", dict, idempotent=False)
    assert [request.status for request in account.journal] == [429, 200]


def test_a_connection_that_never_came_about_is_tried_again_even_for_writes(
    client: Connect, sandbox: Start, closed_port: int
) -> None:
    caller = client(sandbox(), base_url=f"http://127.0.0.1:{closed_port}/v1")
    with pytest.raises(HelpCrunchConnectionError) as caught:
        caller._transport.call("POST", "/messages", dict, json={}, idempotent=False)
    assert (caught.value.connected, caught.value.attempts) == (False, 6)


def test_what_a_request_carries(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=1)
    client(account).list_agents()
    (request,) = account.journal
    assert request.user_agent == f"airflow-provider-helpcrunch/{__version__}"
    assert request.authorized
    assert request.query == {"offset": "0", "limit": "100"}


def test_redirects_are_not_followed(sandbox: Start, client: Connect) -> None:
    account = sandbox(faults=[Fault("redirect", times=0)])
    with pytest.raises(HelpCrunchApiError, match="redirect to .* not followed"):
        client(account).list_agents()
    assert [request.path for request in account.journal] == ["/v1/agents"]


@pytest.mark.parametrize(
    "location",
    [
        "/login?reason=gesperrt f\u00fcr Sie",
        "http://[::1",
        "https://portal.example:port/login",
        "http:///login",
        "",
    ],
    ids=["not UTF-8", "no IPv6 address", "no port", "no host", "empty"],
)
def test_the_address_of_a_redirect_is_not_read(
    location: str, raw_server: Callable[[bytes], str], client: Connect, sandbox: Start
) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    with pytest.raises(HelpCrunchApiError) as caught:
        client(sandbox(), base_url=raw_server(answer)).list_agents()
    assert caught.value.status_code == 302
    assert str(caught.value) == (
        f"GET /agents: HelpCrunch answered 302: with a redirect to {location or 'nowhere'}, which is not followed."
    )


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"data":[{"id":7}],"meta":{"total":1}}',
        b'[{"id":7}]',
        b'{"data":[[{"id":7}]],"meta":{"total":1}}',
        b'{"data":[{"id":"7"}],"total":"1"}',
        b'{"data":[{"id":7}],"meta":{"total":1.0}}',
        b'{"data":[{"id":7}],"meta":null,"total":1,"errors":[]}',
    ],
)
def test_every_shape_of_a_page(
    raw_server: Callable[[bytes], str], client: Connect, sandbox: Start, body: bytes
) -> None:
    answer = http(body, "Content-Type: application/json")
    (agent,) = client(sandbox(), base_url=raw_server(answer)).list_agents()
    assert agent["id"] == 7


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Ok",
        b"null",
        b"{}",
        b'{"data":"x"}',
        b'{"data":[null]}',
        b'{"data":[{"id":true}]}',
        b'{"data":[{"id":1.5}]}',
        b'{"data":[{"id":-1}]}',
        b'{"data":[{"id":9223372036854775808}]}',
        b'{"data":[{"id":"x"}]}',
        b'{"data":[{"id":NaN}]}',
        b"[" * 100_000,
        b'{"data":[],"errors":{"code":"oops"}}',
        b"\xff\xfe{\x00}\x00",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_no_page_is_loud(
    raw_server: Callable[[bytes], str], client: Connect, sandbox: Start, body: bytes
) -> None:
    caller = client(sandbox(), base_url=raw_server(http(body)))
    with pytest.raises(HelpCrunchResponseError, match="GET /agents: HelpCrunch answered 200, but"):
        caller.list_agents()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(b" " * 200_000_000, 9)


@pytest.mark.parametrize("status", ["200 OK", "302 Found"])
def test_a_body_without_end_is_cut_off(
    status: str, bomb: bytes, raw_server: Callable[[bytes], str], client: Connect, sandbox: Start
) -> None:
    answer = http(bomb, "Content-Encoding: gzip", "Location: /login", status=status)
    caller = client(sandbox(), base_url=raw_server(answer), retry=RetryPolicy(max_attempts=1))
    with pytest.raises(HelpCrunchConnectionError, match="more than 16777216 bytes"):
        caller.list_agents()


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x"), (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" ")],
    ids=["headers", "a body that only the end of the connection ends"],
)
def test_what_never_ends_is_cut_off(start: bytes, piece: bytes, client: Connect, sandbox: Start) -> None:
    """Each byte comes well within the timeout, so that a timeout per read would never end it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_drip, args=(listener, start, piece), daemon=True).start()
        caller = client(
            sandbox(),
            base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
            read_timeout=0.4,
            retry=RetryPolicy(max_attempts=1),
        )
        started = time.monotonic()
        with pytest.raises(HelpCrunchConnectionError, match=r"timed out after \d+(\.\d)? s"):
            caller.list_agents()
    assert time.monotonic() - started < 30


def _drip(listener: socket.socket, start: bytes, piece: bytes) -> None:
    peer, _ = listener.accept()
    with peer, contextlib.suppress(OSError):
        peer.recv(65536)
        peer.sendall(start)
        for _ in range(2000):
            peer.sendall(piece)
            time.sleep(0.05)


@pytest.mark.parametrize(
    "piece",
    [b"0", b";x", b"X-Trailer: y\r\n"],
    ids=["chunk size", "chunk extension", "trailers"],
)
def test_a_body_that_never_ends_in_tiny_pieces_is_cut_off(
    client: Connect, sandbox: Start, piece: bytes
) -> None:
    """Not one of the time-outs or limits of a single read would end these."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    start = {b"0": b"", b";x": b"5", b"X-Trailer: y\r\n": b"0\r\n"}[piece]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_drip, args=(listener, head + start, piece), daemon=True).start()
        caller = client(
            sandbox(),
            base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
            read_timeout=0.4,
            retry=RetryPolicy(max_attempts=1),
        )
        started = time.monotonic()
        with pytest.raises(HelpCrunchConnectionError):
            caller.list_agents()
    assert time.monotonic() - started < 30


def test_early_hints_do_not_put_answers_out_of_step(client: Connect, sandbox: Start) -> None:
    """A 103 is not the response: taken for it, the real one would be read as that of the next request."""
    bodies = [b'{"data":[{"id":900}],"meta":{"total":1}}', b'{"data":[{"id":7}],"meta":{"total":1}}']
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_hint_and_answer, args=(listener, bodies), daemon=True).start()
        caller = client(sandbox(), base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        assert caller.list_departments() == [{"id": 900}]
        assert caller.list_agents() == [{"id": 7}]


def _hint_and_answer(listener: socket.socket, bodies: list[bytes]) -> None:
    peer, _ = listener.accept()
    with peer:
        for body in bodies:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            time.sleep(0.05)
            peer.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def test_malformed_headers_that_echo_the_key_are_not_logged(
    raw_server: Callable[[bytes], str], client: Connect, sandbox: Start, caplog: pytest.LogCaptureFixture
) -> None:
    account = sandbox()
    body = b'{"data":[{"id":7}],"meta":{"total":1}}'
    with caplog.at_level(logging.DEBUG):
        caller = client(
            account, base_url=raw_server(http(body, f"Content-Type: text/html\r\n{account.key} no header"))
        )
        assert caller.list_agents() == [{"id": 7}]
    assert account.key not in caplog.text
    assert logging.getLogger("urllib3.connection").filters == []


@pytest.mark.parametrize("name", ["Retry-After", "Date"])
def test_dates_that_no_calendar_knows(
    raw_server: Callable[[bytes], str], client: Connect, sandbox: Start, name: str
) -> None:
    value = f"{name}: Mon, 01 Jan 99999999999 00:00:00 GMT"
    other = "Retry-After: Mon, 01 Jan 2024 00:00:00 GMT" if name == "Date" else "X-Y: z"
    url = raw_server(http(b"{}", value, other, status="429 Too Many Requests"))
    with pytest.raises(HelpCrunchRateLimitError):
        client(sandbox(), base_url=url, period=0.1, retry=RetryPolicy(patience=0.5)).list_agents()


def test_a_closed_client_says_so(sandbox: Start, client: Connect) -> None:
    account = sandbox()
    caller = client(account)
    listing = caller.iter_agents()
    caller.close()
    with pytest.raises(HelpCrunchError, match="the client is closed"):
        list(listing)
    assert account.journal == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_https_with_a_certificate_authority_of_ones_own(
    client: Connect, sandbox: Start, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    answer = http(b'{"data":[{"id":7}],"meta":{"total":1}}')
    with socket.create_server(("127.0.0.1", 0)) as plain:
        listener = context.wrap_socket(plain, server_side=True)
        threading.Thread(target=_answer_all, args=(listener, answer), daemon=True).start()
        url = f"https://localhost:{listener.getsockname()[1]}/v1"
        with pytest.raises(HelpCrunchConnectionError, match="certificate not accepted: self"):
            client(sandbox(), base_url=url, retry=RetryPolicy(max_attempts=1)).list_agents()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert client(sandbox(), base_url=url).list_agents() == [{"id": 7}]
        listener.close()


def test_closing_the_client_ends_what_is_in_flight(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=1000, faults=[Fault("hang", offset=198, times=0)])
    caller = client(account)
    listing = caller.iter_agents()
    for _ in range(150):
        next(listing)
    started = time.monotonic()
    caller.close()
    listing.close()
    for thread in threading.enumerate():
        if thread.name.startswith("helpcrunch-page"):
            thread.join(60)
    assert time.monotonic() - started < 30


def test_cookies_and_netrc_do_not_travel(
    sandbox: Start, client: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    account = sandbox(agents=1)
    assert client(account).list_agents() == account.agents


def test_a_proxy_in_the_environment_does_not_see_what_stays_on_this_machine(
    sandbox: Start, client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    account = sandbox(agents=1)
    assert client(account).list_agents() == account.agents


@pytest.mark.parametrize(
    "url",
    [
        "http://api.helpcrunch.com/v1",
        "ftp://api.helpcrunch.com",
        "https:/api.helpcrunch.com/v1",
        "https//api.helpcrunch.com/v1",
        "https://",
        "https://user@api.helpcrunch.com/v1",
        "https://api.helpcrunch.com/v1?x=1",
        "https://api.helpcrunch.com:notaport/v1",
        "http://127.0.0.1.evil.example/v1",
    ],
)
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="API URL must"):
        HelpCrunchClient("a-key", base_url=url)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("api.helpcrunch.com", "https://api.helpcrunch.com/v1"),
        ("https://api.helpcrunch.com/", "https://api.helpcrunch.com/v1"),
        ("https://api.helpcrunch.com/v1/", "https://api.helpcrunch.com/v1"),
        ("http://localhost:8080", "http://localhost:8080/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_is_completed(given: str, used: str) -> None:
    with HelpCrunchClient("a-key", base_url=given, rate_limit_store="memory://") as caller:
        assert caller.base_url == used


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 3601])
@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout"])
def test_time_outs_are_always_finite(name: str, timeout: float) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match=name):
        HelpCrunchClient("a-key", **{name: timeout})  # type: ignore[arg-type]
