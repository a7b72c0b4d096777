"""Connections with a timeout for the whole response, and the causes of failed ones."""

from __future__ import annotations

import contextlib
import http.client
import math
import socket
import ssl
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, Timeout
from urllib3.exceptions import DecodeError, NewConnectionError, ProxyError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from airflow_provider_helpcrunch.forks import renew_after_fork
from airflow_provider_helpcrunch.plurals import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_CLOSE = 1.0
"""Most seconds that closing waits for requests that were cut off."""

WORDS = (
    (ConnectionRefusedError, "connection refused"),
    (http.client.RemoteDisconnected, "connection closed without a response"),
    (http.client.IncompleteRead, "connection closed midway"),
    (http.client.HTTPException, "not an HTTP response"),
    (ConnectionResetError, "connection reset"),
)
"""What to call the errors whose own text says no more; the first that fits, as some are kinds of others."""

_current = threading.local()


def _exchange() -> Exchange | None:
    """Return the exchange that this thread makes for a client of ours."""
    return getattr(_current, "exchange", None)


class Exchange:
    """
    One request and its response, from connecting to the last byte.

    :param connecting: seconds to connect, including a proxy's response and the TLS handshake
    :param responding: seconds from sending the request to the end of the response
    :param cancelled: set by the caller when it no longer needs the response
    """

    def __init__(self, connecting: float, responding: float, cancelled: threading.Event) -> None:
        self.connecting = connecting
        self.responding = responding
        self.late = False
        self._cancelled = cancelled
        self._ends = math.inf
        self._socket: Callable[[], socket.socket | None] = lambda: None

    def begin(self, seconds: float, connection: Callable[[], socket.socket | None]) -> None:
        """Start the clock of a phase, which uses the socket that ``connection`` returns."""
        self._socket = connection
        self._ends = time.monotonic() + seconds

    def check(self) -> None:
        """Cut the exchange off if it is late or cancelled. May be called repeatedly."""
        self.late = self.late or time.monotonic() >= self._ends
        if (self.late or self._cancelled.is_set()) and (connection := self._socket()):
            # Shut down, not closed: that wakes the thread that reads, which then closes the connection itself. It fails
            # where the connection has ended already, or during a TLS handshake, when the descriptor belongs to another
            # socket object; the socket's timeout limits the handshake as a whole, and the cut follows after it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """
    Watchdog that cuts off exchanges that take too long; one thread per client.

    A socket's timeout applies to each read, so a server that sends a byte now and then would never reach it.

    :param tick: seconds between two checks
    """

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's exchanges and thread."""
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
        """Cut off all cancelled exchanges at once, and return when they have ended."""
        with self._ended:
            for exchange in self._exchanges:
                exchange.check()
            # A signal handler may close the client in the middle of an exchange of this thread, which would then wait
            # for itself.
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
    """A final response, never an interim one, whose malformed headers are not logged."""

    def begin(self) -> None:
        """Read status and headers."""
        super().begin()
        # http.client takes 102 and 103 for the response; the real one would then be read as that of the next request,
        # and one caller would get the data of another.
        while 102 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        # urllib3 would log malformed headers word for word, and they may echo the API key.
        self.headers.defects.clear()
        self.headers.set_payload("")


class _Watched:
    """A mixin for urllib3's connections, direct or through a proxy, that starts the clock of each phase."""

    response_class = _Response
    sock: socket.socket | None

    def connect(self) -> None:
        """Connect, within the exchange's time for it."""
        if exchange := _exchange():
            exchange.begin(exchange.connecting, lambda: self.sock)
        super().connect()  # type: ignore[misc]

    def getresponse(self) -> Any:
        """Begin to read the response; the clock runs until all of it is read."""
        if exchange := _exchange():
            # Kept here: if the server closes after the response, http.client forgets it before the body is read.
            connection = self.sock
            exchange.begin(exchange.responding, lambda: connection)
        return super().getresponse()  # type: ignore[misc]


@cache
def _watched(kind: type[Any]) -> type[Any]:
    """Return a subclass of ``kind`` whose connections are watched."""
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

    The frames of ``requests`` and urllib3 hold the request's headers, and with them the API key, which tools that
    record local variables would store.

    :param error: the error
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def never_connected(error: BaseException) -> bool:
    """Return whether no connection came about, so that the server cannot have seen the request."""
    return isinstance(error, ConnectTimeout) or any(
        isinstance(each, NewConnectionError) for each in _wrapped(error)
    )


def lacks_certificates(error: BaseException) -> bool:
    """Return whether the file of trusted certificates that the environment names is missing, or holds none."""
    *_, root = _wrapped(error)
    # Only for such a path does requests raise an error of no kind. The one of a refused proxy tunnel is wrapped.
    missing = type(error) is OSError and error.errno is None
    return missing or getattr(root, "reason", "") == "NO_CERTIFICATE_OR_CRL_FOUND"


def why(error: BaseException, seconds: float) -> str:
    """
    Return what failed, in a few words, which hold no text of a response that HelpCrunch sent.

    :param error: an error of requests or urllib3, or one of the socket itself
    :param seconds: how long the attempt took
    """
    errors = list(_wrapped(error))
    root = errors[-1]
    by = "proxy: " if any(isinstance(each, ProxyError) for each in errors) else ""
    if isinstance(root, TimeoutError | Timeout | HTTPTimeoutError):
        late = "timed out while connecting" if never_connected(error) else "timed out"
        return f"{by}{late} after {duration(seconds)}"
    if any(isinstance(each, DecodeError) for each in errors):
        return "the body cannot be decompressed"
    return by + _words_for(root)


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, then the one that requests or urllib3 wrapped in it, and so on to that of the socket."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        # For a SOCKS proxy, urllib3 raises this error without "from". The context of others may be no part of the call.
        cause = inner.__context__ if isinstance(inner, NewConnectionError) else inner.__cause__
        candidates = (getattr(inner, "reason", None), *inner.args, cause)
        inner = next((each for each in candidates if isinstance(each, BaseException)), None)


def _words_for(root: BaseException) -> str:
    for kind, words in WORDS:
        if isinstance(root, kind):
            return words
    match root:
        case ssl.SSLCertVerificationError():
            return f"certificate not accepted: {root.verify_message}"
        case ssl.SSLError(reason=str(reason)):
            return f"TLS failed: {reason.replace('_', ' ').lower()}"
        case socket.gaierror():
            return f"host name not found ({root.strerror})"
        case OSError(strerror=str(text)):
            return text[:1].lower() + text[1:]
        case _:
            return str(root)
