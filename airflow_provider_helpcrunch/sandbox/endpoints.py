"""The resources: from an account and a request to the response HelpCrunch would give."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from airflow_provider_helpcrunch.sandbox import (
    chat_endpoints,
    customer_endpoints,
    message_endpoints,
    paging,
)
from airflow_provider_helpcrunch.sandbox.account import Account
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, done, encode, entity_missing, error, invalid
from airflow_provider_helpcrunch.sandbox.settings import Settings

Endpoint: TypeAlias = Callable[[Account, Settings, Request], Answer]


def writes(request: Request) -> bool:
    """
    Say whether a request is meant to change the account: a search is not, although it is a ``POST``;
    one ``GET`` is.
    """
    path = request.path.rstrip("/")
    return path.endswith("/unsubscribe") if request.method == "GET" else not path.endswith("/search")


def answer(account: Account, settings: Settings, request: Request) -> Answer:
    """Return the regular response to a request; the key and the rate limit were checked before."""
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


def _unsubscribe(account: Account, settings: Settings, request: Request) -> Answer:
    number = int(request.path.strip("/").split("/")[2])
    if not account.has_agent(number):
        return entity_missing(settings.errors, "agent")
    if not settings.ignore_write:
        account.unsubscribed.add(number)
    return done(settings.ok, applied=not settings.ignore_write)


def _applications(account: Account, settings: Settings, request: Request) -> Answer:
    return Answer(200, encode({"data": account.applications}))


def _page(read: paging.Reader, settings: Settings, request: Request) -> Answer:
    window, complaints = paging.window(request.query, settings)
    return invalid(settings.errors, complaints) if complaints else paging.page(read, window, settings)


ROUTES: dict[tuple[str, str], Endpoint] = {
    ("GET", "/v1/agents"): _agents,
    ("GET", "/v1/agents/{id}/unsubscribe"): _unsubscribe,
    ("GET", "/v1/departments"): _departments,
    ("GET", "/v1/applications"): _applications,
    ("GET", "/v1/organization"): _organization,
    ("GET", "/v1/chats"): chat_endpoints.all_chats,
    ("GET", "/v1/chats/{id}"): chat_endpoints.one_chat,
    ("POST", "/v1/chats/search"): chat_endpoints.search_chats,
    ("POST", "/v1/chats"): chat_endpoints.create,
    ("PUT", "/v1/chats/status"): chat_endpoints.update,
    ("PUT", "/v1/chats/assignee"): chat_endpoints.update,
    ("PUT", "/v1/chats/department"): chat_endpoints.update,
    ("PUT", "/v1/chats/snooze"): chat_endpoints.update,
    ("PUT", "/v1/chats/rate"): chat_endpoints.update,
    ("PUT", "/v1/chats/readByAgent"): chat_endpoints.update,
    ("PUT", "/v1/chats/readByCustomer"): chat_endpoints.update,
    ("GET", "/v1/chats/{id}/messages"): message_endpoints.all_messages,
    ("POST", "/v1/messages"): message_endpoints.create,
    ("GET", "/v1/customers"): customer_endpoints.all_customers,
    ("GET", "/v1/customers/{id}"): customer_endpoints.one_customer,
    ("POST", "/v1/customers/search"): customer_endpoints.search_customers,
    ("POST", "/v1/customers"): customer_endpoints.create,
    ("PUT", "/v1/customers/batch"): customer_endpoints.batch,
    ("PUT", "/v1/customers/{id}"): customer_endpoints.replace,
    ("PATCH", "/v1/customers/{id}"): customer_endpoints.merge,
    ("DELETE", "/v1/customers/{id}"): customer_endpoints.delete,
    ("PUT", "/v1/customers/{id}/tags"): customer_endpoints.add_tags,
    ("DELETE", "/v1/customers/{id}/tags"): customer_endpoints.remove_tags,
    ("POST", "/v1/events"): customer_endpoints.event,
}
