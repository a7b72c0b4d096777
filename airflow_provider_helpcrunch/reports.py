"""
Reports on exported chats: the SQL files of the directory ``sql``, and DuckDB to run them on Parquet files.

::

    connection = connect()
    views(connection, chats=snapshot_files("lake/chats"), messages=snapshot_files("lake/messages"))
    for row in report(connection, "first_response"):
        ...

Each file is one query, for views named as in :data:`COLUMNS`, and begins with what it reads, its columns and its
definitions. Only :func:`connect` imports DuckDB.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.exports.manifest import HEAD, Manifest, directory_of
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.storage.location import locate
from airflow_provider_helpcrunch.storage.objects import read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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

LEFT_OUT = "leftOut"
"""
Further column of the views made here, a list: the columns above that the row's export left out, as ``assignee.id``.

Null alone does not say it: an ``assignee`` of null is nobody. Views of your own need it only if they lack others.
"""


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
    empty. A column that a file lacks, because it was left out of the export, is null, and named in :data:`LEFT_OUT`.
    So is a number or a time that the export hashed. A column beyond :data:`COLUMNS` is not in the view if its type
    differs between the files.

    :param connection: a connection to DuckDB, of :func:`connect` or your own
    :param paths: for each view of :data:`COLUMNS`, its Parquet files: local paths, or URLs that this DuckDB can read.
        The files of a view are those of one snapshot, so that each id is in it once (:func:`snapshot_files`); for
        ``chat_changes``, those of all changes (:func:`change_files`)
    :raises HelpCrunchConfigurationError: there is no view of such a name, or its paths are one text instead of a list
    """
    for view, given in paths.items():
        if view not in COLUMNS:
            msg = f"There is no view {quoted(view)}: name some of {', '.join(COLUMNS)}."
            raise HelpCrunchConfigurationError(msg)
        if isinstance(given, str):
            msg = f"The files of view {quoted(view)} must be a list of paths, not one text."
            raise HelpCrunchConfigurationError(msg)
    for view in COLUMNS:
        source = _rows(connection, view, paths[view]) if paths.get(view) else _nothing(view)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {source}")


def snapshot_files(base_path: str) -> list[str]:
    """
    Name the Parquet files of the latest export.

    :param base_path: the base path of the export
    :return: the files, as DuckDB opens them: without a connection id
    :raises HelpCrunchConfigurationError: there is no export, or its format is not Parquet
    :raises HelpCrunchStorageError: the manifest cannot be read
    """
    return _paths(base_path, (each.path for each in _latest(base_path).snapshot))


def change_files(base_path: str) -> list[str]:
    """
    Name the Parquet files with the changes of all exports, the oldest first.

    They end where the manifest of an export was deleted, or an export has another format. Exports with other columns
    are among them: :func:`views` marks what each left out.

    :param base_path: the base path of the export
    :return: the files, as DuckDB opens them: without a connection id
    :raises HelpCrunchConfigurationError: there is no export, or the format of the latest is not Parquet
    :raises HelpCrunchStorageError: a manifest cannot be read
    """
    manifest: Manifest | None = _latest(base_path)
    found: list[str] = []
    while manifest is not None and manifest.file_format == "parquet":
        found = _paths(base_path, (each.path for each in manifest.changes)) + found
        before = manifest.before
        manifest = _manifest(base_path, f"{directory_of(before.run)}/{HEAD}") if before else None
    return found


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
        msg = f"There is no report {quoted(name)}: name one of {', '.join(known)}."
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


def _latest(base_path: str) -> Manifest:
    manifest = _manifest(base_path, HEAD)
    if manifest is None:
        msg = f"There is no export at {base_path}: it has no {HEAD}."
        raise HelpCrunchConfigurationError(msg)
    if manifest.file_format != "parquet":
        msg = f"Reports read Parquet, and the export at {base_path} is of the format {manifest.file_format}."
        raise HelpCrunchConfigurationError(msg)
    return manifest


def _manifest(base_path: str, name: str) -> Manifest | None:
    data = read_object(locate(f"{base_path.rstrip('/')}/{name}"))
    try:
        return None if data is None else msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"{base_path.rstrip('/')}/{name} is not the manifest of an export, or is damaged ({error})."
        raise HelpCrunchConfigurationError(msg) from None


def _paths(base_path: str, found: Iterable[str]) -> list[str]:
    locations = [locate(f"{base_path.rstrip('/')}/{name}") for name in found]
    return [each.local or re.sub(r"^(\w+://)[^/@]+@", r"\1", each.text) for each in locations]


def _rows(connection: DuckDBPyConnection, view: str, paths: Sequence[str]) -> str:
    """
    Return the query of a view.

    Files with the same columns are read together, and their rows say what they lack. A further column is not in the
    view if its type is not the same in all files.
    """
    listed = ", ".join(_literal(path) for path in paths)
    schemas: dict[str, list[Any]] = {}
    found = f"SELECT file_name, name, type, num_children FROM parquet_schema([{listed}])"  # noqa: S608
    for path, *column in connection.execute(found).fetchall():
        schemas.setdefault(path, []).append(column)
    alike: dict[str, list[str]] = {}
    for path, schema in schemas.items():
        alike.setdefault(str(schema), []).append(path)
    # The directory of a run is named like a partition.
    sources = [
        f"read_parquet([{', '.join(map(_literal, each))}], hive_partitioning = false)"
        for each in alike.values()
    ]
    types = [_types(connection, f"SELECT * FROM {source}") for source in sources]  # noqa: S608
    kinds = Counter(name for name, _ in {pair for each in types for pair in each.items()})
    differing = {name for name, count in kinds.items() if count > 1} - COLUMNS[view].keys()
    return " UNION ALL BY NAME ".join(
        _rows_alike(connection, view, source, there, differing)
        for source, there in zip(sources, types, strict=True)
    )


def _rows_alike(
    connection: DuckDBPyConnection, view: str, source: str, there: dict[str, str], unwanted: set[str]
) -> str:
    left_out: list[str] = []
    lacking: dict[str, str] = {}
    replaced: list[str] = []
    for column, kind in COLUMNS[view].items():
        parts = _parts(kind)
        if column not in there:
            lacking[column] = kind
            left_out += [f"{column}.{part}" for part in parts] or [column]
        elif parts:
            inside = _types(connection, f'SELECT unnest("{column}") FROM {source}')  # noqa: S608
            unknown = {part for part, wanted in parts.items() if not _is_readable(inside.get(part), wanted)}
            left_out += [f"{column}.{part}" for part in parts if part in unknown]
            if unknown:
                replaced.append(_object(column, parts, unknown))
        elif not _is_readable(there[column], kind):
            left_out.append(column)
            replaced.append(f'NULL::{kind} AS "{column}"')
    everything = "*"
    if excluded := sorted(unwanted & there.keys()):
        everything += " EXCLUDE (" + ", ".join(f'"{column}"' for column in excluded) + ")"
    if replaced:
        everything += f" REPLACE ({', '.join(replaced)})"
    told = f'[{", ".join(map(_literal, left_out))}]::VARCHAR[] AS "{LEFT_OUT}"'
    columns = ", ".join([everything, *_nulls(lacking), told])
    return f"SELECT {columns} FROM {source}"  # noqa: S608 - a view takes no parameters


def _types(connection: DuckDBPyConnection, query: str) -> dict[str, str]:
    """Return the types of a query's columns by name."""
    return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {query}").fetchall()}


def _parts(kind: str) -> dict[str, str]:
    """Return the parts of an object and their types; none of another type."""
    return dict(re.findall(r"(\w+) (\w+)", kind.removeprefix("STRUCT"))) if kind.startswith("STRUCT") else {}


def _is_readable(found: str | None, wanted: str) -> bool:
    """Return whether a column is there as it was sent: the hash of a number or a time is a text."""
    return found is not None and (found != "VARCHAR" or wanted == "VARCHAR")


def _object(column: str, parts: dict[str, str], unknown: set[str]) -> str:
    """Return an object with null for the unknown parts."""
    values = [
        f'"{part}" := NULL::{kind}' if part in unknown else f'"{part}" := "{column}"."{part}"'
        for part, kind in parts.items()
    ]
    return f'CASE WHEN "{column}" IS NOT NULL THEN struct_pack({", ".join(values)}) END AS "{column}"'


def _nothing(view: str) -> str:
    return f"SELECT {', '.join(_nulls({**COLUMNS[view], LEFT_OUT: 'VARCHAR[]'}))} WHERE false"


def _nulls(columns: dict[str, str]) -> list[str]:
    return [f'NULL::{kind} AS "{column}"' for column, kind in columns.items()]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
