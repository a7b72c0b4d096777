"""A client of an account in process, without a socket."""

from __future__ import annotations

from typing import Any

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Sandbox


class Killed(BaseException):
    """The worker dies here. Nothing of the code under test catches it."""


def client_of(account: Sandbox, requests: int = 5_000, **arguments: Any) -> HelpCrunchClient:
    """Return a client that may send so many requests, and refuses more at once; ``arguments`` replace its others."""
    retry = RetryPolicy(patience=0.01, first_pause=0.001, longest_pause=0.002)
    return HelpCrunchClient(
        account.key,
        base_url="http://127.0.0.1/v1",
        budget=RateLimiter(MemoryStore(requests, 3600.0), requests, 3600.0),
        **{"retry": retry, "http_adapter": account.adapter(), **arguments},
    )
