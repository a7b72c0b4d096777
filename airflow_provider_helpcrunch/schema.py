"""
Columns and tables: the layout of a resource's CSV and Parquet files.

JSON and JSONL keep records as the API sent them. CSV and Parquet have the columns of a :class:`Table`: the same in
every run, whether or not a record has the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Record: TypeAlias = dict[str, Any]
"""A record as the API sent it."""

ColumnType = Literal["int64", "string", "bool", "timestamp", "struct", "list", "json"]


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column of a table.

    :param name: the field's name in the API
    :param type: ``int64``, ``string``, ``bool``, ``timestamp`` (UTC; the API writes UNIX seconds as an integer, a
        string or a fractional string), ``struct`` (an object with ``fields``), ``list`` (of such objects) or
        ``json`` (an object whose fields differ from account to account, as JSON text with sorted names)
    :param fields: the columns inside a ``struct`` or ``list``
    """

    name: str
    type: ColumnType
    fields: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """
    Columns of every CSV and Parquet file of one resource.

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

CUSTOMERS = Table(
    "customers",
    (
        Column("id", "int64"),
        Column("name", "string"),
        Column("email", "string"),
        Column("userId", "string"),
        Column("company", "string"),
        Column("phone", "string"),
        Column("firstSeen", "timestamp"),
        Column("lastSeen", "timestamp"),
        Column(
            "location",
            "struct",
            (Column("regionCode", "string"), Column("countryCode", "string"), Column("city", "string")),
        ),
        Column(
            "device",
            "struct",
            (
                Column("id", "int64"),
                Column("ip", "string"),
                Column("timezone", "string"),
                Column("platform", "string"),
                Column("userAgent", "string"),
            ),
        ),
        Column("unsubscribed", "bool"),
        Column("blocked", "bool"),
        Column("source", "string"),
        Column("referer", "string"),
        Column("lastPage", "string"),
        Column("locale", "string"),
        Column("createdFrom", "string"),
        Column("integrationId", "string"),
        Column("notes", "string"),
        Column("tags", "list", (Column("name", "string"), Column("color", "string"))),
        Column("customData", "json"),
    ),
)

MESSAGES = Table(
    "messages",
    (
        Column("id", "int64"),
        Column("chat", "int64"),
        Column("from", "string"),
        Column("agent", "struct", AGENTS.columns),
        Column("type", "string"),
        Column("private", "bool"),
        Column("tech", "bool"),
        Column("text", "string"),
        Column("read", "bool"),
        Column("edited", "bool"),
        Column("createdAt", "timestamp"),
        Column("updatedAt", "timestamp"),
        Column("broadcastType", "string"),
    ),
)

APPLICATIONS = Table(
    "applications",
    (
        Column("id", "int64"),
        Column("name", "string"),
        Column("displayName", "string"),
        Column("active", "bool"),
        Column("type", "string"),
    ),
)

CHANGES = Table(
    "changes",
    (
        Column("id", "int64"),
        Column("field", "string"),
        Column("before", "string"),
        Column("before_name", "string"),
        Column("after", "string"),
        Column("after_name", "string"),
        Column("outcome", "string"),
        Column("error", "string"),
        Column("status", "string"),
        Column("department", "string"),
        Column("department_name", "string"),
        Column("url", "string"),
    ),
)
"""The columns of a report on changed chats."""
