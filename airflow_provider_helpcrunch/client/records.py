"""
The records of the HelpCrunch API v1 and the table schema of each.

Records travel as plain dictionaries, just as the API sent them. The ``TypedDict`` classes name their fields for
type checkers; the :class:`Table` of a resource fixes the columns and types of its CSV and Parquet files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Required, TypeAlias, TypedDict

from airflow_provider_helpcrunch.client.vocabulary import rating_of, status_of

Record: TypeAlias = dict[str, Any]


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

    ``status`` and ``rating`` are in one spelling, and what was sent is in ``statusRaw`` and ``ratingRaw``; ``agents``
    is always a list, though one edition of the documentation shows a single agent. All else is as the API sent it.

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


ColumnType = Literal["int64", "string", "bool", "timestamp", "struct", "list"]


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column of a table.

    :param name: the field's name in the API
    :param type: ``int64``, ``string``, ``bool``, ``timestamp`` (UTC; the API writes UNIX seconds as an integer, a
        string or a fractional string), ``struct`` (an object with ``fields``) or ``list`` (of such objects)
    :param fields: the columns inside a ``struct`` or ``list``
    """

    name: str
    type: ColumnType
    fields: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """
    The columns that every CSV and Parquet file of one resource has.

    :param name: the resource, as in its API path
    :param columns: its columns, in order
    """

    name: str
    columns: tuple[Column, ...]


AGENTS = Table(
    "agents",
    (Column("id", "int64"), Column("name", "string"), Column("email", "string"), Column("role", "string")),
)

DEPARTMENTS = Table(
    "departments",
    (Column("id", "int64"), Column("name", "string"), Column("agents", "list", AGENTS.columns)),
)

CHATS = Table(
    "chats",
    (
        Column("id", "int64"),
        Column("status", "string"),
        Column("statusRaw", "string"),
        Column("closedBy", "string"),
        Column("closedAt", "timestamp"),
        Column("createdAt", "timestamp"),
        Column("lastMessageAt", "timestamp"),
        Column("lastCustomerMessageAt", "timestamp"),
        Column("lastMessageText", "string"),
        Column("lastMessageId", "int64"),
        Column("lastCommunicatedAgentId", "int64"),
        Column("rating", "string"),
        Column("ratingRaw", "string"),
        Column("readByAgent", "bool"),
        Column("readByCustomer", "bool"),
        Column("createdWith", "string"),
        Column("snoozedUntil", "timestamp"),
        Column("applicationId", "int64"),
        Column("agents", "list", AGENTS.columns),
        Column(
            "customer",
            "struct",
            (
                Column("id", "int64"),
                Column("name", "string"),
                Column("email", "string"),
                Column("userId", "string"),
            ),
        ),
        Column("assignee", "struct", AGENTS.columns),
        Column("department", "struct", (Column("id", "int64"), Column("name", "string"))),
    ),
)
