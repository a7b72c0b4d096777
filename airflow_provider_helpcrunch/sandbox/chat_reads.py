"""The endpoints that read chats."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox import paging
from airflow_provider_helpcrunch.sandbox.answers import Answer, chat_missing, invalid
from airflow_provider_helpcrunch.sandbox.chat_search import ordering, search

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.journal import Request
    from airflow_provider_helpcrunch.sandbox.settings import Settings


def all_chats(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``GET /chats``."""
    query, wrong = ordering(request.query)
    window, wrong_window = paging.window(request.query, settings)
    if complaints := wrong | wrong_window:
        return invalid(settings.errors, complaints)
    return paging.page(partial(account.chats.page, query), window, settings)


def one_chat(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``GET /chats/{id}``."""
    chat_id = request.chat
    if chat_id is None or account.chats.get(chat_id) is None:
        return chat_missing(settings.errors, old="Chat not found")
    return Answer(200, account.chats.encoded(chat_id))


def search_chats(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``POST /chats/search``; without a body it finds all chats."""
    asked = {} if request.body is None else request.body
    if not isinstance(asked, dict):
        return invalid(settings.errors, {})
    query, wrong = search(asked, updated_at=settings.updated_at, ignore_filter=settings.ignore_filter)
    window, wrong_window = paging.window(asked, settings)
    if complaints := wrong | wrong_window:
        return invalid(settings.errors, complaints)
    return paging.page(partial(account.chats.page, query), window, settings, settings.search_total)
