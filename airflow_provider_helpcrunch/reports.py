"""
Reports on exported chats: the SQL files of the directory ``sql``, and DuckDB to run them on Parquet files.

::

    connection = connect()
    views(connection, chats=["chats/snapshot-00000.parquet"], messages=["messages/snapshot-00000.parquet"])
    for row in report(connection, "first_response"):
        ...

Each file is one query, for views named as in :data:`COLUMNS`, and begins with what it reads, its columns and its
definitions. Only :func:`connect` imports DuckDB.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable

    from duckdb import DuckDBPyConnection

_AGENT = "STRUCT(id BIGINT, name VARCHAR, email VARCHAR, role VARCHAR)"
_CHAT = {
    "id": "BIGINT",
    "status": "VARCHAR",
    "closedBy": "VARCHAR",
    "closedAt": "TIMESTAMPTZ",
    "createdAt": "TIMESTAMPTZ",
    "customer": "STRUCT(id BIGINT, name VARCHAR, email VARCHAR, userId VARCHAR)",
    "assignee": _AGENT,
    "department": "STRUCT(id BIGINT, name VARCHAR)",
}

COLUMNS = {
    "chats": _CHAT,
    "messages": {
        "id": "BIGINT",
        "chat": "BIGINT",
        "from": "VARCHAR",
        "agent": _AGENT,
        "type": "VARCHAR",
        "text": "VARCHAR",
        "createdAt": "TIMESTAMPTZ",
        "broadcastType": "VARCHAR",
    },
    "customers": {"id": "BIGINT", "name": "VARCHAR"},
    "agents": {"id": "BIGINT", "name": "VARCHAR"},
    "departments": {"id": "BIGINT", "name": "VARCHAR"},
    "chat_changes": {**_CHAT, "change": "VARCHAR", "seenAt": "TIMESTAMPTZ"},
}
"""The views that reports read, and the columns that they use, with DuckDB's types. Files may have more columns."""


def connect() -> DuckDBPyConnection:
    """
    Open a DuckDB in memory whose times are in UTC.

    :return: the connection
    :raises HelpCrunchConfigurationError: DuckDB is not installed
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        msg = "A report needs: pip install 'airflow-provider-helpcrunch[duckdb]'"
        raise HelpCrunchConfigurationError(msg) from error
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def views(connection: DuckDBPyConnection, **paths: Sequence[str]) -> None:
    """
    Create the views that the reports read.

    They are temporary: seen by this connection alone, and gone with it. A view that is not named, or has no files, is
    empty.

    :param connection: a connection to DuckDB, of :func:`connect` or your own
    :param paths: for each view of :data:`COLUMNS`, its Parquet files: local paths, or URLs that this DuckDB can read.
        The files of a view are those of one snapshot, so that each id is in it once; for ``chat_changes``, all files
        of changes
    :raises HelpCrunchConfigurationError: there is no view of such a name, or its paths are one text instead of a list
    """
    for view, given in paths.items():
        if view not in COLUMNS:
            msg = f"There is no view {view!r}: name some of {', '.join(COLUMNS)}."
            raise HelpCrunchConfigurationError(msg)
        if isinstance(given, str):
            msg = f"The files of view {view!r} must be a list of paths, not one text."
            raise HelpCrunchConfigurationError(msg)
    for view in COLUMNS:
        source = _files(paths[view]) if paths.get(view) else _nothing(view)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {source}")


def names() -> list[str]:
    """
    List the reports.

    :return: their names, sorted
    """
    found = (entry.name for entry in _directory().iterdir())
    return sorted(name.removesuffix(".sql") for name in found if name.endswith(".sql"))


def read_sql(name: str) -> str:
    """
    Return the SQL of a report.

    :param name: the report, such as ``first_response``
    :return: the text of its file: one query, with a comment before it
    :raises HelpCrunchConfigurationError: there is no such report
    """
    if name not in (known := names()):
        msg = f"There is no report {name!r}: name one of {', '.join(known)}."
        raise HelpCrunchConfigurationError(msg)
    return (_directory() / f"{name}.sql").read_text(encoding="utf-8")


def report(connection: DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    """
    Run a report.

    :param connection: a connection that has the views, of :func:`views` or your own
    :param name: the report, such as ``first_response``
    :return: its rows, in its order, each by name of column. Times are ``datetime`` in the time zone of the connection
    :raises HelpCrunchConfigurationError: there is no such report
    """
    result = connection.execute(read_sql(name))
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def _directory() -> Traversable:
    return files("airflow_provider_helpcrunch") / "sql"


def _files(paths: Sequence[str]) -> str:
    # Files of older exports may lack a column, and a directory named like "id=5" is no column.
    listed = ", ".join(_literal(path) for path in paths)
    options = "union_by_name = true, hive_partitioning = false"
    return f"SELECT * FROM read_parquet([{listed}], {options})"  # noqa: S608 - a view takes no parameters


def _nothing(view: str) -> str:
    columns = ", ".join(f'NULL::{kind} AS "{column}"' for column, kind in COLUMNS[view].items())
    return f"SELECT {columns} WHERE false"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
