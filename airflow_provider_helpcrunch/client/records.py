"""
The records of the HelpCrunch API v1 and the table schema of each.

Records travel as plain dictionaries, just as the API sent them. The ``TypedDict`` classes name their fields for
type checkers; the :class:`Table` of a resource fixes the columns and types of its CSV and Parquet files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Required, TypeAlias, TypedDict

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


class Organization(TypedDict, total=False):
    """The account itself: https://docs.helpcrunch.com/rest-api-v1/get-organization-v1."""

    id: Required[int]
    domain: str | None
    teamOnline: bool | None
    chatEnabled: bool | None


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
