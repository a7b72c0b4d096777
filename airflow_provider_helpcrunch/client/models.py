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


class Customer(TypedDict, total=False):
    """A customer (contact): https://docs.helpcrunch.com/rest-api-v1/customer-model-v1."""

    id: Required[int]
    name: str | None
    email: str | None
    userId: str | None
    company: str | None
    phone: str | None
    firstSeen: str | int | None
    lastSeen: str | int | None
    location: dict[str, Any] | None
    device: dict[str, Any] | None
    unsubscribed: bool
    blocked: bool
    source: str | None
    referer: str | None
    lastPage: str | None
    locale: str | None
    createdFrom: str | None
    integrationId: str | None
    notes: str | None
    tags: list[dict[str, Any]]
    customData: dict[str, Any] | None


# A class cannot have a field named "from".
Message = TypedDict(
    "Message",
    {
        "id": Required[int],
        "chat": int,
        "from": str | None,
        "agent": Agent | None,
        "type": str | None,
        "private": bool,
        "tech": bool,
        "text": str | None,
        "read": bool | None,
        "edited": bool | None,
        "createdAt": str | int | None,
        "updatedAt": str | int | None,
        "broadcastType": str | None,
    },
    total=False,
)
"""A message of a chat: https://docs.helpcrunch.com/rest-api-v1/message-model-v1."""


class Application(TypedDict, total=False):
    """A widget, app or channel: https://docs.helpcrunch.com/rest-api-v1/get-applications-v1."""

    id: Required[int]
    name: str | None
    displayName: str | None
    active: bool | None
    type: str | None


class Event(TypedDict, total=False):
    """An event of a customer: https://docs.helpcrunch.com/rest-api-v1/add-customer-event-v1."""

    id: Required[int]
    customer: int
    name: str | None
    data: dict[str, Any]
    createdAt: str | int | None


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


def customer_of(record: Record) -> Record:
    """
    Return a customer as it leaves the client.

    ``customData`` is always a dictionary, or ``None``: HelpCrunch also sends an array of ``property`` and ``value``,
    and an empty array. Everything else is as the API sent it.

    :param record: the customer from the API
    """
    data = record.get("customData")
    if not isinstance(data, list):
        return record
    pairs = [pair for pair in data if isinstance(pair, dict) and "property" in pair]
    return {**record, "customData": {str(pair["property"]): pair.get("value") for pair in pairs}}


def message_of(record: Record) -> Record:
    """
    Return a message as it leaves the client.

    ``private`` says whether it is a private note, which no customer sees, and ``tech`` whether HelpCrunch wrote it,
    with a machine word such as ``chat_status_changed`` as its ``text``. Everything else is as the API sent it.

    :param record: the message from the API
    """
    return {**record, "private": record.get("type") == "private", "tech": record.get("type") == "tech"}
