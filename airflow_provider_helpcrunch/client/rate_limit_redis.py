"""
The request budget of many machines: everyone who reaches the same Redis shares it.

Each operation is one script, which Redis runs alone and on its own clock; the clocks of the workers do not matter.

A slot of which Redis knows nothing is in use for one ``period``, because somebody may just have spent it. That is one
rule for four cases: Redis was emptied; it was started, perhaps with a snapshot that is an hour old, or another server
took over; the account was not used for :data:`KEEP`; a larger limit adds slots. Each costs a wait of one period at
most, and none lets more requests through. Only a server that never counted for this account, though it has been up
for longer than any request is under way and a period, knows by that alone that nothing was spent: there nobody waits.
To notice a restart, the count names the server's ``run_id``; where Redis does not tell it (an ACL without ``INFO``), a
restart with an old snapshot goes unnoticed.

What was under way when the count was lost is counted again when its answer is there, which is sooner than one period
for whatever takes no longer than :data:`.rate_limit_stores.LONGEST_FLIGHT`. Only if Redis does not hear that either
(it vanishes once more in that moment) may a window hold more than the limit: by as many requests, eight for each
client at most.
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

from redis import Redis

from airflow_provider_helpcrunch.client.rate_limit_lua import COUNT, PAUSE, SETTLE
from airflow_provider_helpcrunch.client.rate_limit_stores import LONGEST_FLIGHT, LONGEST_PAUSE, Away, Wait
from airflow_provider_helpcrunch.client.redis_scripts import PROBLEMS, REFUSALS, RedisScripts
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

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
        # The braces keep both keys on one node of a cluster.
        keys = [f"airflow-provider-helpcrunch:{{{name}}}:{key}" for key in ("slots", "pause")]
        seconds = (period, LONGEST_FLIGHT, KEEP)
        self._scripts = RedisScripts(redis, (2, *keys, limit, *(round(each * _MICROS) for each in seconds)))
        # Of each account a script of its own: a server that knows it has counted this account before.
        self._count = f"-- {name}\n{COUNT}"
        self._paused_until = 0.0

    def take(self) -> int | Wait | Away:
        """Take a free slot (see :class:`.rate_limit_stores.Store`)."""
        pause = self._paused_until - time.monotonic()
        if pause > 0:
            return Wait(pause, paused=True)
        answer = self._run(self._count, 1, 1)
        if isinstance(answer, Away):
            return answer
        slot, micros, paused, unknown = answer
        return Wait(micros / _MICROS, bool(paused), bool(unknown)) if micros else int(slot)

    def settle(self, slot: int) -> None:
        """Start the slot's period, without waiting for Redis. If it is away, the slot comes back by itself later."""
        with contextlib.suppress(*PROBLEMS):
            self._scripts.start(SETTLE, slot)

    def pause(self, seconds: float) -> None:
        """Stop everyone. If Redis is away, stop at least those who use this object."""
        seconds = min(seconds, LONGEST_PAUSE)
        if isinstance(self._run(PAUSE, round(seconds * 1000)), Away):
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def wait(self, slots: int) -> float | Away:
        """Return the seconds until so many slots are free (see :class:`.rate_limit_stores.Store`)."""
        answer = self._run(self._count, slots, 0)
        return answer if isinstance(answer, Away) else float(answer[1] / _MICROS)

    def close(self) -> None:
        """Close the connection."""
        self._scripts.close()

    def _run(self, script: str, *arguments: int) -> Any:
        """Run a script and return its answer, or why there is none."""
        try:
            return self._scripts.run(script, *arguments)
        except REFUSALS as error:
            advice = f"{self._scripts.place} refuses the request budget ({error}). Mend user and password"
            return Away(f"{advice} in the connection that rate_limit_conn_id names.", lasting=True)
        except PROBLEMS as error:
            return Away(f"The request budget in {self._scripts.place} cannot be used ({error}).")


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
