"""Accounts in process, without a socket: for a client of a test, and for whatever connects to a sandbox that serves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter

from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.client.connections import WatchedAdapter
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Sandbox, endpoints
from airflow_provider_helpcrunch.sandbox.responses import Answer, chat_missing


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


SERVING: dict[int | None, BaseAdapter] = {}
"""Adapters of the sandboxes that serve in this process, by port."""


class ShortCut(WatchedAdapter):
    """
    Hands requests to the sandboxes of this process, and sends all others.

    A request over a socket costs five times as much, most of it in the server. Child processes are not concerned: for
    them the sandbox serves.
    """

    def send(self, request: requests.PreparedRequest, *arguments: Any, **keywords: Any) -> requests.Response:
        if (adapter := SERVING.get(urlsplit(request.url or "").port)) is None:
            return super().send(request, *arguments, **keywords)
        return adapter.send(request, *arguments, **keywords)


def answer_404_for_nothing(monkeypatch: pytest.MonkeyPatch, resource: str = "chats") -> None:
    """Let accounts answer a search for chats, or customers, that finds nothing with a 404, as some do."""
    route = ("POST", f"/v1/{resource}/search")
    honest = endpoints.ROUTES[route]

    def answer(account: Any, settings: Any, request: Any) -> Answer:
        answered = honest(account, settings, request)
        return (
            answered if json.loads(answered.body)["data"] else chat_missing(settings.errors, "Chat not found")
        )

    monkeypatch.setitem(endpoints.ROUTES, route, answer)


def send_ids_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let accounts write the ids of all records, and of those that they name, as text."""

    names = ("id", "chat", "customer", "applicationId", "lastCommunicatedAgentId", "lastMessageId")

    def as_text(value: Any, name: str = "") -> Any:
        if isinstance(value, list):
            return [as_text(each, name) for each in value]
        if isinstance(value, dict) and name not in ("customData", "device"):
            return {key: as_text(each, key) for key, each in value.items()}
        return str(value) if name in names and type(value) is int else value

    def sender(honest: endpoints.Endpoint) -> endpoints.Endpoint:
        def answer(account: Any, settings: Any, request: Any) -> Answer:
            answered = honest(account, settings, request)
            return replace(answered, body=json.dumps(as_text(json.loads(answered.body))).encode())

        return answer

    for route, honest in list(endpoints.ROUTES.items()):
        monkeypatch.setitem(endpoints.ROUTES, route, sender(honest))
