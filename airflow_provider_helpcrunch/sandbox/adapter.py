"""In-process adapter: requests of the ``requests`` library reach a sandbox without a socket or a thread."""

from __future__ import annotations

import errno
import io
import os
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError, ReadTimeoutError
from urllib3.response import HTTPResponse

from airflow_provider_helpcrunch.sandbox.exchange import Arrival, receive

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.exchange import Exchange
    from airflow_provider_helpcrunch.sandbox.responses import Answer
    from airflow_provider_helpcrunch.sandbox.state import State

DEFAULT_PORTS = {"http": 80, "https": 443}


class SandboxAdapter(HTTPAdapter):
    """
    Answers requests from a sandbox of this process; mount it on a ``requests.Session`` under any address.

    A connection that a server would break arrives as the exception that ``requests`` raises for it. The read timeout
    holds for the wait for a response and for each byte of a body that drips, as on a socket; the connect timeout has no
    meaning here.

    :param state: the sandbox
    :param sleep: how to wait, for latency and for what never comes
    """

    def __init__(self, state: State, sleep: Callable[[float], None]) -> None:
        super().__init__()
        self._state = state
        self._sleep = sleep

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """
        Answer a request.

        :param request: the request
        :param stream: ``requests`` reads the body itself where this is false
        :param timeout: seconds to wait for a response, or a pair whose second element is that
        :param verify: ignored
        :param cert: ignored
        :param proxies: ignored
        :return: the response; its body is in ``raw``
        :raises requests.ConnectionError: a fault ended the connection
        :raises requests.ReadTimeout: the response came too late, or never
        """
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        exchange = receive(self._state, _arrival(request, self._state.clock()))
        self._wait(exchange.delay, patience, request)
        answer = exchange.answer()
        if answer.ending == "hang":
            rest = None if patience is None else patience - exchange.delay
            self._wait(float("inf"), rest, request)
        if answer.ending in ("reset", "close"):
            raise requests.ConnectionError(_broken(answer), request=request)
        return self.build_response(request, self._raw(answer, exchange, request, patience))

    def _wait(self, seconds: float, patience: float | None, request: requests.PreparedRequest) -> None:
        if patience is not None and seconds >= patience:
            self._sleep(patience)
            message = f"Read timed out. (read timeout={patience})"
            raise requests.ReadTimeout(message, request=request)
        if seconds:
            self._sleep(seconds)

    def _raw(
        self,
        answer: Answer,
        exchange: Exchange,
        request: requests.PreparedRequest,
        patience: float | None,
    ) -> HTTPResponse:
        headers = {"Content-Type": answer.content_type, **answer.headers}
        body = io.BytesIO(answer.body)
        if answer.ending == "drip":
            body = _Drip(
                answer.body,
                wait=lambda: self._wait_for_byte(answer.pause, patience),
                done=lambda: exchange.answered(answer),
            )
        else:
            headers["Content-Length"] = str(len(answer.body))
        if answer.ending == "truncate":
            body = io.BytesIO(answer.body[: len(answer.body) // 2])
        if answer.ending == "whole":
            exchange.answered(answer)
        return HTTPResponse(
            body,
            headers,
            answer.status,
            preload_content=False,
            enforce_content_length=True,
            request_method=request.method,
            request_url=request.url,
        )

    def _wait_for_byte(self, pause: float, patience: float | None) -> None:
        if patience is not None and pause >= patience:
            self._sleep(patience)
            message = "Read timed out."
            raise ReadTimeoutError(None, None, message)  # type: ignore[arg-type]
        self._sleep(pause)


class _Drip(io.BytesIO):
    """
    A body that comes byte by byte.

    :param body: all of it
    :param wait: called before each byte
    :param done: called when all bytes have come
    """

    def __init__(self, body: bytes, *, wait: Callable[[], None], done: Callable[[], None]) -> None:
        super().__init__(body)
        self._wait = wait
        self._done = done

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes, or all that is left."""
        parts = bytearray()
        while (size is None or size < 0 or len(parts) < size) and (part := self.read1()):
            parts += part
        return bytes(parts)

    def read1(self, size: int | None = -1, /) -> bytes:
        """Return the next byte; nothing at the end."""
        left = self.getbuffer().nbytes - self.tell()
        if left:
            self._wait()
        if left == 1:
            self._done()
        return super().read(1)


def _arrival(request: requests.PreparedRequest, now: float) -> Arrival:
    address = urlsplit(request.url or "")
    body = request.body
    return Arrival(
        at=now,
        method=request.method or "GET",
        path=address.path,
        query=dict(parse_qsl(address.query, keep_blank_values=True)),
        body=body.encode() if isinstance(body, str) else body or None,
        authorization=str(request.headers.get("Authorization", "")),
        user_agent=str(request.headers.get("User-Agent", "")),
        peer="in process",
        port=address.port or DEFAULT_PORTS.get(address.scheme, 0),
    )


def _broken(answer: Answer) -> ProtocolError:
    cause: OSError = RemoteDisconnected("Remote end closed connection without response")
    if answer.ending == "reset":
        cause = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return ProtocolError("Connection aborted.", cause)
