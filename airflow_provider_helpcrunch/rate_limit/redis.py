"""
Store of many machines: everyone who reaches the same Redis shares the slots.

Each operation is one script, which Redis runs alone and on its own clock; the clocks of the workers do not matter.

A slot that Redis does not know is in use for one ``period``, because somebody may just have used it. That is one rule
for many cases: Redis was emptied; it was started, perhaps with a snapshot that is an hour old; another server took
over; its clock was set back; the account was not used for :data:`KEEP`; a larger limit adds slots. Each costs a wait of
one period at most, and none lets more requests through. There is one exception, where nobody waits: a server that never
counted for this account, never took over from another one, and has been up for longer than the longest flight of a
request plus a period, so that nothing can have been sent. All this is learned from ``INFO``; if an ACL forbids it, a
restart with an old snapshot goes unnoticed.

A request that was in flight when the count was lost is counted again when its response is complete, which is sooner
than one period for any that takes no longer than :data:`.store.LONGEST_FLIGHT`. Only if Redis misses that release too,
because it is unreachable again at that moment, may a window hold more than the limit: by that many requests.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import AirflowOptionalProviderFeatureException

try:
    from redis import ConnectionPool, Redis, SSLConnection
    from redis import exceptions as errors
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as error:
    raise AirflowOptionalProviderFeatureException(error) from error

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.forks import renew_after_fork
from airflow_provider_helpcrunch.rate_limit.lua import COUNT, PAUSE, RELEASE
from airflow_provider_helpcrunch.rate_limit.store import LONGEST_FLIGHT, LONGEST_PAUSE, Unreachable, Wait

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from redis.commands.core import Script

log = logging.getLogger(__name__)

KEEP = 35 * 86_400.0
"""Seconds for which an unused count is kept: a job that runs once a month finds it again."""

TIMEOUT = 2.0
"""Seconds that Redis may take to accept a connection, and again to reply."""

LONGEST_IDLE = 30.0
"""Seconds after which an unused connection is no longer trusted: a firewall in between may have forgotten it. A
``PING``, with which redis-py would test it, needs a right of its own, and its timeout would delay a request."""

PROBLEMS = (errors.RedisError, OSError, ValueError)
"""Everything that redis-py raises if Redis cannot be used."""

_MICROS = 1_000_000

_REFUSED = (errors.AuthenticationError, errors.AuthorizationError, errors.NoPermissionError)
_PASSING = (errors.ClusterDownError, errors.OutOfMemoryError, errors.ReadOnlyError, errors.TryAgainError)
_PASSES = re.compile(
    r"\b(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|READONLY|TRYAGAIN|UNKILLABLE)\b"
)


class RedisStore:
    """
    A store in Redis, shared by every process that reaches it.

    Nothing is sent before the first permit is requested.

    :param redis: a client whose address and password are used, but not its connections, timeouts and retries
    :param name: names the account without showing its key
    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    """

    def __init__(self, redis: Redis, name: str, limit: int, period: float) -> None:
        self._given = redis.connection_pool
        self._name = name
        seconds = (period, LONGEST_FLIGHT, LONGEST_PAUSE, KEEP)
        key = f"airflow-provider-helpcrunch:{name}"
        self._arguments: tuple[str | int, ...] = (key, limit, *(round(each * _MICROS) for each in seconds))
        self._paused_until = 0.0
        self._pause_is_shared = True
        self._closed = False
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace connections and locks, and leave the pending releases to the parent."""
        self._redis = _own_client(self._given)
        # A script of its own for each account: a server that knows the script has counted for this account before.
        self._count = self._redis.register_script(f"-- {self._name}\n{COUNT}")
        self._release = self._redis.register_script(RELEASE)
        self._pause = self._redis.register_script(PAUSE)
        self._unreleased: deque[int] = deque()
        self._is_reachable = True
        self._used_at = 0.0
        self._pausing = threading.Lock()

    def acquire(self) -> int | Wait | Unreachable:
        """Acquire a free slot (see :class:`.store.Store`)."""
        rest = self._own_pause()
        if rest:
            return rest if isinstance(rest, Unreachable) else Wait(rest, paused=True)
        asked = time.monotonic()
        reply = self._ask(1, take=True)
        if isinstance(reply, Unreachable):
            return reply
        slot, micros, paused, unknown = reply
        # The next request needs as long to arrive, so waiting that much less is enough, however far away Redis is.
        travel = time.monotonic() - asked
        return Wait(max(micros / _MICROS - travel, 0.0), bool(paused), bool(unknown)) if micros else slot

    def release(self, slot: int) -> None:
        """Start the slot's period. If Redis is unreachable, the next call that reaches it sends the release."""
        self._unreleased.append(slot)
        # While Redis is unreachable, only the first release waits for its timeout; the others join the queue.
        if self._is_reachable:
            self._send_releases()

    def pause(self, seconds: float) -> None:
        """Pause everyone. While Redis is unreachable, pause at least those who use this object."""
        until = time.monotonic() + min(seconds, LONGEST_PAUSE)
        with self._pausing:
            self._paused_until = max(self._paused_until, until)
        if self._share_pause():
            log.warning(
                "%s could not be reached to share the pause after a 429, so only this process pauses for now.",
                self._place,
            )

    def wait_time(self, slots: int) -> float | Unreachable:
        """Return the seconds until ``slots`` slots are free (see :class:`.store.Store`)."""
        rest = self._own_pause()
        if isinstance(rest, Unreachable):
            return rest
        reply = self._ask(slots, take=False)
        return reply if isinstance(reply, Unreachable) else max(rest, reply[1] / _MICROS)

    def close(self) -> None:
        """Send the pending releases, and close the connections; one that is in use, after its use."""
        self._closed = True
        self._send_releases()
        self._disconnect_idle()

    def _own_pause(self) -> float | Unreachable:
        """Return the seconds left of the pause requested here, after making sure that Redis knows of it."""
        rest = max(0.0, self._paused_until - time.monotonic())
        return (rest and not self._pause_is_shared and self._share_pause()) or rest

    def _share_pause(self) -> Unreachable | None:
        """Send the pause to Redis; return the reason if that failed."""
        rest = max(0.0, self._paused_until - time.monotonic())
        reply = self._run(self._pause, round(rest * _MICROS))
        self._pause_is_shared = not isinstance(reply, Unreachable)
        return reply if isinstance(reply, Unreachable) else None

    def _send_releases(self) -> Unreachable | None:
        """
        Send the pending releases; return the reason if that failed.

        One may arrive twice, if the reply to the first was lost. Even if somebody else holds the slot by then, the
        second leaves it in use for a period, which is longer than a request is in flight.
        """
        while self._unreleased:
            try:
                slot = self._unreleased.popleft()
            except IndexError:  # another thread was faster
                break
            reply: Any = Unreachable("interrupted")
            try:
                reply = self._run(self._release, slot)
            finally:
                if isinstance(reply, Unreachable):
                    self._unreleased.append(slot)
            if isinstance(reply, Unreachable):
                return reply
        return None

    def _ask(self, slots: int, *, take: bool) -> tuple[int, int, int, int] | Unreachable:
        """Ask for the time until this many slots are free; with ``take``, acquire the first one if it is free."""
        if problem := self._send_releases():
            return problem
        reply = self._run(self._count, slots, int(take))
        if isinstance(reply, Unreachable):
            return reply
        try:
            slot, micros, paused, unknown = map(int, reply)
        except (TypeError, ValueError):
            return Unreachable(
                f"The server is not a Redis that can run scripts: {self._place}.", lasting=True
            )
        return slot, micros, paused, unknown

    def _run(self, script: Script, *arguments: int) -> Any:
        """Run a script and return its reply, or the reason why there is none."""
        if time.monotonic() - self._used_at >= LONGEST_IDLE:
            self._disconnect_idle()
        reply: Any = None
        try:
            reply = self._evaluated(script, *self._arguments, *arguments)
        except PROBLEMS as error:
            reply = self._unreachable(error)
        finally:
            # After any error, the name may lead to another server by now. And an interruption, such as a task's
            # timeout, may leave a connection on which a reply is still to come, which the next call would take for its
            # own.
            if self._closed or reply is None or isinstance(reply, Unreachable):
                self._disconnect_idle()
        self._used_at = time.monotonic()
        self._is_reachable = not isinstance(reply, Unreachable)
        return reply

    def _evaluated(self, script: Script, *arguments: str | int) -> Any:
        # Calling the script object would load it with SCRIPT LOAD, which needs one more right and hides whether the
        # server knew the script before. The last argument is 1 if it did not.
        try:
            return self._redis.evalsha(script.sha, 1, *arguments, 0)
        except errors.NoScriptError:
            return self._redis.eval(script.script, 1, *arguments, 1)  # type: ignore[arg-type]

    def _disconnect_idle(self) -> None:
        # Connections in use stay: a signal handler may close the client in the middle of a call.
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _unreachable(self, error: Exception) -> Unreachable:
        if not lasts(error):
            return Unreachable(f"The rate limit store {self._place} cannot be used ({error}).")
        advice = "Correct user, password, rights or database in the connection that rate_limit_conn_id names."
        return Unreachable(
            f"{self._place} refuses access to the rate limit store ({error}). {advice}", lasting=True
        )

    @property
    def _place(self) -> str:
        """Address of Redis, without user and password."""
        at = self._given.connection_kwargs
        tls = " with TLS" if issubclass(self._given.connection_class, SSLConnection) else ""
        return f"Redis at {at['host']}:{at['port']}{tls}" if "host" in at else "Redis"


def lasts(problem: Exception) -> bool:
    """Return whether a problem stays until somebody corrects user, password, rights or database."""
    if isinstance(problem, _REFUSED):
        return True
    if isinstance(problem, _PASSING):
        return False
    # Any other error that Redis replies, such as an unknown command, will be the same the next time.
    return isinstance(problem, errors.ResponseError) and not _PASSES.search(str(problem))


def _own_client(given: ConnectionPool) -> Redis:
    """
    Return a client that connects like the given one, with timeouts and retries that limit each operation.

    A command is retried once, on a new connection: Redis closes connections that were idle for long, and all when it is
    restarted, and the former master may be a replica by now. It is not retried after a timeout, or an operation would
    take twice as long.
    """
    # Notifications of maintenance would need the newer protocol, and one more right.
    fields = {name: value for name, value in given.connection_kwargs.items() if "maint_" not in name}
    fields |= {
        "protocol": 2,
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(NoBackoff(), 1, supported_errors=(errors.ConnectionError,)),
        "retry_on_error": [errors.ConnectionError, errors.ReadOnlyError],
        "health_check_interval": 0,
    }
    return Redis(connection_pool=ConnectionPool(connection_class=given.connection_class, **fields))


def redis_at(address: SplitResult) -> Redis:
    """
    Return a client for an address such as ``redis://host:6379/0``, or ``rediss://`` for TLS. Sends nothing.

    :param address: the address
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
    except ValueError:  # its text would show the address
        host, port = None, 0
    database = re.fullmatch(r"/?(\d{0,4})", address.path)
    if not host or re.search(r"[^\w.:-]", host) or not database or address.query or address.fragment:
        msg = "rate_limit_store must look like redis://host:6379/0, or rediss://host:6379/0 with TLS."
        raise HelpCrunchConfigurationError(msg)
    tls = address.scheme == "rediss"
    # Older releases of redis-py do not check the name in the certificate unless asked to.
    return Redis(host=host, port=port, db=int(database[1] or 0), ssl=tls, ssl_check_hostname=True)
