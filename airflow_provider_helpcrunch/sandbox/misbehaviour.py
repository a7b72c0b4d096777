"""Faults of a response: pure functions from response to response."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from airflow_provider_helpcrunch.sandbox.faults import WIRE_KINDS, Fault
from airflow_provider_helpcrunch.sandbox.responses import HTML, HTML_PAGE, JSON, Answer, encode, error

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.responses import Ending
    from airflow_provider_helpcrunch.sandbox.settings import Errors


@dataclass(frozen=True, slots=True)
class Scene:
    """
    The parts of the request and the server that faults may use.

    :param errors: the generation of error bodies
    :param authorization: the whole ``Authorization`` header
    :param port: the server's port
    """

    errors: Errors
    authorization: str
    port: int


Shape: TypeAlias = Callable[[Fault, Answer, Scene], Answer]
Payload: TypeAlias = dict[str, Any]


def shape(fault: Fault, answer: Answer, scene: Scene) -> Answer:
    """Return the response as the fault distorts it; kinds that work elsewhere leave it as it is."""
    if fault.kind in WIRE_KINDS:
        return replace(answer, ending=cast("Ending", fault.kind), pause=fault.seconds)
    if fault.kind in _PAYLOADS:
        if answer.content_type != JSON:
            return answer
        payload = json.loads(answer.body)
        listed = isinstance(payload, dict) and "data" in payload and "id" not in payload
        change = _PAYLOADS[fault.kind] if listed else _unchanged
        return replace(answer, body=encode(change(fault, payload)))
    shaper = _SHAPES.get(fault.kind)
    return shaper(fault, answer, scene) if shaper else answer


def _status(fault: Fault, answer: Answer, scene: Scene) -> Answer:
    status = fault.status or 500
    shaped = {
        "documented": error(status, scene.errors),
        "html": Answer(status, HTML_PAGE, HTML),
        "empty": Answer(status, b""),
    }[fault.body]
    return replace(shaped, headers={} if fault.retry_after is None else {"Retry-After": fault.retry_after})


def _echo_key(fault: Fault, answer: Answer, scene: Scene) -> Answer:
    status = fault.status or 401
    code = "invalid_token" if scene.errors == "old" else "unauthorized"
    return error(status, scene.errors, {code: f'Token "{scene.authorization}" was refused'})


def _redirect(fault: Fault, answer: Answer, scene: Scene) -> Answer:
    # Another name of this same server: a client that follows, and what it takes along, shows in the journal.
    location = fault.location or f"http://localhost:{scene.port}/v1/redirected"
    return Answer(302, b"", headers={"Location": location})


def _html(fault: Fault, answer: Answer, scene: Scene) -> Answer:
    return Answer(200, HTML_PAGE, HTML)


def _errors(fault: Fault, answer: Answer, scene: Scene) -> Answer:
    return replace(error(500, scene.errors), status=200)


def _garbage(fault: Fault, answer: Answer, scene: Scene) -> Answer:
    return Answer(200, b'{"data":[{"id":1001,"na\x00\xff')


_SHAPES: dict[str, Shape] = {
    "status": _status,
    "echo_key": _echo_key,
    "redirect": _redirect,
    "html": _html,
    "errors": _errors,
    "garbage": _garbage,
}


def _rows(change: Callable[[Fault, list[Any]], list[Any]]) -> Callable[[Fault, Payload], Payload]:
    """Return a change of the whole payload from one of its rows; a payload without rows stays as it is."""

    def changed(fault: Fault, payload: Payload) -> Payload:
        rows = payload["data"]
        return {**payload, "data": change(fault, rows)} if isinstance(rows, list) else payload

    return changed


def _unchanged(fault: Fault, payload: Payload) -> Payload:
    return payload


def _without_ids(fault: Fault, rows: list[Any]) -> list[Any]:
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def _as_object(fault: Fault, payload: Payload) -> Payload:
    # The way PHP encodes a list whose keys have a gap. What is an object already stays one.
    rows = payload["data"]
    return {**payload, "data": dict(enumerate(rows))} if isinstance(rows, list) else payload


_PAYLOADS: dict[str, Callable[[Fault, Payload], Payload]] = {
    "no_data": lambda fault, payload: {name: value for name, value in payload.items() if name != "data"},
    "data_null": lambda fault, payload: {**payload, "data": None},
    "data_object": _as_object,
    "no_ids": _rows(_without_ids),
    "empty_page": _rows(lambda fault, rows: []),
    "short_page": _rows(lambda fault, rows: rows[: fault.number]),
    "duplicate_rows": _rows(lambda fault, rows: [row for row in rows for _ in range(2)]),
}
