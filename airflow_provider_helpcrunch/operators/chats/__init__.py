"""Operators about chats: find them, decide who gets them, move them."""

from __future__ import annotations

from airflow_provider_helpcrunch.operators.chats.listing import ListChatsOperator
from airflow_provider_helpcrunch.operators.chats.reassign import ReassignChatsOperator
from airflow_provider_helpcrunch.operators.chats.search import SearchChatsOperator
from airflow_provider_helpcrunch.operators.chats.update import (
    UpdateChatAssigneeOperator,
    UpdateChatsOperator,
)

__all__ = [
    "ListChatsOperator",
    "ReassignChatsOperator",
    "SearchChatsOperator",
    "UpdateChatAssigneeOperator",
    "UpdateChatsOperator",
]
