"""Connections whose answers are complete in time, or cut off; and what it means when one failed."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
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
    from collections.abc import Iterator

    from urllib3.connectionpool import HTTPConnectionPool

IDLE_TICKS = 10

LANDING = 1.0
"""Seconds at most that closing waits for requests that were cut."""

_current = threading.local()


def _flight() -> Flight | None:
    """Return the request that this thread makes for a client of ours."""
    return getattr(_current, "flight", None)


class Flight:
    """
    One request that is under way, from its connection to the last byte of its response.

    :param connecting: seconds for a proxy's answer and the TLS handshake together, once the connection is there
    :param responding: seconds from the moment when the request is sent to the end of the response
    :param cancelled: set by the caller when the response is not wanted any more
    """

    def __init__(self, connecting: float, responding: float, cancelled: threading.Event) -> None:
        self.seconds = 0.0
        """How long the phase that has begun may take."""
        self.late = False
        self.cancelled = cancelled
        self.connecting = connecting
        self.responding = responding
        self.ends = float("inf")
        self._unwanted = False
        self._socket: socket.socket | None = None

    def begin(self, connection: socket.socket, seconds: float) -> None:
        """Start the clock of a phase of the request, which goes over ``connection``."""
        # A duplicate reaches the connection also while the TLS handshake has taken it from its socket object.
        self._release()
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self.seconds = seconds
        self.ends = time.monotonic() + seconds
        if self._unwanted:
            self.cut()

    def look(self, now: float) -> None:
        """Cut the request if it is late or not wanted any more."""
        if now >= self.ends:
            self.late = True
        if self.late or self.cancelled.is_set():
            self.cut()

    def cut(self) -> None:
        """End the request at once, or as soon as it begins."""
        self._unwanted = True
        # The connection may have ended by itself in the meantime.
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Release what the flight holds."""
        self.ends = float("inf")
        self._release()

    def _release(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


class Watchdog:
    """
    Cuts requests whose whole response is not there in time; one thread for all requests of a client.

    The timeouts of sockets hold for each read, so a server that sends a byte now and then would never meet one.

    :param tick: seconds between two looks at the clock
    """

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._closed = False
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the requests and the thread of the parent."""
        self._flights: set[Flight] = set()
        self._landed = threading.Condition()
        self._watching = False

    @contextlib.contextmanager
    def over(self, flight: Flight) -> Iterator[None]:
        """Watch over the request that this thread makes inside the block."""
        _current.flight = flight
        with self._landed:
            self._flights.add(flight)
            if self._closed:
                flight.cut()
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="helpcrunch-watchdog", daemon=True).start()
        try:
            yield
        finally:
            _current.flight = None
            with self._landed:
                self._flights.discard(flight)
                flight.end()
                self._landed.notify_all()

    def cut_all(self) -> None:
        """End all requests at once, and those that may still come; return when their connections are closed."""
        with self._landed:
            self._closed = True
            for flight in self._flights:
                flight.cut()
            # A signal handler may close the client in the middle of a request of its own thread.
            if _flight() is None:
                self._landed.wait_for(lambda: not self._flights, LANDING)

    def _watch(self) -> None:
        """Run until there has been nothing to watch for a while."""
        idle = 0
        while idle < IDLE_TICKS:
            time.sleep(self._tick)
            with self._landed:
                for flight in self._flights:
                    flight.look(time.monotonic())
                idle = 0 if self._flights else idle + 1
                self._watching = idle < IDLE_TICKS


def _not_ours(record: logging.LogRecord) -> bool:
    """Keep urllib3 from logging malformed headers of our answers word for word: they may echo the API key."""
    return _flight() is None


logging.getLogger("urllib3.connection").addFilter(_not_ours)


class _FinalResponse(http.client.HTTPResponse):
    """Skips 102 and 103, which ``http.client`` takes for the answer; the real one would answer the next request."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Watched:
    """What makes a connection of urllib3, direct or through a proxy, one that a flight watches over."""

    response_class = _FinalResponse
    sock: socket.socket | None

    def _new_conn(self) -> socket.socket:
        """Connect; what follows on the connection, a proxy's answer and the TLS handshake, is watched over."""
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        if flight := _flight():
            flight.begin(connection, flight.connecting)
        return connection

    def getresponse(self) -> Any:
        """Begin to read the response, watched over."""
        if self.sock and (flight := _flight()):
            flight.begin(self.sock, flight.responding)
        return super().getresponse()  # type: ignore[misc]


@cache
def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Return a pool class whose connections are watched over, and as they were in all else."""
    connection = type(f"Watched{pool.ConnectionCls.__name__}", (_Watched, pool.ConnectionCls), {})
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": connection})


def _watch_over(manager: Any) -> None:
    """Make the pools of a manager watched ones; one for SOCKS proxies brings pools of its own."""
    manager.pool_classes_by_scheme = {
        scheme: _watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


class WatchedAdapter(HTTPAdapter):
    """An adapter of ``requests`` whose connections are watched over, through proxies too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _watch_over(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pool of connections through a proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _watch_over(manager)
        return manager


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
    text = "this is no HTTP answer" if isinstance(root, http.client.BadStatusLine) else str(root)
    return f"{type(error).__name__}: {text}"
