"""The errors: the tree that the docstring draws, what they carry, and the key that none of them ever shows."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import itertools
import json
import logging
import pickle
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_helpcrunch import exceptions
from airflow_provider_helpcrunch._airflow import AirflowException, AirflowFailException
from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter, RetryPolicy
from airflow_provider_helpcrunch.exceptions import (
    ApiErrorDetail,
    HelpCrunchApiError,
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchNotesMissingError,
    HelpCrunchNotFoundError,
    HelpCrunchPaginationError,
    HelpCrunchPartialError,
    HelpCrunchRateLimitError,
    HelpCrunchRefusedError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

pytestmark = pytest.mark.older

CONNECTION = "AIRFLOW_CONN_HELPCRUNCH_DEFAULT"
KEY = "hc/5fQ8wZ1nB+7xK3mT9vR2cL6yD4pS0gH=="
TWICE = RetryPolicy(max_attempts=2, first_pause=0.01, patience=2.0)

StartSandbox = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]
Echo = Callable[[Callable[[str], bytes]], str]
Door = Callable[[str], tuple[Any, Callable[[], Any]]]


# The tree


def drawn() -> dict[str, tuple[str | None, bool]]:
    """Return what the docstring draws: for each class its parent, and whether it is marked as permanent."""
    rows = re.findall(
        r"^    ([│├└─ ]*)(HelpCrunch\w+) *(\(!\))? +\S.*$", exceptions.__doc__ or "", re.MULTILINE
    )
    tree: dict[str, tuple[str | None, bool]] = {}
    above: list[str] = []
    for branch, name, mark in rows:
        depth = len(branch) // 4
        tree[name] = (above[depth - 1] if depth else None, bool(mark))
        above[depth:] = [name]
    return tree


def real() -> dict[str, tuple[str | None, bool]]:
    """Return the classes of the module in the same shape; a private class between two public ones is skipped."""
    found = {}
    for name, value in vars(exceptions).items():
        if inspect.isclass(value) and issubclass(value, HelpCrunchError) and not name.startswith("_"):
            line = [c for c in value.__mro__[1:] if issubclass(c, HelpCrunchError) and c.__name__[0] != "_"]
            found[name] = (line[0].__name__ if line else None, issubclass(value, AirflowFailException))
    return found


def test_the_docstring_draws_the_real_tree() -> None:
    assert drawn() == real()
    assert len(real()) >= 13


def test_all_are_airflow_exceptions() -> None:
    assert issubclass(HelpCrunchError, AirflowException)
    assert not issubclass(HelpCrunchError, AirflowFailException)


def test_every_class_says_what_it_is() -> None:
    for name in real():
        assert (getattr(exceptions, name).__doc__ or "").strip()


# What they carry


@pytest.mark.parametrize("generation", ["new", "old"])
@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [
        (400, HelpCrunchBadRequestError, 1),
        (401, HelpCrunchAuthError, 1),
        (403, HelpCrunchAuthError, 1),
        (404, HelpCrunchNotFoundError, 1),
        (405, HelpCrunchBadRequestError, 1),
        (422, HelpCrunchBadRequestError, 1),
        (500, HelpCrunchServerError, 2),
        (503, HelpCrunchServerError, 2),
    ],
)
def test_an_error_status(
    status: int,
    kind: type[HelpCrunchApiError],
    attempts: int,
    generation: str,
    sandbox: StartSandbox,
    client: Connect,
) -> None:
    server = sandbox(errors=generation, faults=[Fault("status", status=status, times=0)])
    with pytest.raises(kind) as caught:
        client(server, retry=TWICE).list_agents()
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.method, error.path, error.attempts) == (
        status,
        "GET",
        "/agents",
        attempts,
    )
    assert all(detail.message for detail in error.errors)
    assert all(str(detail) in str(error) for detail in error.errors)
    assert f"GET /agents: HelpCrunch answered {status}" in str(error)
    assert len(server.journal) == attempts


def test_all_details_are_kept_in_order(sandbox: StartSandbox, client: Connect) -> None:
    server = sandbox(faults=[Fault("status", status=429, times=0, retry_after="999")])
    with pytest.raises(HelpCrunchRateLimitError) as caught:
        client(server, retry=TWICE).list_agents()
    error = caught.value
    assert error.errors[-1] == ApiErrorDetail("too_many_requests", "Too many requests")
    assert len(error.errors) > 1
    assert (error.status_code, error.method, error.path, error.attempts) == (429, "GET", "/agents", 1)
    assert error.retry_after is not None
    assert 900 < error.retry_after <= 999
    assert error.waited < 5


def test_a_spent_budget_has_no_status(sandbox: StartSandbox, client: Connect) -> None:
    server = sandbox()
    connected = client(server, limit=1, period=60.0, retry=TWICE)
    connected.get_organization()
    with pytest.raises(HelpCrunchRateLimitError, match="limit of 1 requests a minute is used up") as caught:
        connected.get_organization()
    assert (caught.value.status_code, caught.value.attempts, caught.value.path) == (None, 0, "/organization")
    assert len(server.journal) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("reset", HelpCrunchConnectionError),
        ("truncate", HelpCrunchConnectionError),
        ("html", HelpCrunchResponseError),
        ("garbage", HelpCrunchResponseError),
        ("errors", HelpCrunchResponseError),
        ("no_data", HelpCrunchResponseError),
    ],
)
def test_no_usable_answer(
    fault: str, kind: type[HelpCrunchResponseError], sandbox: StartSandbox, client: Connect
) -> None:
    server = sandbox(faults=[Fault(fault, times=0)])
    with pytest.raises(kind) as caught:
        client(server, retry=TWICE).list_agents()
    assert (caught.value.method, caught.value.path, caught.value.attempts) == ("GET", "/agents", 2)
    assert len(server.journal) == 2


def test_the_server_cannot_have_seen_what_was_never_connected(sandbox: StartSandbox, client: Connect) -> None:
    server = sandbox()
    connected = client(server, retry=TWICE)
    server.stop()
    with pytest.raises(HelpCrunchConnectionError) as caught:
        connected.list_agents()
    assert caught.value.connected is False


EXAMPLES = [
    HelpCrunchAuthError(
        "no", status_code=401, errors=(ApiErrorDetail("a", "b"),), method="GET", path="/agents", attempts=1
    ),
    HelpCrunchServerError("no", status_code=500, method="GET", path="/agents", attempts=6),
    HelpCrunchRateLimitError("no", waited=3.0, retry_after=5.0, path="/agents", attempts=2),
    HelpCrunchConnectionError("no", method="GET", path="/agents", attempts=6, connected=False),
    HelpCrunchResponseError("no", method="GET", path="/agents", attempts=6),
    HelpCrunchPaginationError("no"),
    HelpCrunchUnconfirmedError("no"),
    HelpCrunchPartialError("no"),
    HelpCrunchRefusedError("no"),
    HelpCrunchNotesMissingError("no"),
]


def test_a_refused_change_is_partial_and_permanent_and_a_failed_one_is_worth_a_retry() -> None:
    assert issubclass(HelpCrunchRefusedError, HelpCrunchPartialError)
    permanent = {kind for kind in EXAMPLES if isinstance(kind, AirflowFailException)}
    assert {type(error).__name__ for error in permanent} == {
        "HelpCrunchAuthError",
        "HelpCrunchNotesMissingError",
        "HelpCrunchRefusedError",
    }


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_survives_another_process(error: HelpCrunchError, clone: Callable[[Any], Any]) -> None:
    other = clone(error)
    assert type(other) is type(error)
    assert (str(other), vars(other)) == (str(error), vars(error))


# What they never hold


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Start a server that knows no HTTP: it answers with what is made of the key that was sent."""
    with contextlib.ExitStack() as stack:

        def start(answer: Callable[[str], bytes]) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.callback(listener.shutdown, socket.SHUT_RDWR)  # ends its thread
            threading.Thread(target=_echo, args=(listener, answer), daemon=True).start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

        yield start


def _echo(listener: socket.socket, answer: Callable[[str], bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(ConnectionError):
                head, _, body = peer.recv(65536).partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                while length and len(body) < int(length[1]):  # what is left unread resets the connection
                    body += peer.recv(65536)
                key = re.search(rb"Authorization: Bearer (.+)\r\n", head + b"\r\n")
                peer.sendall(answer(key[1].decode() if key else "no key was sent"))


def http(status: str, body: str = "", kind: str = "text/html", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "Connection: close", "", body]).encode()


def said(status: str, message: str) -> bytes:
    return http(status, json.dumps({"errors": [{"code": message, "message": message}]}), "application/json")


WAYS: dict[str, Callable[[str], bytes]] = {
    "401": lambda key: said("401 Unauthorized", f'Token "Bearer {key}" was refused'),
    "401 in a number of places": lambda key: said("401 Unauthorized", f"{key} token={key} {key}{key}"),
    "400 percent-encoded": lambda key: said("400 Bad Request", f"/v1/agents?token={quote(key, safe='')}&x=1"),
    "403 as plain errors": lambda key: http("403 Forbidden", json.dumps({"errors": key}), "application/json"),
    "429": lambda key: said("429 Too Many Requests", key),
    "429 in Retry-After": lambda key: http("429 Too Many Requests", "", "text/html", f"Retry-After: {key}"),
    "500": lambda key: said("500 Internal Server Error", f"Bearer {key}"),
    "500 HTML": lambda key: http("500 Internal Server Error", f"<pre>Authorization: Bearer {key}</pre>"),
    "500 in the reason": lambda key: http(f"500 {key}"),
    "404 in the content type": lambda key: http("404 Not Found", "no", key),
    "302": lambda key: http("302 Found", "", "text/html", f"Location: https://x.example/{key}?k={key}"),
    "302 percent-encoded": lambda key: http(
        "302 Found", "", "text/html", f"Location: https://x.example/?k={quote(key, safe='')}"
    ),
    "200 garbage": lambda key: http("200 OK", f'{{"data":[{{"id":"{key}', "application/json"),
    "200 HTML": lambda key: http("200 OK", f"<p>{key}</p>", f"text/html; x={key}"),
    "200 with errors": lambda key: said("200 OK", f"Bearer {key}"),
    "200 with an odd id": lambda key: http("200 OK", json.dumps({"data": [{"id": key}]}), "application/json"),
    "200 with a deep body": lambda key: http("200 OK", "[" * 5000 + f'"{key}"', "application/json"),
    "status line": lambda key: f"{key}\r\n\r\n".encode(),
    "status line with a status": lambda key: f"HTTP/1.1 {key}\r\n\r\n".encode(),
    "header without a colon": lambda key: http(
        "500 Error", "", "text/html", f"Authorization Bearer {key}", "A: b"
    ),
    "content length": lambda key: f"HTTP/1.1 200 OK\r\nContent-Length: {key}\r\n\r\n".encode(),
    "two content lengths": lambda key: f"HTTP/1.1 200 OK\r\nContent-Length: 1, {key}\r\n\r\n".encode(),
    "chunk size": lambda key: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n".encode(),
    "content encoding": lambda key: http("200 OK", key, "application/json", "Content-Encoding: gzip"),
    "cookie": lambda key: http("500 Error", "", "text/html", f"Set-Cookie: key={key}; Max-Age={key}"),
    "cut short": lambda key: http("200 OK", key)[:-5],
}


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Collect everything that is logged, debug lines of libraries too, as no masker has seen it."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    root = logging.getLogger()
    level, root.level = root.level, logging.DEBUG
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(params=["client", "hook", "operator"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Point one of the three doors at an address: return it, and what lists the agents through it."""

    def point(url: str) -> tuple[Any, Callable[[], Any]]:
        quick = functools.partial(RetryPolicy, max_attempts=2, first_pause=0.01, patience=0.5)
        monkeypatch.setattr("airflow_provider_helpcrunch.hooks.helpcrunch.RetryPolicy", quick)
        fields = {"conn_type": "helpcrunch", "password": KEY, "host": url, "extra": {"read_timeout": 3}}
        monkeypatch.setenv(CONNECTION, json.dumps(fields))
        if request.param == "client":
            client = HelpCrunchClient(
                KEY, base_url=url, retry=quick(), budget=RateLimiter(MemoryStore(99, 1.0))
            )
            return client, client.list_agents
        if request.param == "hook":
            hook = HelpCrunchHook()
            return hook, lambda: hook.client.list_agents()
        operator = ListAgentsOperator(task_id="agents")
        return operator, lambda: operator.execute({})

    return point


def within_the_package(frames: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of the test itself, whose variables do hold the key."""
    while frames and "airflow_provider_helpcrunch" not in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next
    return frames


def shown(error: BaseException) -> dict[str, str]:
    """Return what anybody may show of an error."""
    return {
        "str": str(error),
        "repr": repr(error),
        "args": repr(error.args),
        "attributes": repr(vars(error)),
        "traceback": "".join(traceback.format_exception(error)),
    }


def with_locals(error: BaseException) -> list[str]:
    """Return the traceback as error reporters show it: with the variables of each frame."""
    frames = within_the_package(error.__traceback__)
    return list(traceback.TracebackException(type(error), error, frames, capture_locals=True).format())


def holds(text: str) -> bool:
    """Whether the key, or half of it, in any spelling, is in a text."""
    halves = KEY[: len(KEY) // 2], KEY[len(KEY) // 2 :]
    return any(part in text for half in halves for part in (half, quote(half, safe="")))


@pytest.mark.parametrize("way", WAYS)
def test_an_echoed_key_is_never_shown(
    way: str, door: Door, echo: Echo, logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    holder, list_agents = door(echo(WAYS[way]))
    with pytest.raises(HelpCrunchError) as caught:
        list_agents()
    texts = {**shown(caught.value), "logs": "\n".join(logged), "output": "".join(capfd.readouterr())}
    texts["holder"] = repr(holder) + str(holder)
    assert [name for name, text in texts.items() if holds(text)] == []


@pytest.mark.parametrize("way", WAYS)
def test_an_echoed_key_is_in_no_local_variable(way: str, door: Door, echo: Echo) -> None:
    _, list_agents = door(echo(WAYS[way]))
    with pytest.raises(HelpCrunchError) as caught:
        list_agents()
    assert [line for line in with_locals(caught.value) if holds(line)] == []


CHAT_CALLS: dict[str, Callable[[HelpCrunchClient], Any]] = {
    "get_chat": lambda client: client.get_chat(7),
    "search": lambda client: client.search_chats(),
    "list": lambda client: client.list_chats(),
    "active": lambda client: list(client.iter_active_chats(0)),
    "create": lambda client: client.create_chat(1, 2),
    "assignee": lambda client: client.update_chat_assignee(7, 71),
    "status": lambda client: client.update_chat_status(7, "closed"),
    "rate": lambda client: client.rate_chat(7, "great"),
    "snooze": lambda client: client.snooze_chat(7, 5),
    "read": lambda client: client.mark_chat_read(7, "agent"),
}
NO_CHAT: list[Callable[[str], bytes]] = [
    lambda key: said("401 Unauthorized", f"Bearer {key}"),
    lambda key: said("404 Not Found", key),
    lambda key: said("200 OK", f"Bearer {key}"),
    lambda key: http("200 OK", json.dumps({"id": key, "data": [{"id": key}]}), "application/json"),
]
A_CHAT: dict[str, Callable[[str], dict[str, Any]]] = {
    "assignee": lambda key: {"id": 7, "assignee": key, "lastMessageText": key},
    "status": lambda key: {"id": 7, "status": key},
    "rate": lambda key: {"id": 7, "rating": f"Bearer {key}"},
    "snooze": lambda key: {"id": 7, "snoozedUntil": key},
    "read": lambda key: {"id": 7, "readByAgent": {"token": key}},
    "active": lambda key: {
        "data": [{"id": 7, "lastMessageAt": 1, "status": key}, {"id": 8, "lastMessageAt": 2}]
    },
}


def failed_chat_call(echo: Echo, call: str, answer: Callable[[str], bytes]) -> HelpCrunchError:
    """Return how a call ends that is always answered so."""
    budget = RateLimiter(MemoryStore(99, 1.0))
    with (
        HelpCrunchClient(KEY, base_url=echo(answer), retry=TWICE, budget=budget) as client,
        pytest.raises(HelpCrunchError) as caught,
    ):
        CHAT_CALLS[call](client)
    return caught.value


@pytest.mark.parametrize("call", CHAT_CALLS)
@pytest.mark.parametrize("way", range(len(NO_CHAT)))
def test_a_key_echoed_to_a_chat_call_is_never_shown(
    call: str, way: int, echo: Echo, logged: list[str]
) -> None:
    error = failed_chat_call(echo, call, NO_CHAT[way])
    texts = {**shown(error), "logs": "\n".join(logged)}
    assert [name for name, text in texts.items() if holds(text)] == []
    assert [line for line in with_locals(error) if holds(line)] == []


@pytest.mark.parametrize("call", A_CHAT)
def test_a_key_echoed_in_a_chat_that_does_not_show_the_change_is_never_shown(
    call: str, echo: Echo, logged: list[str]
) -> None:
    error = failed_chat_call(
        echo, call, lambda key: http("200 OK", json.dumps(A_CHAT[call](key)), "application/json")
    )
    texts = {**shown(error), "logs": "\n".join(logged)}
    assert [name for name, text in texts.items() if holds(text)] == []


@pytest.mark.parametrize("call", A_CHAT)
def test_a_key_echoed_in_a_chat_that_does_not_show_the_change_is_in_no_local_variable(
    call: str, echo: Echo
) -> None:
    error = failed_chat_call(
        echo, call, lambda key: http("200 OK", json.dumps(A_CHAT[call](key)), "application/json")
    )
    assert [line for line in with_locals(error) if holds(line)] == []


@pytest.mark.parametrize("call", ["active", "list", "search"])
def test_a_key_echoed_in_a_page_is_in_no_local_variable_of_a_later_failure(call: str, echo: Echo) -> None:
    answers = itertools.count()

    def answer(key: str) -> bytes:
        if next(answers):
            return said("401 Unauthorized", "no")
        rows = [{"id": 100 - n, "lastMessageAt": 100 - n, "lastMessageText": key} for n in range(100)]
        return http("200 OK", json.dumps({"data": rows}), "application/json")

    error = failed_chat_call(echo, call, answer)
    assert isinstance(error, HelpCrunchAuthError)
    assert [line for line in with_locals(error) if holds(line)] == []


def test_the_collector_would_see_a_key(logged: list[str]) -> None:
    logging.getLogger("anything").debug("%s", KEY)
    assert holds(logged[-1])
    assert holds(quote(KEY, safe=""))
    error = HelpCrunchError(KEY)
    assert all(holds(text) for name, text in shown(error).items() if name != "attributes")


@pytest.mark.parametrize("piece", [KEY[:20], KEY[-20:], KEY[5:25]])
@pytest.mark.parametrize(
    "sentence", ["{}", '"{}"', "Bearer {}", "{}...", "{}…", "({})", "token={}", "token:{}."]
)
def test_a_piece_of_the_key_is_never_shown(piece: str, sentence: str, echo: Echo) -> None:
    url = echo(lambda _: said("401 Unauthorized", "refused: " + sentence.format(piece)))
    client = HelpCrunchClient(KEY, base_url=url, retry=TWICE, budget=RateLimiter(MemoryStore(9, 1.0)))
    with client, pytest.raises(HelpCrunchAuthError) as caught:
        client.list_agents()
    assert piece not in repr(vars(caught.value)) + str(caught.value)


def test_nothing_that_holds_the_key_prints_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "helpcrunch", "password": KEY}))
    operator = ListAgentsOperator(task_id="agents")
    with operator.hook as hook:
        client = hook.client
        transport = client._transport
        things = [
            operator,
            hook,
            client,
            transport,
            transport._session,
            transport._session.auth,
            client.usage,
        ]
        assert not any(holds(repr(thing) + str(thing)) for thing in things)
        assert not holds(repr(transport._redact))


REFUSED: list[dict[str, Any]] = [
    {"password": f"<{KEY}>"},
    {"password": f"Bearer {KEY}"},
    {"host": "http://helpcrunch.example"},
    {"port": 80},
    {"extra": {"read_timeout": "soon"}},
    {"extra": {"read_timeout": 0}},
    {"extra": {"rate_limit_store": KEY}},
    {"extra": {"rate_limit_store": "sqlite:///dev/null/no-directory"}},
]


@pytest.mark.parametrize("wrong", REFUSED, ids=str)
def test_a_connection_that_is_refused_does_not_show_its_key(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "helpcrunch", "password": KEY, **wrong}))
    with pytest.raises(HelpCrunchError) as caught:
        _ = HelpCrunchHook().client
    texts = {**shown(caught.value), "logs": "\n".join(logged)}
    assert [name for name, text in texts.items() if holds(text)] == []


@pytest.mark.parametrize("wrong", REFUSED, ids=str)
def test_a_connection_that_is_refused_leaves_its_key_in_no_local_variable(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "helpcrunch", "password": KEY, **wrong}))
    with pytest.raises(HelpCrunchError) as caught:
        _ = HelpCrunchHook().client
    assert [line for line in with_locals(caught.value) if holds(line)] == []
