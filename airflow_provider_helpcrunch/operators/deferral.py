"""When a task stops to wait for the account's rate limit, and when it is worthwhile to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient

PATIENCE = 600
"""Longest time in seconds that one request may wait, where ``patience`` is not given."""

BRIEF = 5.0
"""Longest time in seconds that a request waits for its permit. Before a longer wait the work stops: the task may defer,
and chats that are to be changed are read again afterwards, because a person may have changed them meanwhile."""

FEWEST = 10
"""Smallest number of free permits with which work is resumed."""


def seconds_until_free(client: HelpCrunchClient, needed: int | None = None) -> float:
    """
    Return the seconds until a quarter of the account's limit is free, at least 1.

    Starting a task for fewer permits would not pay; more become free while these are used.

    :param client: the account
    :param needed: permits that the work still needs: it does not wait for more. Default: not known
    """
    permits = max(client.requests_per_minute // 4, FEWEST)
    return max(client.budget_wait(permits if needed is None else min(needed, permits)), 1.0)
