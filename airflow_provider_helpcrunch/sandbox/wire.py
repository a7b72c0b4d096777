"""Wire: responses on a socket, and the ways they do not arrive."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.responses import Answer


async def send(answer: Answer, request: web.BaseRequest) -> web.StreamResponse | None:
    """
    Send a response the way it ends.

    :return: a response whose end aiohttp has still to send, ``None`` when no complete response will arrive
    """
    match answer.ending:
        case "whole":
            return web.Response(status=answer.status, body=answer.body, headers=_headers(answer))
        case "drip":
            return await _drip(answer, request)
        case "hang":
            await asyncio.Event().wait()
        case "truncate":
            await _half(answer, request)
    _hang_up(request, rudely=answer.ending == "reset")
    return None


def _headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, **answer.headers}


async def _drip(answer: Answer, request: web.BaseRequest) -> web.StreamResponse:
    stream = web.StreamResponse(status=answer.status, headers=_headers(answer))
    await stream.prepare(request)
    for position in range(len(answer.body)):
        await asyncio.sleep(answer.pause)
        await stream.write(answer.body[position : position + 1])
    return stream


async def _half(answer: Answer, request: web.BaseRequest) -> None:
    stream = web.StreamResponse(status=answer.status, headers=_headers(answer))
    stream.content_length = len(answer.body)
    await stream.prepare(request)
    await stream.write(answer.body[: len(answer.body) // 2])


def _hang_up(request: web.BaseRequest, *, rudely: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if not rudely:
        transport.close()
        return
    # Closing with a linger time of zero is what makes the kernel send RST instead of FIN.
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
