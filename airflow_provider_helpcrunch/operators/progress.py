"""Progress of a listing, as log lines and Airflow metrics."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_helpcrunch._airflow import Stats
from airflow_provider_helpcrunch.plurals import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing, Usage
    from airflow_provider_helpcrunch.client.pagination import ActivityListing
    from airflow_provider_helpcrunch.schema import Record

EVERY = 10.0
"""Seconds between two lines of a long listing."""

SHORTEST_WAIT = 0.05
"""Shortest wait, in seconds, that is worth mentioning."""


def count_usage(usage: Usage) -> None:
    """
    Add the usage of a client to Airflow's metrics.

    :param usage: requests, retries and waiting time of the client
    """
    Stats.incr("helpcrunch.requests", usage.requests)
    Stats.incr("helpcrunch.retries", usage.retries)
    Stats.timing("helpcrunch.budget_wait", usage.budget_wait * 1000)


class Progress:
    """
    Logs the progress of one listing, every ten seconds and at its end.

    :param log: the task's log
    :param noun: plural name of the records, such as ``agents``
    :param client: the client, whose requests are counted
    :param listing: the listing
    """

    def __init__(
        self, log: Any, noun: str, client: HelpCrunchClient, listing: Listing[Any] | ActivityListing
    ) -> None:
        self._log = log
        self._noun = noun
        self._client = client
        self._listing = listing
        self.number_kept = 0
        """How many records were passed on by :meth:`kept`."""
        self._started = time.monotonic()
        self._over = threading.Event()
        self._reporter = threading.Thread(
            target=self._report_until_over, name="helpcrunch-progress", daemon=True
        )

    def __enter__(self) -> Self:
        """Start the clock."""
        self._started = time.monotonic()
        self._reporter.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Log a summary and update the metrics, after a failure too."""
        self._over.set()
        self._reporter.join()
        self._log.info(self._failed() if failure else self._listed())
        count_usage(self._client.usage)

    def kept(self, records: Iterable[Record]) -> Iterator[Record]:
        """
        Pass on the records that the task returns, and count them.

        :param records: the records of the listing that pass the task's own filters
        """
        for record in records:
            self.number_kept += 1
            yield record

    def _report_until_over(self) -> None:
        """Log in a thread of its own, because the listing may be waiting for a permit or a response."""
        while not self._over.wait(EVERY):
            self._log.info(self._under_way())

    def _under_way(self) -> str:
        read, total = self._listing.read, self._listing.total
        of = f" of {total:,}" if total is not None and total > read else ""
        # Lists of many chats know no total of their records, but how many of the chats are done.
        place = getattr(self._listing, "place", None)
        where = f" from {place}" if place else ""
        return f"Listing {self._noun}: {read:,}{of} read so far{where}{self._cost()}"

    def _listed(self) -> str:
        read = self._listing.read
        some = f"{self.number_kept:,} of " if self.number_kept != read else ""
        return f"Listed {some}{self._number(read)}{' read' if some else ''}{self._cost()}"

    def _failed(self) -> str:
        return f"Listing {self._noun} failed: {self._number(self._listing.read)} read{self._cost()}"

    def _number(self, number: int) -> str:
        return counted(number, self._noun.removesuffix("s"), self._noun)

    def _cost(self) -> str:
        usage, took = self._client.usage, time.monotonic() - self._started
        counts = [counted(usage.requests, "request")]
        if self._listing.pages:
            counts.insert(0, counted(self._listing.pages, "page"))
        if usage.retries:
            counts.append(counted(usage.retries, "retry", "retries"))
        waited = f", {duration(usage.budget_wait)} of it waiting for the rate limit"
        return f" ({', '.join(counts)}) in {duration(took)}{waited if usage.budget_wait >= SHORTEST_WAIT else ''}"
