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
    ),
)
"""The columns of a report on changed chats."""
