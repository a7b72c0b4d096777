"""
Operators about chats: find them, decide who gets them, move them.

::

    listing      ListChatsOperator
    search       SearchChatsOperator           → criteria → contradiction
    reassign     ReassignChatsOperator         → reassignment → drain → search_pages, selection, targets
    update       UpdateChatsOperator, …        → plan, plan_run
    bulk         what the last two share       → work → ledger → outcome

The operators are in the modules on the left, which are all that a DAG file loads.
"""

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
