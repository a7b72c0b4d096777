"""Redis client for the rate limit store, from an Airflow connection of type ``redis``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import AirflowNotFoundException, BaseHook
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.hooks.connection_extra import extra_of

if TYPE_CHECKING:
    from redis import Redis

    from airflow_provider_helpcrunch._airflow import Connection


def redis_of(conn_id: str) -> Redis:
    """
    Return the client of an Airflow connection, with its password and certificates. Sends nothing to Redis.

    :param conn_id: id of a connection of type ``redis``
    :raises HelpCrunchConfigurationError: there is no such connection, or it does not lead to one Redis; or the extra
        ``[redis]`` is not installed
    """
    if re.search(r"[@\s]|://", conn_id):  # an address, maybe with a password: do not show it
        msg = "the extra rate_limit_conn_id must be the id of a connection of type redis, not an address."
        raise HelpCrunchConfigurationError(msg)
    extra = _extra_of(conn_id)
    try:
        from airflow.providers.redis.hooks.redis import RedisHook
    except ModuleNotFoundError as error:
        msg = "rate_limit_conn_id needs: pip install 'airflow-provider-helpcrunch[redis]'"
        raise HelpCrunchConfigurationError(msg) from error
    client: Redis = RedisHook(redis_conn_id=conn_id).get_conn()  # type: ignore[no-untyped-call]
    if extra.get("ssl") and extra.get("ssl_cert_reqs", "required") == "required":
        # Older releases of redis-py do not check the name in the certificate unless asked to.
        check = extra.get("ssl_check_hostname", True)
        client.connection_pool.connection_kwargs["ssl_check_hostname"] = check
    return client


def _extra_of(conn_id: str) -> dict[str, Any]:
    """Return the extra of a connection that leads to one Redis."""
    extra: dict[str, Any] | None = None
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        problem: str | None = "but there is no such connection"
    else:
        extra = extra_of(connection)
        problem = _problem_of(connection) or _problem_of_extra(extra)
    if problem or extra is None:
        msg = f"the extra rate_limit_conn_id names {conn_id!r}, {problem}."
        raise HelpCrunchConfigurationError(msg)
    return extra


def _problem_of(connection: Connection) -> str | None:
    if connection.conn_type != "redis":
        return f"which is a connection of type {connection.conn_type}, not redis"
    if not (connection.host and connection.port):
        return "which needs a host and a port"
    if re.search(r"[^\w.:-]", connection.host):  # a URL, maybe with a password: do not show it
        return "whose host must be a name or an address alone; user and password have fields of their own"
    return None


def _problem_of_extra(extra: dict[str, Any] | None) -> str | None:
    if extra is None:
        return 'whose extra must be a JSON object, such as {"db": 1}'
    if extra.get("cluster"):
        return "which is a Redis cluster; the rate limit store needs a single Redis"
    if not re.fullmatch(r"\d{1,4}", str(extra.get("db") or 0)):
        return "whose extra db must be the number of a database"
    if extra.get("ssl_cert_reqs") not in (None, "required", "optional", "none"):
        return "whose extra ssl_cert_reqs must be required, optional or none"
    return None
