"""
Requests and the account's responses to them: the sandbox without a server.

:func:`receive` judges a request (key, rate limit, faults) and carries out what it writes; after :attr:`Exchange.delay`
seconds :meth:`Exchange.answer` returns the client's response. Nothing here waits or knows a socket, so the HTTP
server and the in-process adapter are thin shells around it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_helpcrunch.sandbox import control, drift, endpoints
from airflow_provider_helpcrunch.sandbox.faults import DATA_KINDS, INSTEAD_KINDS, SETTING_KINDS, Fault
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.misbehaviour import Scene, shape
from airflow_provider_helpcrunch.sandbox.responses import Answer, error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_helpcrunch.sandbox.state import State


@dataclass(frozen=True, slots=True)
class Arrival:
    """
    One HTTP request as it reaches the sandbox.

    :param at: when it arrived, on the sandbox's clock
    :param method: HTTP method
    :param path: path with the prefix, such as ``/v1/agents``
    :param query: query parameters
    :param body: raw body; ``None`` without one
    :param authorization: the whole ``Authorization`` header; empty without one
    :param user_agent: the ``User-Agent`` header; empty without one
    :param peer: the client's address: distinct values are distinct connections
    :param port: port that it was sent to
    """

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None
    authorization: str = ""
    user_agent: str = ""
    peer: str = ""
    port: int = 0


class Exchange(Protocol):
    """One request under way: its response is due after a delay."""

    delay: float
    """Seconds until the response is due."""

    def answer(self) -> Answer:
        """Return what the client gets; a read shows the account as it is now, after the delay."""

    def answered(self, answer: Answer) -> None:
        """Enter into the journal that the whole response was sent; call it before the last byte leaves."""


class _AccountExchange:
    """A request to the account."""

    def __init__(self, state: State, arrival: Arrival) -> None:
        self._state = state
        self._arrival = arrival
        self._entry = _entry(state, arrival)
        # The rate limit and the counts of faults hold for requests one after another.
        with state.judging:
            self._answer, faults = self._verdict()
            kinds = "+".join(fault.kind for fault in faults) or None
            self._ticket = state.journal.open(replace(self._entry, fault=kinds))
        self._shaping = _shaping(faults)
        for fault in faults:
            drift.happen(state.account, fault)
        lags = [fault.seconds for fault in faults if fault.kind == "latency"]
        self.delay = sum(lags, state.settings.latency)
        # A write is carried out on arrival: a client that gives up during the wait does not undo it.
        if self._answer is None and endpoints.writes(self._entry):
            self._answer = self._regular()

    def answer(self) -> Answer:
        answer = self._answer or self._regular()
        if self._shaping is None:
            return answer
        scene = Scene(self._state.settings.errors, self._arrival.authorization, self._arrival.port)
        return shape(self._shaping, answer, scene)

    def answered(self, answer: Answer) -> None:
        self._state.journal.answered(self._ticket, answer.status)

    def _verdict(self) -> tuple[Answer | None, list[Fault]]:
        """Return why the account refuses the request, or the faults that hit it; an accepted one spends."""
        settings, limit, entry = self._state.settings, self._state.limit, self._entry
        if not entry.authorized:
            return error(401, settings.errors), []
        wait = limit.wait(entry.at)
        if wait > 0:
            headers = {"Retry-After": str(math.ceil(wait))} if settings.retry_after else {}
            return replace(error(429, settings.errors), headers=headers), []
        faults = self._state.faults.hits(entry)
        shaping = _shaping(faults)
        # A 429 by fault is a refusal too: somebody else has spent from the account.
        if not (shaping and shaping.kind == "status" and shaping.status == 429):
            limit.spend(entry.at)
        return None, faults

    def _regular(self) -> Answer:
        state, settings, fault = self._state, self._state.settings, self._shaping
        if fault and fault.kind in INSTEAD_KINDS:
            return Answer(200, b"")
        if fault and fault.kind in SETTING_KINDS:
            flag: dict[str, Any] = {fault.kind: True}
            settings = replace(settings, **flag)
        answer = endpoints.answer(state.account, settings, self._entry)
        if answer.applied:
            state.journal.applied(self._ticket)
        return answer


class _ControlExchange:
    """A request to the sandbox itself: it stands in no journal, and no fault hits it."""

    delay = 0.0

    def __init__(self, state: State, arrival: Arrival) -> None:
        self._answer = control.answer(state, arrival.method, arrival.path, _decoded(arrival.body))

    def answer(self) -> Answer:
        return self._answer

    def answered(self, answer: Answer) -> None:
        pass


def receive(state: State, arrival: Arrival) -> Exchange:
    """
    Let a request reach the sandbox.

    :param state: the sandbox
    :param arrival: the request
    :return: the exchange, whose response is due after its ``delay``
    """
    if arrival.path.startswith(control.PREFIX):
        return _ControlExchange(state, arrival)
    return _AccountExchange(state, arrival)


def _entry(state: State, arrival: Arrival) -> Request:
    return Request(
        at=arrival.at,
        method=arrival.method,
        path=arrival.path,
        query=dict(arrival.query),
        body=_decoded(arrival.body),
        status=None,
        peer=arrival.peer,
        user_agent=arrival.user_agent,
        authorized=any(
            arrival.authorization == f"Bearer {key}" for key, is_valid in state.keys.items() if is_valid
        ),
    )


def _shaping(faults: list[Fault]) -> Fault | None:
    return next((fault for fault in faults if fault.kind not in (*DATA_KINDS, "latency")), None)


def _decoded(body: bytes | None) -> Any:
    """Return the JSON body whatever its content type says, as HelpCrunch does; anything else as text."""
    if body is None:
        return None
    text = body.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
