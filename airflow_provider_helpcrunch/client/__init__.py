"""HelpCrunch's REST API v1 in Python. Knows no hook, operator, connection or task context."""

from __future__ import annotations

from airflow_provider_helpcrunch.client.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.paging import Listing
from airflow_provider_helpcrunch.client.rate_limit import Budget
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.client.transport import Usage

__all__ = ["Budget", "HelpCrunchClient", "Listing", "RetryPolicy", "Usage"]
