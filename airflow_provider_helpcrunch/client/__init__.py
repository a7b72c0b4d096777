"""HelpCrunch's REST API v1 in Python. Knows no hook, operator, connection or task context."""

from __future__ import annotations

from airflow_provider_helpcrunch.client.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.pagination import Listing
from airflow_provider_helpcrunch.client.rate_limit import Budget
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.client.timestamps import parse_timestamp
from airflow_provider_helpcrunch.client.transport import Usage

__all__ = ["Budget", "Filter", "HelpCrunchClient", "Listing", "RetryPolicy", "Usage", "parse_timestamp"]
