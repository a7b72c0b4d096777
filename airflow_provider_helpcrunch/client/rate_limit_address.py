"""The address of a store becomes the budget of an account."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_helpcrunch.client.rate_limit import (
    DEFAULT_ON_FAILURE,
    DEFAULT_REQUESTS_PER_MINUTE,
    PERIOD,
    Budget,
)
from airflow_provider_helpcrunch.client.rate_limit_sqlite import SQLiteStore, private_directory
from airflow_provider_helpcrunch.client.rate_limit_stores import MemoryStore, Store
from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError, HelpCrunchConfigurationError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from redis import Redis

MOST_REQUESTS_PER_MINUTE = 100_000
DEFAULT_STORE = "sqlite://"
ON_FAILURE = (DEFAULT_ON_FAILURE, "fail")


def open_budget(
    store: str | Redis,
    *,
    api_key: str,
    base_url: str,
    requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
    period: float = PERIOD,
    on_failure: str = DEFAULT_ON_FAILURE,
) -> Budget:
    """
    Open the budget of one account.

    :param store: ``sqlite://`` (a file in the temporary directory, private to the user; every process of the machine
        shares it), ``sqlite:///directory`` (the same in a directory of your own), ``redis://host:port/db`` or, with
        TLS, ``rediss://host:port/db`` (every process of every machine), ``memory://`` (one process), or a client of
        redis-py that says where Redis is
    :param api_key: the account's key; only a hash of it names the budget
    :param base_url: the API's address; the same key elsewhere is another account
    :param requests_per_minute: the account's limit (120)
    :param period: seconds of the window (61)
    :param on_failure: what to do while Redis does not answer: ``wait`` for it (default) or ``fail``
    :return: the budget
    :raises HelpCrunchConfigurationError: ``store``, ``requests_per_minute`` or ``on_failure`` is wrong
    :raises HelpCrunchBudgetStoreError: the store cannot be used
    """
    if not 1 <= requests_per_minute <= MOST_REQUESTS_PER_MINUTE:
        msg = f"requests_per_minute must be 1 to {MOST_REQUESTS_PER_MINUTE}, not {requests_per_minute}."
        raise HelpCrunchConfigurationError(msg)
    if on_failure not in ON_FAILURE:
        msg = f"rate_limit_on_failure must be {' or '.join(ON_FAILURE)}."
        raise HelpCrunchConfigurationError(msg)
    name = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:40]
    limit = requests_per_minute
    return Budget(_open_store(store, name, limit, period), limit, period, on_failure=on_failure)


def _open_store(store: str | Redis, name: str, limit: int, period: float) -> Store:
    if not isinstance(store, str):
        return _redis_store(store, name, limit, period)
    try:
        parts = urlsplit(store)
    except ValueError:  # whose text would show the address, and with it a password
        parts = urlsplit("")
    if parts.scheme == "memory" and not (parts.netloc or parts.path):
        return MemoryStore.shared(name, limit, period)
    if parts.scheme == "sqlite" and not parts.netloc and not parts.query:
        directory = Path(parts.path) if parts.path.strip("/") else _default_directory()
        return SQLiteStore(private_directory(directory) / f"{name}.sqlite", limit, period)
    if parts.scheme in ("redis", "rediss"):
        return _redis_store(parts, name, limit, period)
    msg = (
        "rate_limit_store must be sqlite:// (default), sqlite:///absolute/directory, redis://host:port/db, "
        "rediss://host:port/db or memory://."
    )
    raise HelpCrunchConfigurationError(msg)


def _redis_store(where: SplitResult | Redis, name: str, limit: int, period: float) -> Store:
    from airflow_provider_helpcrunch._airflow import AirflowOptionalProviderFeatureException

    try:
        from airflow_provider_helpcrunch.client.rate_limit_redis import RedisStore, redis_at
    except AirflowOptionalProviderFeatureException as error:
        msg = "A request budget in Redis needs: pip install 'airflow-provider-helpcrunch[redis]'"
        raise HelpCrunchConfigurationError(msg) from error
    return RedisStore(redis_at(where) if isinstance(where, tuple) else where, name, limit, period)


def _default_directory() -> Path:
    try:
        temporary = tempfile.gettempdir()
    except FileNotFoundError as error:
        msg = (
            "The request budget needs a temporary directory, and none can be written to. Set TMPDIR to one, or "
            "rate_limit_store on the connection to sqlite:///a/directory, redis://host:port/db or memory://."
        )
        raise HelpCrunchBudgetStoreError(msg) from error
    return Path(temporary, f"airflow-provider-helpcrunch-{os.getuid()}")
