"""
The request budget of many machines: everyone who reaches the same Redis shares it.

Each operation is one script, which Redis runs alone and on its own clock; the clocks of the workers do not matter.

A slot of which Redis knows nothing is in use for one ``period``, because somebody may just have spent it. That is one
rule for four cases: Redis was emptied; it was restarted, perhaps with a snapshot that is an hour old, or another
server took over; the account is new to it, or was not used for :data:`KEEP`; a larger limit adds slots. Each costs a
wait of one period at most, and none lets more requests through. To notice a restart, the count names the server's
``run_id``; where Redis does not tell it (an ACL without ``INFO``), a restart with an old snapshot goes unnoticed.

What was under way when the count was lost is counted again when its answer is there, which is sooner than one period
for whatever takes no longer than :data:`.rate_limit_stores.LONGEST_FLIGHT`. Only if Redis vanishes once more in that
moment may a window hold more than the limit: by the requests that were under way, eight for each client at most.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.retry import Retry

from airflow_provider_helpcrunch.client.rate_limit_scripts import PAUSE, SETTLE, TAKE, WAIT
from airflow_provider_helpcrunch.client.rate_limit_stores import LONGEST_FLIGHT, LONGEST_PAUSE, Away, Wait
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

TIMEOUT = 2.0
"""Seconds that Redis may take to accept a connection, and again to answer."""

KEEP = 35 * 86_400.0
"""Seconds for which an unused count is kept: a job that runs once a month finds it again."""

_MICROS = 1_000_000
_REFUSALS = (
    redis_errors.AuthenticationError,
    redis_errors.AuthorizationError,
    redis_errors.NoPermissionError,
)


class RedisStore:
    """
    The budget of every process that reaches the same Redis.

    Nothing is sent before the first permit is wanted.

    :param redis: says how to connect; its own connections and time-outs are not used
    :param name: names the account without telling its key
    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    """

    def __init__(self, redis: Redis, name: str, limit: int, period: float) -> None:
        self._connect, self._place = _dial(redis)
        # The braces keep both keys on one node of a cluster.
        keys = [f"airflow-provider-helpcrunch:{{{name}}}:{key}" for key in ("slots", "pause")]
        seconds = (period, LONGEST_FLIGHT, KEEP)
        self._common = (2, *keys, limit, *(round(length * _MICROS) for length in seconds))
        self._lock = threading.Lock()
        self._connection: Any = None
        self._failed_at = -TIMEOUT
        self._paused_until = 0.0

    def take(self) -> int | Wait | Away:
        """Take a free slot (see :class:`.rate_limit_stores.Store`)."""
        pause = self._paused_until - time.monotonic()
        if pause > 0:
            return Wait(pause, paused=True)
        answer = self._run(TAKE)
        if isinstance(answer, Away):
            return answer
        slot, micros, paused, unknown = answer
        return int(slot) if slot >= 0 else Wait(micros / _MICROS, bool(paused), bool(unknown))

    def settle(self, slot: int) -> None:
        """Start the slot's period. If Redis is away, the slot comes back by itself later."""
        # Whoever settles has an answer that others wait for: no more than one of them finds out that Redis hangs.
        if time.monotonic() - self._failed_at >= TIMEOUT:
            self._run(SETTLE, slot)

    def pause(self, seconds: float) -> None:
        """Stop everyone. If Redis is away, stop at least those who use this object."""
        seconds = min(seconds, LONGEST_PAUSE)
        if isinstance(self._run(PAUSE, round(seconds * 1000)), Away):
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def wait(self, slots: int) -> float | Away:
        """Return the seconds until so many slots are free (see :class:`.rate_limit_stores.Store`)."""
        answer = self._run(WAIT, slots)
        return answer if isinstance(answer, Away) else float(answer / _MICROS)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.disconnect()

    def _run(self, script: str, *arguments: int) -> Any:
        """Run a script and return its answer, or why there is none."""
        with self._lock:
            try:
                return self._answer(script, arguments)
            except (redis_errors.RedisError, OSError, ValueError) as error:
                self._failed_at = time.monotonic()
                if isinstance(error, _REFUSALS):
                    advice = f"{self._place} refuses the request budget ({error}). Mend user and password"
                    return Away(f"{advice} in the connection that rate_limit_conn_id names.", lasting=True)
                return Away(f"The request budget in {self._place} cannot be used ({error}).")

    def _answer(self, script: str, arguments: tuple[int, ...]) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        try:
            return self._ask(script, arguments)
        except _REFUSALS:
            raise
        except redis_errors.ConnectionError:  # it closes connections that were idle, or when it starts again
            return self._ask(script, arguments)

    def _ask(self, script: str, arguments: tuple[int, ...]) -> Any:
        connection, digest = self._connection, _DIGESTS[script]
        # Not through the client: what it adds to each command takes longer than Redis does.
        connection.send_packed_command(connection.pack_command("EVALSHA", digest, *self._common, *arguments))
        try:
            return connection.read_response()
        except redis_errors.NoScriptError:
            connection.send_packed_command(connection.pack_command("EVAL", script, *self._common, *arguments))
            return connection.read_response()


def redis_at(address: SplitResult) -> Redis:
    """
    Return a client for an address such as ``redis://host:6379/0``, or ``rediss://`` for TLS. Sends nothing.

    :raises HelpCrunchConfigurationError: the address is wrong or holds a password
    """
    if "@" in address.netloc:
        msg = (
            "rate_limit_store must not hold a user or password: put them into an Airflow connection of type redis "
            "and name that in rate_limit_conn_id."
        )
        raise HelpCrunchConfigurationError(msg)
    try:
        host, port = address.hostname, address.port or 6379
    except ValueError:  # whose text would show what was given
        host, port = None, 0
    database = re.fullmatch(r"/?(\d{0,4})", address.path)
    if not host or not database or address.query or address.fragment:
        msg = "rate_limit_store must look like redis://host:6379/0, or rediss://host:6379/0 with TLS."
        raise HelpCrunchConfigurationError(msg)
    tls = address.scheme == "rediss"
    # Older releases of redis-py do not check the name in the certificate unless they are told to.
    return Redis(host=host, port=port, db=int(database[1] or 0), ssl=tls, ssl_check_hostname=True)


def _dial(redis: Redis) -> tuple[Callable[[], Connection], str]:
    """Return how to make a connection, and where it leads to. It holds the password, so only the client's is used."""
    pool = redis.connection_pool
    own = {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    kind: Any = pool.connection_class

    def connect() -> Connection:
        given = {key: value for key, value in pool.connection_kwargs.items() if "maint_" not in key}
        connection: Connection = kind(**{**given, **own})
        return connection

    at = pool.connection_kwargs
    tls = " with TLS" if issubclass(kind, SSLConnection) else ""
    return connect, f"Redis at {at.get('host', 'its socket')}:{at.get('port', '')}{tls}"


_DIGESTS = {
    script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    for script in (TAKE, SETTLE, PAUSE, WAIT)
}
