"""Connections whose answers are complete in time, or cut off; and what it means when one failed."""

from __future__ import annotations

import contextlib
import http.client
import logging
import threading
import time
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from urllib3.response import HTTPResponse

IDLE_TICKS = 10
_current = threading.local()


class Flight:
    """
    One request that is under way, from the moment when it is sent to the last byte of its answer.

    :param seconds: how long that may take
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.late = False
        self.unwanted = False
        self.ends = float("inf")
        self._socket: socket.socket | None = None

    def begin(self, connection: socket.socket) -> None:
        """Start the clock: the request has been sent over ``connection``."""
        self._socket = connection
        self.ends = time.monotonic() + self.seconds
        if self.unwanted:
            self.cut()

    def cut(self) -> None:
        """End the request at once, or as soon as it begins."""
        self.unwanted = True
        # The connection may have ended by itself in the meantime.
        if connection := self._socket:
            with contextlib.suppress(OSError):
                connection.shutdown(SHUT_RDWR)


class Watchdog:
    """
    Cuts requests whose whole answer is not there in time; one thread for all requests of a client.

    The time-outs of sockets hold for each read, so a server that sends a byte now and then would never meet one.

    :param tick: seconds between two looks at the clock
    """

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._flights: set[Flight] = set()
        self._lock = threading.Lock()
        self._watching = False
        self._closed = False

    @contextlib.contextmanager
    def over(self, flight: Flight) -> Iterator[None]:
        """Watch over the request that this thread makes inside the block."""
        _current.flight = flight
        with self._lock:
            self._flights.add(flight)
            flight.unwanted = self._closed
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="helpcrunch-watchdog", daemon=True).start()
        try:
            yield
        finally:
            _current.flight = None
            with self._lock:
                self._flights.discard(flight)

    def cut_all(self) -> None:
        """End all requests at once, and those that may still come."""
        with self._lock:
            self._closed = True
            for flight in self._flights:
                flight.cut()

    def _watch(self) -> None:
        """Run until there has been nothing to watch for a while."""
        idle = 0
        while idle < IDLE_TICKS:
            time.sleep(self._tick)
            with self._lock:
                for flight in self._flights:
                    if time.monotonic() >= flight.ends:
                        flight.late = True
                        flight.cut()
                idle = 0 if self._flights else idle + 1
                self._watching = idle < IDLE_TICKS


def _not_ours(record: logging.LogRecord) -> bool:
    """Keep urllib3 from logging malformed headers of our answers word for word: they may echo the API key."""
    return getattr(_current, "flight", None) is None


logging.getLogger("urllib3.connection").addFilter(_not_ours)


class _FinalResponse(http.client.HTTPResponse):
    """Skips 102 and 103, which ``http.client`` takes for the answer; the real one would answer the next request."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _WatchedHTTPConnection(HTTPConnection):
    response_class = _FinalResponse

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Begin to read the answer, watched over."""
        flight: Flight | None = getattr(_current, "flight", None)
        if flight and self.sock:
            flight.begin(self.sock)
        return super().getresponse()


class _WatchedHTTPSConnection(_WatchedHTTPConnection, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPSConnection


class WatchedAdapter(HTTPAdapter):
    """An adapter of ``requests`` that makes such connections, through proxies too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pool of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager


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
    text = "this is no HTTP answer" if isinstance(root, http.client.BadStatusLine) else str(root)
    return f"{type(error).__name__}: {text}"
