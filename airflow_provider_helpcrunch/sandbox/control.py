"""The paths of the sandbox itself, for a person or a script beside a running one; no key, no journal."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox import truth
from airflow_provider_helpcrunch.sandbox.faults import Fault
from airflow_provider_helpcrunch.sandbox.journal import summary
from airflow_provider_helpcrunch.sandbox.night import night
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.state import State

PREFIX = "/_sandbox/"
PATHS = (
    "GET journal, GET summary, GET truth/RESOURCE, GET truth/messages/CHAT, GET happenings, POST night, POST faults, "
    "DELETE faults, POST reset"
)


def answer(state: State, method: str, path: str, body: Any) -> Answer:
    """
    Answer one request to the control paths.

    :param state: the sandbox
    :param method: the HTTP method
    :param path: below ``/_sandbox/``
    :param body: the decoded JSON body
    """
    about = path.removeprefix(PREFIX)
    if method == "GET" and about.startswith("truth/"):
        return _truth(state, about.removeprefix("truth/"))
    handler = _HANDLERS.get((method, about))
    if handler:
        return handler(state, body)
    return replace(_wrong(f"the control paths below {PREFIX} are: {PATHS}"), status=404)


def _ok(payload: Any) -> Answer:
    return Answer(200, encode(payload) + b"\n")


def _wrong(reason: str) -> Answer:
    return Answer(400, encode({"error": reason}) + b"\n")


def _truth(state: State, about: str) -> Answer:
    resource, _, chat = about.partition("/")
    try:
        if resource == "messages" and chat:
            return _ok(truth.messages(state.account, int(chat)))
        return _ok(truth.truth(state.account, about))
    except KeyError:
        return replace(_wrong(f"there is no chat {chat}"), status=404)
    except ValueError as wrong:
        return replace(_wrong(str(wrong)), status=404)


def _night(state: State, body: Any) -> Answer:
    if body is not None and not isinstance(body, dict):
        return _wrong('a night is a JSON object such as {"seconds": 28800, "messages": 20, "silent": 5}')
    try:
        return _ok([asdict(each) for each in night(state.account, **(body or {}))])
    except (TypeError, ValueError) as wrong:
        return _wrong(str(wrong))


def _add_fault(state: State, body: Any) -> Answer:
    if not isinstance(body, dict):
        return _wrong('a fault is a JSON object such as {"kind": "status", "status": 503, "nth": 2}')
    try:
        fault = Fault.from_dict(body)
    except ValueError as wrong:
        return _wrong(str(wrong))
    state.faults.add(fault)
    return _ok(asdict(fault))


def _drop_faults(state: State, body: Any) -> Answer:
    state.faults.replace(())
    return _ok({})


def _reset(state: State, body: Any) -> Answer:
    state.reset()
    return _ok({})


_HANDLERS: dict[tuple[str, str], Callable[[State, Any], Answer]] = {
    ("GET", "journal"): lambda state, body: _ok([asdict(request) for request in state.journal.entries()]),
    ("GET", "summary"): lambda state, body: _ok(summary(state.journal.entries())),
    ("GET", "happenings"): lambda state, body: _ok([asdict(each) for each in state.account.happenings]),
    ("POST", "night"): _night,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _drop_faults,
    ("POST", "reset"): _reset,
}
