"""Client of HelpCrunch's REST API v1, independent of hooks, operators, connections and task contexts."""

from __future__ import annotations

import warnings
from typing import Any

from airflow_provider_helpcrunch.client.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.pagination import Listing
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.client.transport import Usage
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.unix_time import parse_timestamp

__all__ = [
    "Filter",
    "HelpCrunchClient",
    "Listing",
    "RateLimiter",
    "RetryPolicy",
    "Usage",
    "parse_timestamp",
]


def __getattr__(name: str) -> Any:
    """
    Return a class by its former name, with a warning.

    :param name: the name that was looked up
    :raises AttributeError: there never was such a name
    """
    if name != "Budget":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    warnings.warn("Budget is now called RateLimiter.", DeprecationWarning, stacklevel=2)
    return RateLimiter
