"""The resources: from an account and a request to the answer HelpCrunch would give."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from airflow_provider_helpcrunch.sandbox import chat_reads, chat_writes, paging
from airflow_provider_helpcrunch.sandbox.account import Account
from airflow_provider_helpcrunch.sandbox.answers import Answer, encode, error, invalid
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.settings import Settings

Endpoint: TypeAlias = Callable[[Account, Settings, Request], Answer]


def writes(request: Request) -> bool:
    """Say whether a request is meant to change the account: a search is not, although it is a ``POST``."""
    return request.method != "GET" and not request.path.rstrip("/").endswith("/search")


def answer(account: Account, settings: Settings, request: Request) -> Answer:
    """Return the regular answer to a request; the key and the rate limit were checked before."""
    path = request.path.rstrip("/")
    for (method, pattern), endpoint in ROUTES.items():
        if method == request.method and re.fullmatch(pattern.replace("{id}", "[0-9]+"), path):
            return endpoint(account, settings, request)
    return error(404, settings.errors)


def _agents(account: Account, settings: Settings, request: Request) -> Answer:
    return _page(account.agents.page, settings, request)


def _departments(account: Account, settings: Settings, request: Request) -> Answer:
    return _page(account.departments.page, settings, request)


def _organization(account: Account, settings: Settings, request: Request) -> Answer:
    return Answer(200, encode({"data": account.organization}))


def _page(read: paging.Reader, settings: Settings, request: Request) -> Answer:
    window, complaints = paging.window(request.query, settings)
    return invalid(settings.errors, complaints) if complaints else paging.page(read, window, settings)


ROUTES: dict[tuple[str, str], Endpoint] = {
    ("GET", "/v1/agents"): _agents,
    ("GET", "/v1/departments"): _departments,
    ("GET", "/v1/organization"): _organization,
    ("GET", "/v1/chats"): chat_reads.all_chats,
    ("GET", "/v1/chats/{id}"): chat_reads.one_chat,
    ("POST", "/v1/chats/search"): chat_reads.search_chats,
    ("POST", "/v1/chats"): chat_writes.create,
    ("PUT", "/v1/chats/status"): chat_writes.update,
    ("PUT", "/v1/chats/assignee"): chat_writes.update,
    ("PUT", "/v1/chats/department"): chat_writes.update,
    ("PUT", "/v1/chats/snooze"): chat_writes.update,
    ("PUT", "/v1/chats/rate"): chat_writes.update,
    ("PUT", "/v1/chats/readByAgent"): chat_writes.update,
    ("PUT", "/v1/chats/readByCustomer"): chat_writes.update,
}
