"""
Operators for chats: list, search, reassign and update them.

::

    listing      ListChatsOperator
    search       SearchChatsOperator           → the conditions of chats.criteria
    reassign     ReassignChatsOperator         → the engine chats.reassignment
    update       UpdateChatsOperator           → the engine chats.plan_run
                 UpdateChatAssigneeOperator    → one method of the client
    bulk         base class of the operators with an engine → runner, which runs it

The modules on the left hold the operators; a DAG file loads only these.
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
