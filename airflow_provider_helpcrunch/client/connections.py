"""Connections whose time-out holds for the whole head of an answer, not for each byte of it; and why one failed."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

if TYPE_CHECKING:
    from urllib3.response import HTTPResponse


GRACE = 1.0
"""Seconds beyond the time-out, so that a server which says nothing at all is still reported as timed out."""


_reading = threading.local()


def _not_ours(record: logging.LogRecord) -> bool:
    """Keep urllib3 from logging malformed headers of our answers word for word: they may echo the API key."""
    return not getattr(_reading, "by_us", False)


logging.getLogger("urllib3.connection").addFilter(_not_ours)


class _PatientHTTPConnection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Read status and headers; a server that sends them byte by byte is cut off when the time-out has passed."""
        if self.sock is None or not isinstance(self.timeout, (int, float)):
            return super().getresponse()
        watchdog = threading.Timer(self.timeout + GRACE, _cut, [self.sock])
        watchdog.daemon = True
        watchdog.start()
        _reading.by_us = True
        try:
            return super().getresponse()
        finally:
            _reading.by_us = False
            watchdog.cancel()


class _PatientHTTPSConnection(_PatientHTTPConnection, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _PatientHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PatientHTTPSConnection


class BoundedAdapter(HTTPAdapter):
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


def _cut(connection: socket.socket) -> None:
    # It may have ended by itself in the meantime.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def never_connected(error: BaseException) -> bool:
    """Return whether the server cannot have seen the request that failed so."""
    if isinstance(error, ConnectTimeout):
        return True
    return isinstance(root_of(error), NewConnectionError)


def root_of(error: BaseException) -> BaseException:
    """Return the error at the bottom of what requests and urllib3 wrap around it."""
    while True:
        inner = getattr(error, "reason", None) or next(
            (a for a in error.args if isinstance(a, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            return error
        error = inner
