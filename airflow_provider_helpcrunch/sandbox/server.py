"""The HTTP server: the key, the rate limit, the faults, and then an answer."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_helpcrunch.sandbox import control, drift, endpoints, wire
from airflow_provider_helpcrunch.sandbox.answers import Answer, error
from airflow_provider_helpcrunch.sandbox.faults import (
    DATA_KINDS,
    INSTEAD_KINDS,
    SETTING_KINDS,
    WIRE_KINDS,
    Fault,
)
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.misbehaviour import Scene, shape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_helpcrunch.sandbox.state import State

HOST = "127.0.0.1"
# Handlers that are still busy then (late or hanging answers) are cancelled.
SHUTDOWN_SECONDS = 0.05


@asynccontextmanager
async def serving(state: State, port: int) -> AsyncIterator[int]:
    """
    Serve a sandbox on the loopback interface for the time of the block.

    :param state: the sandbox
    :param port: where, 0 for a free port
    :return: the port
    :raises OSError: the port is taken
    """
    # Cancelling a handler whose client has gone keeps hanging requests from piling up.
    server = web.Server(Handler(state).handle, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    with socket.create_server((HOST, port)) as listener:
        try:
            await web.SockSite(runner, listener).start()
            yield listener.getsockname()[1]
        finally:
            # asyncio leaks what it accepts while a server closes: accept no more, let the last ones come in, and close.
            asyncio.get_running_loop().remove_reader(listener)
            await _let_callbacks_run()
            await runner.cleanup()
            await _let_callbacks_run()


async def _let_callbacks_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Handler:
    """Answers the requests of one sandbox."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: enter it in the journal, judge it, and answer unless a fault forbids."""
        arrived = time.monotonic()
        body = await _body(request)
        state = self._state
        if request.path.startswith(control.PREFIX):
            return wire.response(control.answer(state, request.method, request.path, body))
        entry = self._entry(request, arrived, body)
        refusal, faults = self._verdict(entry)
        ticket = state.journal.open(replace(entry, fault="+".join(fault.kind for fault in faults) or None))
        response = await self._response(request, entry, refusal, faults, ticket)
        if response is None:
            return web.Response()  # goes nowhere: the connection is closed
        # Before the last byte leaves: whoever has an answer finds it in the journal.
        state.journal.answered(ticket, response.status)
        return response

    def _entry(self, request: web.BaseRequest, arrived: float, body: Any) -> Request:
        host, port = (request.transport and request.transport.get_extra_info("peername")) or ("", 0)
        sent, right = request.headers.get("Authorization", ""), f"Bearer {self._state.settings.key}"
        return Request(
            at=arrived,
            method=request.method,
            path=request.path,
            query=dict(request.query),
            body=body,
            status=None,
            peer=f"{host}:{port}",
            user_agent=request.headers.get("User-Agent", ""),
            authorized=sent == right,
        )

    def _verdict(self, entry: Request) -> tuple[Answer | None, list[Fault]]:
        """Return why the account refuses the request, or the faults that hit it; an accepted one spends."""
        settings, limit = self._state.settings, self._state.limit
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

    async def _response(
        self,
        request: web.BaseRequest,
        entry: Request,
        refusal: Answer | None,
        faults: list[Fault],
        ticket: int,
    ) -> web.StreamResponse | None:
        for fault in faults:
            drift.happen(self._state.account, fault)
        shaping = _shaping(faults)
        # A write is carried out on arrival: a client that gives up during the wait does not undo it.
        answer = refusal or (self._answer(entry, shaping, ticket) if endpoints.writes(entry) else None)
        lags = [fault.seconds for fault in faults if fault.kind == "latency"]
        late = sum(lags, self._state.settings.latency)
        if late:
            await asyncio.sleep(late)
        answer = answer or self._answer(entry, shaping, ticket)
        if shaping is None:
            return wire.response(answer)
        if shaping.kind in WIRE_KINDS:
            return await wire.deliver(shaping, answer, request)
        return wire.response(shape(shaping, answer, self._scene(request)))

    def _answer(self, entry: Request, fault: Fault | None, ticket: int) -> Answer:
        state, settings = self._state, self._state.settings
        if fault and fault.kind in INSTEAD_KINDS:
            return Answer(200, b"")
        if fault and fault.kind in SETTING_KINDS:
            flag: dict[str, Any] = {fault.kind: True}
            settings = replace(settings, **flag)
        answer = endpoints.answer(state.account, settings, entry)
        if answer.applied:
            state.journal.applied(ticket)
        return answer

    def _scene(self, request: web.BaseRequest) -> Scene:
        port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
        return Scene(self._state.settings.errors, request.headers.get("Authorization", ""), port)


def _shaping(faults: list[Fault]) -> Fault | None:
    return next((fault for fault in faults if fault.kind not in (*DATA_KINDS, "latency")), None)


async def _body(request: web.BaseRequest) -> Any:
    """Return the JSON body whatever its content type says, as HelpCrunch does; what is no JSON, as text."""
    if not request.can_read_body:
        return None
    text = (await request.read()).decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
