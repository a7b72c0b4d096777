"""HTTP server: a thin shell around :mod:`~.exchange`."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_helpcrunch.sandbox import wire
from airflow_provider_helpcrunch.sandbox.exchange import Arrival, receive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_helpcrunch.sandbox.state import State

HOST = "127.0.0.1"
# Handlers that are still busy then (late or hanging responses) are cancelled.
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
        """Answer one request, unless a fault forbids it."""
        exchange = receive(self._state, await self._arrival(request))
        if exchange.delay:
            await asyncio.sleep(exchange.delay)
        answer = exchange.answer()
        response = await wire.send(answer, request)
        if response is None:
            return web.Response()  # goes nowhere: the connection is closed
        # Before the last byte leaves: whoever has a response finds it in the journal.
        exchange.answered(answer)
        return response

    async def _arrival(self, request: web.BaseRequest) -> Arrival:
        arrived = self._state.clock()
        peer: tuple[Any, ...] = ("", 0)
        port = 0
        if request.transport:
            peer = request.transport.get_extra_info("peername") or peer
            port = request.transport.get_extra_info("sockname")[1]
        return Arrival(
            at=arrived,
            method=request.method,
            path=request.path,
            query=dict(request.query),
            body=await request.read() if request.can_read_body else None,
            authorization=request.headers.get("Authorization", ""),
            user_agent=request.headers.get("User-Agent", ""),
            peer=f"{peer[0]}:{peer[1]}",
            port=port,
        )
