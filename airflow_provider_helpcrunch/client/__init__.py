"""Client of HelpCrunch's REST API v1, independent of hooks, operators, connections and task contexts."""

from __future__ import annotations

from airflow_provider_helpcrunch.client.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.pagination import Listing
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.client.transport import Usage
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.unix_time import parse_timestamp

__all__ = [
    "Budget",
    "Filter",
    "HelpCrunchClient",
    "Listing",
    "RateLimiter",
    "RetryPolicy",
    "Usage",
    "parse_timestamp",
]

Budget = RateLimiter
"""The former name of :class:`RateLimiter`."""
