"""The truth: everything the account holds at this moment, as the API would send it, to compare a copy with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.records import Record


def truth(account: Account, resource: str) -> list[Record]:
    """
    Return fresh copies of all records of a resource, in the order of their ids; agents in the server's order.

    Messages come by chat, from the oldest to the newest.

    :param account: the account
    :param resource: a name of :data:`RESOURCES`
    :raises ValueError: there is no such resource
    """
    if resource not in RESOURCES:
        message = f"the truth is about {', '.join(RESOURCES)}; not {resource}"
        raise ValueError(message)
    with account.lock:
        return RESOURCES[resource](account)


def messages(account: Account, chat_id: int) -> list[Record]:
    """
    Return fresh copies of the messages of a chat, from the oldest to the newest.

    :param account: the account
    :param chat_id: the id of the chat
    :raises KeyError: there is no such chat
    """
    return [account.shape.message(each) for each in account.chats.messages(chat_id)]


def _all_messages(account: Account) -> list[Record]:
    return [message for chat in account.chats.ids() for message in messages(account, chat)]


RESOURCES: dict[str, Callable[[Account], list[Record]]] = {
    "agents": lambda account: account.agents.all(),
    "departments": lambda account: account.departments.all(),
    "applications": lambda account: [dict(each) for each in account.applications],
    "customers": lambda account: account.customers.records(),
    "chats": lambda account: account.chats.records(),
    "messages": _all_messages,
}
"""The resources of the account."""
