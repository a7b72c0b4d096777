"""
Records of the HelpCrunch API v1.

They travel as plain dictionaries, as the API sent them. The ``TypedDict`` classes name their fields for type checkers;
:mod:`airflow_provider_helpcrunch.schema` has the columns of their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Required, TypedDict

from airflow_provider_helpcrunch.client.vocabulary import rating_of, status_of

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.schema import Record


class Agent(TypedDict, total=False):
    """A team member: https://docs.helpcrunch.com/rest-api-v1/agent-model-v1."""

    id: Required[int]
    name: str | None
    email: str | None
    role: str | None


class Department(TypedDict, total=False):
    """A department and its agents: https://docs.helpcrunch.com/rest-api-v1/get-departments-v1."""

    id: Required[int]
    name: str | None
    agents: list[Agent]


class Chat(TypedDict, total=False):
    """A conversation with a customer: https://docs.helpcrunch.com/rest-api-v1/chat-model-v1."""

    id: Required[int]
    status: str | None
    statusRaw: str | None
    closedBy: str | None
    closedAt: str | int | None
    createdAt: str | int | None
    lastMessageAt: str | int | None
    lastCustomerMessageAt: str | int | None
    lastMessageText: str | None
    lastMessageId: int | None
    lastCommunicatedAgentId: int | None
    rating: str | None
    ratingRaw: str | None
    readByAgent: bool
    readByCustomer: bool
    createdWith: str | None
    snoozedUntil: str | int | None
    applicationId: int | None
    agents: list[Agent]
    customer: dict[str, Any] | None
    assignee: Agent | None
    department: dict[str, Any] | None


class Organization(TypedDict, total=False):
    """The account itself: https://docs.helpcrunch.com/rest-api-v1/get-organization-v1."""

    id: Required[int]
    domain: str | None
    teamOnline: bool | None
    chatEnabled: bool | None


def chat_of(record: Record) -> Record:
    """
    Return a chat as it leaves the client.

    ``status`` and ``rating`` have one spelling each, and the original values are in ``statusRaw`` and ``ratingRaw``;
    ``agents`` is always a list, although one edition of the documentation shows a single agent. Everything else is as
    the API sent it.

    :param record: the chat from the API
    """
    status, rating, agents = record.get("status"), record.get("rating"), record.get("agents")
    chat = {
        **record,
        "status": status_of(status),
        "statusRaw": status,
        "rating": rating_of(rating),
        "ratingRaw": rating,
    }
    if isinstance(agents, dict):
        chat["agents"] = [agents]
    return chat
