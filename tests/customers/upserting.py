"""Upserts of an account in process: the rows of a list, and what the journal says was sent for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.customers.progress import Progress
from airflow_provider_helpcrunch.customers.rejects import Rejects
from airflow_provider_helpcrunch.customers.survey import Survey
from airflow_provider_helpcrunch.customers.upsert import Options, Result, Upsert
from airflow_provider_helpcrunch.operators.record_source import RecordSource
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.sandbox.journal import Request

Records = Sequence[dict[str, Any]]


def client_of(account: Sandbox, most: int = 10, period: float = 0.0) -> HelpCrunchClient:
    """Return a client in process whose limiter forgets each request at once."""
    return HelpCrunchClient(
        account.key,
        base_url="http://127.0.0.1/v1",
        budget=RateLimiter(MemoryStore(most, period), most, period),
        retry=RetryPolicy(patience=0.01, first_pause=0.001, longest_pause=0.002),
        http_adapter=account.adapter(),
    )


class Work:
    """
    One input, and its progress.

    :param records: the records, or the path of their file
    :param options: those of the engine
    """

    def __init__(self, records: Records | str, key: str = "userId", **options: Any) -> None:
        self.source = RecordSource.of("customers", records)
        self.options = Options(key=key, **options)
        self.survey = Survey.of(self.source, key)
        self.progress = Progress()

    def engine(self) -> Upsert:
        return Upsert(lambda wanted: self.survey.read(self.source, wanted), self.options, self.progress)

    def run(self, account: Sandbox | HelpCrunchClient) -> list[Result]:
        client = client_of(account) if isinstance(account, Sandbox) else account
        return list(self.engine().run(client))

    def reject(self, path: Path) -> dict[str, Any]:
        return dict(Rejects(str(path)).write(self.source, self.survey.columns, self.progress.errors))


def outcomes(results: Sequence[Result]) -> list[str]:
    return [result.outcome for result in sorted(results)]


def upsert(account: Sandbox, records: Records, **options: Any) -> list[str]:
    return outcomes(Work(records, **options).run(account))


def writes(account: Sandbox) -> list[Request]:
    """Return the requests that changed customers."""
    return [request for request in account.journal if request.applied]


def sent(account: Sandbox) -> Counter[str]:
    """Return how many requests there were, by method and endpoint."""
    return Counter(
        f"{request.method} {'/'.join('{id}' if part.isdigit() else part for part in request.path.split('/'))}"
        for request in account.journal
    )


def customer(account: Sandbox, **fields: Any) -> dict[str, Any]:
    """Return the one customer who has these values."""
    found = [each for each in account.customers if fields.items() <= each.items()]
    assert len(found) == 1, found
    return found[0]


def created(account: Sandbox, *records: dict[str, Any]) -> list[int]:
    """Create customers, forget the requests for it, and return their ids."""
    client = client_of(account)
    ids = [client.create_customer(record)["id"] for record in records]
    account._state.journal.clear()
    return ids
