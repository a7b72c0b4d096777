"""What a task tells while and after it lists: lines in its log, and Airflow metrics."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_helpcrunch._airflow import Stats

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing, Usage
    from airflow_provider_helpcrunch.client.activity import ActivityListing

EVERY = 10.0
"""Seconds between two lines of a long listing."""


def count_usage(usage: Usage) -> None:
    """
    Add what a client has spent to Airflow's metrics.

    :param usage: what it has spent
    """
    Stats.incr("helpcrunch.requests", usage.requests)
    Stats.incr("helpcrunch.retries", usage.retries)
    Stats.timing("helpcrunch.budget_wait", usage.budget_wait * 1000)


class Progress:
    """
    Watches one listing.

    :param log: the task's log
    :param noun: what is listed, such as ``agents``
    :param client: whose requests are counted
    :param listing: what is watched
    """

    def __init__(
        self, log: Any, noun: str, client: HelpCrunchClient, listing: Listing[Any] | ActivityListing
    ) -> None:
        self._log = log
        self._noun = noun
        self._client = client
        self._listing = listing
        self._started = time.monotonic()
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._tell_until_over, name="helpcrunch-progress", daemon=True)

    def __enter__(self) -> Self:
        """Start the clock."""
        self._started = time.monotonic()
        self._teller.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Sum up in one line and in metrics, after a failure too."""
        self._over.set()
        self._teller.join()
        self._say("Listing %s failed after:" if failure else "Listed all %s:")
        count_usage(self._client.usage)

    def _tell_until_over(self) -> None:
        """Speak also while the listing waits, for the budget or for an answer: hence a thread."""
        while not self._over.wait(EVERY):
            self._say("Listing %s:")

    def _say(self, lead: str) -> None:
        usage = self._client.usage
        total = "unknown" if self._listing.total is None else self._listing.total
        self._log.info(
            lead + " %d records (HelpCrunch says %s) from %d pages, %d requests, %d retries, "
            "%.1f s waited for the request budget, %.1f s in all",
            self._noun,
            self._listing.records,
            total,
            self._listing.pages,
            usage.requests,
            usage.retries,
            usage.budget_wait,
            time.monotonic() - self._started,
        )
