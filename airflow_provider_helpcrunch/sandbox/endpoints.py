"""The resources: from an account and a request to the answer HelpCrunch would give."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, TypeAlias

from airflow_provider_helpcrunch.sandbox.account import Account
from airflow_provider_helpcrunch.sandbox.answers import Answer, encode, error, listing
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.settings import Settings

Endpoint: TypeAlias = Callable[[Account, Settings, Request], Answer]

DEFAULT_LIMIT = 100


class Listable(Protocol):
    """Records that can be read by the page."""

    def page(self, offset: int, limit: int, *, shuffled: bool = False) -> tuple[list[bytes], int]:
        """Return the encoded records of one page and the number of all records."""


def answer(account: Account, settings: Settings, request: Request) -> Answer:
    """Return the regular answer to a request; the key and the rate limit were checked before."""
    endpoint = ROUTES.get((request.method, request.path.rstrip("/")))
    return endpoint(account, settings, request) if endpoint else error(404, settings.errors)


def _agents(account: Account, settings: Settings, request: Request) -> Answer:
    return _page(account.agents, settings, request)


def _departments(account: Account, settings: Settings, request: Request) -> Answer:
    return _page(account.departments, settings, request)


def _organization(account: Account, settings: Settings, request: Request) -> Answer:
    return Answer(200, encode({"data": account.organization}))


ROUTES: dict[tuple[str, str], Endpoint] = {
    ("GET", "/v1/agents"): _agents,
    ("GET", "/v1/departments"): _departments,
    ("GET", "/v1/organization"): _organization,
}


def _page(records: Listable, settings: Settings, request: Request) -> Answer:
    offset = request.query.get("offset", "0")
    limit = request.query.get("limit", str(min(DEFAULT_LIMIT, settings.max_limit)))
    checked = {"offset": _complaint(offset, 0, None), "limit": _complaint(limit, 1, settings.max_limit)}
    complaints = {field: complaint for field, complaint in checked.items() if complaint}
    if complaints:
        return error(400, settings.errors, complaints)
    start = 0 if settings.ignore_offset else int(offset)
    rows, total = records.page(start, min(int(limit), settings.page_cap), shuffled=settings.shuffle)
    return listing(rows, total, settings.total)


def _complaint(value: str, least: int, most: int | None) -> str | None:
    """Return what the validator of HelpCrunch (Symfony's, by its wording) would say, if anything."""
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        return "This value should be of type numeric."
    if int(value) < least:
        return "This value should be positive." if least else "This value should be either positive or zero."
    if most is not None and int(value) > most:
        return f"This value should be less than or equal to {most}."
    return None
