"""The paths of the sandbox itself, for a person or a script beside a running one; no key, no journal."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.faults import Fault
from airflow_provider_helpcrunch.sandbox.journal import summary
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.state import State

PREFIX = "/_sandbox/"
PATHS = "GET journal, GET summary, POST faults, DELETE faults, POST reset"


def answer(state: State, method: str, path: str, body: Any) -> Answer:
    """
    Answer one request to the control paths.

    :param state: the sandbox
    :param method: the HTTP method
    :param path: below ``/_sandbox/``
    :param body: the decoded JSON body
    """
    match method, path.removeprefix(PREFIX):
        case "GET", "journal":
            return _ok([asdict(request) for request in state.journal.entries()])
        case "GET", "summary":
            return _ok(summary(state.journal.entries()))
        case "POST", "faults":
            return _add_fault(state, body)
        case "DELETE", "faults":
            state.faults.replace(())
            return _ok({})
        case "POST", "reset":
            state.reset()
            return _ok({})
    return replace(_wrong(f"the control paths below {PREFIX} are: {PATHS}"), status=404)


def _ok(payload: Any) -> Answer:
    return Answer(200, encode(payload) + b"\n")


def _wrong(reason: str) -> Answer:
    return Answer(400, encode({"error": reason}) + b"\n")


def _add_fault(state: State, body: Any) -> Answer:
    if not isinstance(body, dict):
        return _wrong('a fault is a JSON object such as {"kind": "status", "status": 503, "nth": 2}')
    try:
        fault = Fault.from_dict(body)
    except ValueError as wrong:
        return _wrong(str(wrong))
    state.faults.add(fault)
    return _ok(asdict(fault))
