"""Scripts that run in Redis, over one connection that is made anew when it breaks."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_helpcrunch._airflow import AirflowOptionalProviderFeatureException

try:
    from redis import exceptions as errors
    from redis.backoff import NoBackoff
    from redis.connection import Connection, SSLConnection
    from redis.retry import Retry
except ModuleNotFoundError as error:
    raise AirflowOptionalProviderFeatureException(error) from error

from airflow_provider_helpcrunch.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

T = TypeVar("T")

TIMEOUT = 2.0
"""Seconds that Redis may take to accept a connection, and again to answer."""

LONGEST_IDLE = 30.0
"""Seconds after which an unused connection is not trusted any more: what lies between may have forgotten it."""

PROBLEMS = (errors.RedisError, OSError, ValueError)
"""What can go wrong."""

_REFUSED = (errors.AuthenticationError, errors.AuthorizationError, errors.NoPermissionError)
_PASSING = (
    errors.ClusterDownError,
    errors.OutOfMemoryError,
    errors.ReadOnlyError,
    errors.TryAgainError,
)
_PASSES = re.compile(
    r"\b(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|READONLY|TRYAGAIN|UNKILLABLE)\b"
)


def lasts(problem: Exception) -> bool:
    """Tell whether a problem stays until somebody mends user, password, rights or database."""
    if isinstance(problem, _REFUSED):
        return True
    if isinstance(problem, _PASSING):
        return False
    # Any other answer of Redis, such as that it knows no such command, will be the same the next time.
    return isinstance(problem, errors.ResponseError) and not _PASSES.search(str(problem))


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
        self._closed = False
        self._used_at = 0.0
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the connection, and what was started on it, to the parent."""
        self._lock = threading.Lock()
        self._connection: Any = None
        # Commands whose answers were not read yet, in the order of these answers.
        self._started: deque[bytes] = deque()

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
        with self._lock:
            return self._twice(lambda: self._run(script, arguments))

    def start(self, script: str, *arguments: int) -> None:
        """
        Send a script and do not wait for its answer. If it cannot be sent, the next one to :meth:`run` takes it along.

        :raises PROBLEMS: it could not be sent now
        """
        command = _packed("EVAL", script, *self._arguments, *arguments)
        with self._lock:
            try:
                # Answers of HelpCrunch wait behind this: none of them tries to reach a Redis that is away.
                if self._connection is not None:
                    with self._connected() as connection:
                        connection.send_packed_command([command])
            finally:
                self._started.append(command)
                if self._closed:  # this is the answer to a request that was given up
                    self._finish()

    def close(self) -> None:
        """See that what was started is done, and close the connection."""
        # Not forever, since a signal handler may close what it interrupts.
        if self._lock.acquire(timeout=2 * TIMEOUT):
            self._closed = True
            try:
                self._finish()
            finally:
                self._lock.release()

    def connect(self) -> Any:
        """Return a new connection that connects at its first use."""
        # Notices of maintenance would come unasked between the answers; they and the newer protocol belong together.
        given = {name: value for name, value in self._pool.connection_kwargs.items() if "maint_" not in name}
        own = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "retry": Retry(NoBackoff(), 0)}
        return self._pool.connection_class(**{**given, **own, "protocol": 2})

    def _twice(self, do: Callable[[], T]) -> T:
        """Do something again if it failed because the connection did."""
        try:
            return do()
        except _REFUSED:
            raise
        # Redis closes what was idle for long, and all when it starts again; who was the master may be no more.
        except errors.RedisError as error:
            if not isinstance(error, errors.ConnectionError) and not _is_read_only(error):
                raise
            return do()
        finally:
            if self._closed:
                self._disconnect()

    def _finish(self) -> None:
        """See that what was started is done, if Redis is there, and close the connection."""
        with contextlib.suppress(*PROBLEMS):
            if self._started:
                self._twice(self._end_all_started)
        self._disconnect()

    def _end_all_started(self) -> None:
        with self._connected():
            while self._started:
                self._end_started()

    def _run(self, script: str, arguments: tuple[int, ...]) -> Any:
        with self._connected() as connection:
            command = _packed("EVALSHA", _digest(script), *self._arguments, *arguments, 0)
            connection.send_packed_command([command])
            while self._started:
                self._end_started()
            try:
                return connection.read_response()
            except errors.NoScriptError:
                command = _packed("EVAL", script, *self._arguments, *arguments, 1)
                connection.send_packed_command([command])
                return connection.read_response()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """Yield a connection on which nothing is to be read but the answers to what was started."""
        try:
            if self._connection is not None and not self._is_sound():
                self._disconnect()
            if self._connection is None:
                self._open()
            yield self._connection
            self._used_at = time.monotonic()
        except BaseException:
            self._disconnect()
            raise

    def _is_sound(self) -> bool:
        try:
            while self._started and self._connection.can_read(0):
                self._end_started()
            # Where no answer is to come, whatever can be read is out of turn.
            unasked = not self._started and self._connection.can_read(0)
        except (
            errors.ConnectionError,
            errors.ResponseError,
        ):  # it was closed, or leads to no master any more
            return False
        return not unasked and time.monotonic() - self._used_at < LONGEST_IDLE

    def _open(self) -> None:
        self._connection = self.connect()
        for command in self._started:
            self._connection.send_packed_command([command])

    def _end_started(self) -> None:
        try:
            self._connection.read_response()
        except errors.ResponseError as error:
            if _is_read_only(error):  # the new master has to hear of it
                raise
            # Otherwise what it was to do comes about by itself, only later.
        self._started.popleft()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def _is_read_only(error: Exception) -> bool:
    return isinstance(error, errors.ReadOnlyError) or "READONLY" in str(error)


@lru_cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=512)
def _packed(*words: str | int) -> bytes:
    """Return a command as it is sent. The same few are sent all the time, and packing takes longer than sending."""
    return b"".join(_PACKER.pack_command(*words))


_PACKER: Any = Connection()  # type: ignore[no-untyped-call]
