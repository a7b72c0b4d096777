"""An Airflow connection of type ``redis`` becomes a client that says where the request budget is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from redis import Redis


def redis_of(conn_id: str) -> Redis:
    """
    Return the client of an Airflow connection, which keeps password and certificates. Sends nothing to Redis.

    :param conn_id: id of a connection of type ``redis``
    :raises HelpCrunchConfigurationError: there is no such connection, or it does not lead to one Redis; or the extra
        ``[redis]`` is not installed
    """
    if re.search(r"[@\s]|://", conn_id):  # an address, maybe with a password: not to be shown
        msg = "the extra rate_limit_conn_id must be the id of a connection of type redis, not an address."
        raise HelpCrunchConfigurationError(msg)
    problem = _problem_of(conn_id)
    if problem:
        msg = f"the extra rate_limit_conn_id names {conn_id!r}, {problem}."
        raise HelpCrunchConfigurationError(msg)
    try:
        from airflow.providers.redis.hooks.redis import RedisHook
    except ModuleNotFoundError as error:
        msg = "rate_limit_conn_id needs: pip install 'airflow-provider-helpcrunch[redis]'"
        raise HelpCrunchConfigurationError(msg) from error
    client: Redis = RedisHook(redis_conn_id=conn_id).get_conn()  # type: ignore[no-untyped-call]
    return client


def _problem_of(conn_id: str) -> str | None:
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return "but there is no such connection"
    if connection.conn_type != "redis":
        return f"which is a connection of type {connection.conn_type}, not redis"
    if not (connection.host and connection.port):
        return "which needs a host and a port"
    if connection.extra_dejson.get("cluster"):
        return "which is a Redis cluster; the budget needs a single Redis"
    return None
