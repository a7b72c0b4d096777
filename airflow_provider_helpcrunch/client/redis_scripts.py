"""Scripts that run in Redis, over one connection that is made anew when it breaks."""

from __future__ import annotations

import hashlib
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from redis import exceptions as errors
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

T = TypeVar("T")

TIMEOUT = 2.0
"""Seconds that Redis may take to accept a connection, and again to answer."""

REFUSALS = (errors.AuthenticationError, errors.AuthorizationError, errors.NoPermissionError)
"""What Redis says until somebody mends user or password."""

PROBLEMS = (errors.RedisError, OSError, ValueError)
"""What can go wrong, refusals included."""


class RedisScripts:
    """
    Runs scripts, one at a time, whatever the thread.

    Commands do not go through the client: what it adds to each takes longer than Redis does.

    :param redis: says how to connect, with which password; its own connections and time-outs are not used
    :param arguments: what every script gets: the number of keys, the keys, then the first of its arguments
    """

    def __init__(self, redis: Redis, arguments: tuple[str | int, ...]) -> None:
        self._pool = redis.connection_pool
        self._arguments = arguments
        self._lock = threading.Lock()
        self._connection: Any = None
        self._can_be_silent = False
        self._hung_at = -TIMEOUT

    @property
    def place(self) -> str:
        """Where Redis is, without user and password."""
        at = self._pool.connection_kwargs
        tls = " with TLS" if issubclass(self._pool.connection_class, SSLConnection) else ""
        return f"Redis at {at['host']}:{at['port']}{tls}" if "host" in at else "Redis"

    def run(self, script: str, *arguments: int) -> Any:
        """
        Run a script and return its answer.

        :raises PROBLEMS: there is none
        """
        return self._on_a_live_connection(self._run, script, arguments)

    def start(self, script: str, *arguments: int) -> None:
        """
        Send a script and do not wait for its answer, which nobody will see.

        :raises PROBLEMS: it could not be sent, or Redis has just left a question unanswered
        """
        # Answers of HelpCrunch wait behind this: only one of them may find out that Redis still hangs.
        if time.monotonic() - self._hung_at < TIMEOUT:
            msg = "Redis hangs"
            raise errors.TimeoutError(msg)
        self._on_a_live_connection(self._start, script, arguments)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def connect(self) -> Any:
        """Return a new connection that connects at its first use."""
        given = {name: value for name, value in self._pool.connection_kwargs.items() if "maint_" not in name}
        own = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "retry": Retry(NoBackoff(), 0)}
        return self._pool.connection_class(**{**given, **own, "protocol": 2})

    def _on_a_live_connection(
        self, do: Callable[[str, tuple[int, ...]], T], script: str, arguments: tuple[int, ...]
    ) -> T:
        with self._lock:
            try:
                return self._guarded(do, script, arguments)
            except REFUSALS:
                raise
            # Redis closes what was idle for long, and all when it starts again.
            except errors.ConnectionError:
                return self._guarded(do, script, arguments)

    def _guarded(self, do: Callable[[str, tuple[int, ...]], T], script: str, arguments: tuple[int, ...]) -> T:
        """Leave no connection behind on which the next one could read an answer that is not its own."""
        try:
            if self._connection is None:
                self._open()
            return do(script, arguments)
        except errors.ResponseError:
            raise
        except BaseException as error:
            if isinstance(error, errors.TimeoutError):
                self._hung_at = time.monotonic()
            self._disconnect()
            raise

    def _open(self) -> None:
        self._connection = self.connect()
        self._send(_packed("CLIENT", "REPLY", "ON"))
        try:
            self._connection.read_response()
            self._can_be_silent = True
        except errors.ResponseError:  # an ACL, or a proxy that does not know it
            self._can_be_silent = False

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _run(self, script: str, arguments: tuple[int, ...]) -> Any:
        self._send(_packed("EVALSHA", _digest(script), *self._arguments, *arguments, 0))
        try:
            return self._connection.read_response()
        except errors.NoScriptError:
            self._send(_packed("EVAL", script, *self._arguments, *arguments, 1))
            return self._connection.read_response()

    def _start(self, script: str, arguments: tuple[int, ...]) -> None:
        if not self._can_be_silent:
            self._run(script, arguments)
            return
        if self._connection.can_read(0):  # nothing is to come, so it was closed
            msg = "closed meanwhile"
            raise errors.ConnectionError(msg)
        silence = _packed("CLIENT", "REPLY", "SKIP")
        self._send(silence + _packed("EVAL", script, *self._arguments, *arguments))

    def _send(self, packed: bytes) -> None:
        self._connection.send_packed_command([packed])


@lru_cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=512)
def _packed(*words: str | int) -> bytes:
    """Return a command as it is sent. The same few are sent all the time, and packing takes longer than sending."""
    return b"".join(_PACKER.pack_command(*words))


_PACKER: Any = Connection()  # type: ignore[no-untyped-call]
