"""Connections whose whole response arrives in time or is cut off, and the reasons why one failed."""

from __future__ import annotations

import contextlib
import http.client
import math
import socket
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout
from urllib3.exceptions import NewConnectionError

from airflow_provider_helpcrunch.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_CLOSE = 1.0
"""Seconds at most that closing waits for requests that were cut off."""

_current = threading.local()


def _exchange() -> Exchange | None:
    """Return the exchange that this thread makes for a client of ours."""
    return getattr(_current, "exchange", None)


class Exchange:
    """
    One request and its response, from connecting to the last byte.

    :param connecting: seconds to connect, with a proxy's response and the TLS handshake
    :param responding: seconds from the moment when the request is sent to the end of the response
    :param cancelled: set by the caller when the response is not wanted any more
    """

    def __init__(self, connecting: float, responding: float, cancelled: threading.Event) -> None:
        self.connecting = connecting
        self.responding = responding
        self.seconds = 0.0
        """How long the phase that has begun may take."""
        self.late = False
        self._cancelled = cancelled
        self._ends = math.inf
        self._socket: Callable[[], socket.socket | None] = lambda: None

    def begin(self, seconds: float, connection: Callable[[], socket.socket | None]) -> None:
        """Start the clock of a phase, which uses the socket that ``connection`` returns."""
        self._socket = connection
        self.seconds = seconds
        self._ends = time.monotonic() + seconds

    def check(self) -> None:
        """Cut the exchange off if it is late or not wanted any more. May be called again and again."""
        self.late = self.late or time.monotonic() >= self._ends
        if (self.late or self._cancelled.is_set()) and (connection := self._socket()):
            # The connection may have ended by itself. During a TLS handshake this socket has given its descriptor to
            # another one; the handshake as a whole is bounded by the socket's timeout, and is cut off after it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """
    Cuts exchanges off that take too long; one thread for all of a client.

    The timeouts of sockets hold for each read, so a server that sends a byte now and then would never meet one.

    :param tick: seconds between two checks
    """

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the exchanges and the thread of the parent."""
        self._exchanges: set[Exchange] = set()
        self._ended = threading.Condition()
        self._watching = False

    @contextlib.contextmanager
    def over(self, exchange: Exchange) -> Iterator[None]:
        """Watch the exchange that this thread makes inside the block."""
        _current.exchange = exchange
        with self._ended:
            self._exchanges.add(exchange)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="helpcrunch-watchdog", daemon=True).start()
        try:
            yield
        finally:
            _current.exchange = None
            with self._ended:
                self._exchanges.discard(exchange)
                self._ended.notify_all()

    def cut_off_cancelled(self) -> None:
        """Cut off at once the exchanges that were cancelled, all of them; return when they have ended."""
        with self._ended:
            for exchange in self._exchanges:
                exchange.check()
            # A signal handler may close the client in the middle of an exchange of its own thread.
            if _exchange() is None:
                self._ended.wait_for(lambda: not self._exchanges, LONGEST_CLOSE)

    def _watch(self) -> None:
        """Run until there is nothing to watch."""
        while True:
            time.sleep(self._tick)
            with self._ended:
                if not self._exchanges:
                    self._watching = False
                    return
                for exchange in self._exchanges:
                    exchange.check()


class _Response(http.client.HTTPResponse):
    """A response that is the final one, and whose headers nobody logs."""

    def begin(self) -> None:
        """Read status and headers."""
        super().begin()
        # http.client takes 102 and 103 for the response; the real one would then be read as that of the next request.
        while 102 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        # urllib3 would log malformed headers word for word, and they may echo the API key.
        self.headers.defects.clear()
        self.headers.set_payload("")


class _Watched:
    """A mixin for the connections of urllib3, direct or through a proxy, that tells the exchange where it stands."""

    response_class = _Response
    sock: socket.socket | None

    def connect(self) -> None:
        """Connect, in the time that the exchange has for it."""
        if exchange := _exchange():
            exchange.begin(exchange.connecting, lambda: self.sock)
        super().connect()  # type: ignore[misc]

    def getresponse(self) -> Any:
        """Begin to read the response; the clock runs until all of it is read."""
        if exchange := _exchange():
            connection = (
                self.sock
            )  # http.client forgets it before the body is read, if the server closes after that
            exchange.begin(exchange.responding, lambda: connection)
        return super().getresponse()  # type: ignore[misc]


@cache
def _watched(kind: type[Any]) -> type[Any]:
    """Return a class of connections that are watched, and like those of ``kind`` in all else."""
    return kind if issubclass(kind, _Watched) else type(f"Watched{kind.__name__}", (_Watched, kind), {})


class WatchedAdapter(HTTPAdapter):
    """An adapter of ``requests`` whose connections are watched."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for a request, whether direct or through an HTTP or SOCKS proxy."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _watched(pool.ConnectionCls)
        return pool


def bare(error: BaseException) -> BaseException:
    """
    Return the error without its traceback and without the errors behind it.

    The frames of ``requests`` and urllib3 hold the request's headers, and with them the API key. Tools that record
    local variables would have it.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def never_connected(error: BaseException) -> bool:
    """Return whether the server cannot have seen the request that failed so."""
    return isinstance(error, ConnectTimeout) or isinstance(root_of(error), NewConnectionError)


def root_of(error: BaseException) -> BaseException:
    """Return the error at the bottom of what requests and urllib3 wrap around it."""
    while True:
        arguments = (argument for argument in error.args if isinstance(argument, BaseException))
        inner = getattr(error, "reason", None) or next(arguments, None)
        if not isinstance(inner, BaseException):
            return error
        error = inner


def why(error: BaseException) -> str:
    """Say what failed, without a word of what the server sent."""
    root = root_of(error)
    text = "not an HTTP response" if isinstance(root, http.client.BadStatusLine) else str(root)
    return f"{type(error).__name__}: {text}"
