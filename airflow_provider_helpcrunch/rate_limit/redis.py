"""
The request budget of many machines: everyone who reaches the same Redis shares it.

Each operation is one script, which Redis runs alone and on its own clock; the clocks of the workers do not matter.

A slot of which Redis knows nothing is in use for one ``period``, because somebody may just have spent it. That is one
rule for many cases: Redis was emptied; it was started, perhaps with a snapshot that is an hour old; another server took
over; its clock was set back; the account was not used for :data:`KEEP`; a larger limit adds slots. Each costs a wait of
one period at most, and none lets more requests through. Only a server that never counted for this account, that never
took over from another one and has been up for longer than any request is under way and a period, is believed that
nothing was spent: there nobody waits. All this is told by ``INFO``; where an ACL forbids it, a restart with an old
snapshot goes unnoticed.

What was under way when the count was lost is counted again when its answer is there, which is sooner than one period
for whatever takes no longer than :data:`.store.LONGEST_FLIGHT`. Only if Redis does not hear that either
(it vanishes once more in that moment) may a window hold more than the limit: by as many requests.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import AirflowOptionalProviderFeatureException

try:
    from redis import Redis
except ModuleNotFoundError as error:
    raise AirflowOptionalProviderFeatureException(error) from error

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.forks import renew_after_fork
from airflow_provider_helpcrunch.rate_limit.lua import COUNT, PAUSE, SETTLE
from airflow_provider_helpcrunch.rate_limit.redis_scripts import PROBLEMS, RedisScripts, lasts
from airflow_provider_helpcrunch.rate_limit.store import LONGEST_FLIGHT, LONGEST_PAUSE, Unreachable, Wait

if TYPE_CHECKING:
    from urllib.parse import SplitResult

log = logging.getLogger(__name__)

KEEP = 35 * 86_400.0
"""Seconds for which an unused count is kept: a job that runs once a month finds it again."""

_MICROS = 1_000_000


class RedisStore:
    """
    The budget of every process that reaches the same Redis.

    Nothing is sent before the first permit is wanted.

    :param redis: says how to connect, with which password
    :param name: names the account without telling its key
    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    """

    def __init__(self, redis: Redis, name: str, limit: int, period: float) -> None:
        seconds = (period, LONGEST_FLIGHT, LONGEST_PAUSE, KEEP)
        arguments = (limit, *(round(each * _MICROS) for each in seconds))
        self._scripts = RedisScripts(redis, (1, f"airflow-provider-helpcrunch:{name}", *arguments))
        # Of each account a script of its own: a server that knows it has counted this account before.
        self._count = f"-- {name}\n{COUNT}"
        self._paused_until = 0.0
        self._pause_is_shared = True
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Take a new lock: a thread of the parent may hold the old one."""
        self._pausing = threading.Lock()

    def acquire(self) -> int | Wait | Unreachable:
        """Acquire a free slot (see :class:`.store.Store`)."""
        rest = self._own_pause()
        if rest:
            return rest if isinstance(rest, Unreachable) else Wait(rest, paused=True)
        asked = time.monotonic()
        answer = self._ask(1, take=True)
        if isinstance(answer, Unreachable):
            return answer
        slot, micros, paused, unknown = answer
        # Who asks again after this time, is there when the slot is free, however far Redis is away.
        way = time.monotonic() - asked
        return Wait(max(micros / _MICROS - way, 0.0), bool(paused), bool(unknown)) if micros else slot

    def release(self, slot: int) -> None:
        """Start the slot's period, without waiting for the answer. If Redis is away, it hears of it later."""
        with contextlib.suppress(*PROBLEMS):
            self._scripts.start(SETTLE, slot)

    def pause(self, seconds: float) -> None:
        """Stop everyone. While Redis is away, stop at least those who use this object."""
        until = time.monotonic() + min(seconds, LONGEST_PAUSE)
        with self._pausing:
            self._paused_until = max(self._paused_until, until)
        if self._share_pause():
            log.warning(
                "%s did not hear of the 429, so only this process pauses for now.", self._scripts.place
            )

    def wait_time(self, slots: int) -> float | Unreachable:
        """Return the seconds until so many slots are free (see :class:`.store.Store`)."""
        rest = self._own_pause()
        if isinstance(rest, Unreachable):
            return rest
        answer = self._ask(slots, take=False)
        return answer if isinstance(answer, Unreachable) else max(rest, answer[1] / _MICROS)

    def close(self) -> None:
        """Close the connection."""
        self._scripts.close()

    def _own_pause(self) -> float | Unreachable:
        """Return the seconds that are left of the pause that was asked for here; Redis must have heard of it."""
        rest = max(0.0, self._paused_until - time.monotonic())
        return (rest and not self._pause_is_shared and self._share_pause()) or rest

    def _share_pause(self) -> Unreachable | None:
        """Tell Redis of the pause; return why it did not hear of it."""
        rest = max(0.0, self._paused_until - time.monotonic())
        answer = self._run(PAUSE, round(rest * _MICROS))
        self._pause_is_shared = not isinstance(answer, Unreachable)
        return answer if isinstance(answer, Unreachable) else None

    def _ask(self, slots: int, *, take: bool) -> tuple[int, int, int, int] | Unreachable:
        """Ask for so many slots, and take the first one if it is free."""
        answer = self._run(self._count, slots, int(take))
        if isinstance(answer, Unreachable):
            return answer
        try:
            slot, micros, paused, unknown = map(int, answer)
        except (TypeError, ValueError):
            return Unreachable(
                f"What answers at {self._scripts.place} is no Redis that can run scripts.", lasting=True
            )
        return slot, micros, paused, unknown

    def _run(self, script: str, *arguments: int) -> Any:
        """Run a script and return its answer, or why there is none."""
        try:
            return self._scripts.run(script, *arguments)
        except PROBLEMS as error:
            if not lasts(error):
                return Unreachable(f"The request budget in {self._scripts.place} cannot be used ({error}).")
            advice = (
                "Mend user, password, rights or database in the connection that rate_limit_conn_id names."
            )
            return Unreachable(
                f"{self._scripts.place} refuses the request budget ({error}). {advice}", lasting=True
            )


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
    if not host or re.search(r"[^\w.:-]", host) or not database or address.query or address.fragment:
        msg = "rate_limit_store must look like redis://host:6379/0, or rediss://host:6379/0 with TLS."
        raise HelpCrunchConfigurationError(msg)
    tls = address.scheme == "rediss"
    # Older releases of redis-py do not check the name in the certificate unless they are told to.
    return Redis(host=host, port=port, db=int(database[1] or 0), ssl=tls, ssl_check_hostname=True)
