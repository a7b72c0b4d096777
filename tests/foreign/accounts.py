"""Accounts that the batteries read, and clients that read them rightly and wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import (
    AGENTS,
    APPLICATIONS,
    CHATS,
    CUSTOMERS,
    DEPARTMENTS,
    MESSAGES,
    Column,
    Table,
)

TABLES = {table.name: table for table in (AGENTS, DEPARTMENTS, APPLICATIONS, CUSTOMERS, CHATS, MESSAGES)}
KEYS = {name: ["chat", "id"] if name == "messages" else ["id"] for name in TABLES}

ACCOUNTS: dict[str, dict[str, Any]] = {
    "as-documented": {},
    "older-documentation": {
        "errors": "old",
        "shape": "old",
        "search_total": "meta",
        "on_hold": "on hold",
        "timestamps": "integer",
        "custom_data": "array",
    },
    "short-pages": {"page_cap": 30, "timestamps": "fractional"},
    "no-total": {"total": "missing"},
    "wrong-total": {"total": "low"},
    "in-trouble": {"rate_limit": 200, "window": 0.5},
}
"""What HelpCrunch's documentation leaves open is different in each of them."""

TROUBLE = (
    Fault("status", path="/v1/agents", status=503),
    Fault("reset", path="/v1/chats", nth=2),
    Fault("truncate", path="/v1/customers", nth=2),
    Fault("html", path="/v1/chats/*/messages", nth=7),
    Fault("close", path="/v1/chats/*/messages", nth=20, times=2),
)


@contextmanager
def account(name: str) -> Iterator[Sandbox]:
    """Serve one of ``ACCOUNTS``."""
    settings = {"agents": 160, "chats": 160, "messages": 3, "rate_limit": None, "now": 1_700_000_000}
    trouble = TROUBLE if name == "in-trouble" else ()
    with Sandbox(**{**settings, **ACCOUNTS[name]}) as sandbox:
        for fault in trouble:
            sandbox.add_fault(fault)
        yield sandbox
        assert {fault.kind for fault in trouble} <= {request.fault for request in sandbox.journal}


class Client(HelpCrunchClient):
    """The client, with a budget of its own and short pauses before it tries again."""

    def __init__(self, api_key: str, base_url: str) -> None:
        retry = RetryPolicy(first_pause=0.01, longest_pause=0.05)
        super().__init__(
            api_key, base_url=base_url, requests_per_minute=100_000, rate_limit_store="memory://", retry=retry
        )


class DoublingClient(Client):
    """A mutant: the second page of a list begins 50 records too early, so that these come twice."""

    def _listing(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        records = list(super()._listing(*arguments, **options))
        yield from records[:100]
        yield from islice(records, 50, None)


class LosingClient(Client):
    """A mutant: the second page of a list begins 50 records too late, so that these never come."""

    def _listing(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        records = list(super()._listing(*arguments, **options))
        yield from records[:100]
        yield from islice(records, 150, None)


def records_of(client: HelpCrunchClient, name: str, chat: int | None = None) -> Iterator[Any]:
    """Yield all records of a resource; ``messages``: of one chat, or of all chats."""
    if name != "messages":
        yield from getattr(client, f"iter_{name}")()
    elif chat is not None:
        yield from client.iter_messages(chat)
    else:
        for each in client.list_chats():
            yield from client.iter_messages(each["id"])


def json_schema(table: Table) -> dict[str, Any]:
    """Return the JSON Schema of a resource's records: any field but the id may be null."""
    return {"type": "object", "properties": _properties(table.columns)}


def _properties(columns: tuple[Column, ...]) -> dict[str, Any]:
    return {column.name: _property(column) for column in columns}


def _property(column: Column) -> dict[str, Any]:
    match column.type:
        case "int64":
            return {"type": "integer" if column.name == "id" else ["integer", "null"]}
        case "bool":
            return {"type": ["boolean", "null"]}
        case "string":
            return {"type": ["string", "null"]}
        case "timestamp":
            return {"type": ["string", "integer", "null"]}
        case "list":
            items = {"type": "object", "properties": _properties(column.fields)}
            return {"type": ["array", "null"], "items": items}
        case "struct":
            return {"type": ["object", "null"], "properties": _properties(column.fields)}
    return {"type": ["object", "null"]}
