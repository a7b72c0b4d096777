"""Rows of a table with fixed columns and types, made from records of the API, for CSV and Parquet."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_helpcrunch.schema import Column, Table

_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)


class _MisfitError(Exception):
    """A value does not fit its column; the arguments are the column, the expected type and the value."""


class Rows:
    """
    Converts records to rows, and collects the names of fields that have no column.

    :param table: the table of the rows
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self.unknown: set[str] = set()

    def of(self, records: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """
        Convert each record to a row.

        A row has every column, with ``None`` for missing values. Its values are ``int``, ``str``, ``bool``,
        ``datetime`` in UTC with microseconds, and dictionaries and lists of those. If the column requires it, numbers
        written as text become numbers and whole numbers become text; an empty text becomes an empty timestamp.

        :param records: the records as the API sent them
        :return: an iterator over the rows, in order
        :raises HelpCrunchStorageError: a value does not fit its column
        """
        columns = self._table.columns
        for record in records:
            try:
                yield self._object(columns, record, "")
            except _MisfitError as misfit:
                raise self._misfit(record, *misfit.args) from None

    def _object(self, columns: Iterable[Column], value: Any, prefix: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _MisfitError(prefix, "object", value)
        row = {column.name: self._cell(column, value.get(column.name), prefix) for column in columns}
        if not row.keys() >= value.keys():
            self.unknown.update(f"{prefix}{name}" for name in value.keys() - row.keys())
        return row

    def _cell(self, column: Column, value: Any, prefix: str) -> Any:
        if value is None:
            return None
        if column.type == "struct":
            return self._object(column.fields, value, f"{prefix}{column.name}.")
        if column.type == "list" and isinstance(value, list):
            inner = f"{prefix}{column.name}."
            return [None if item is None else self._object(column.fields, item, inner) for item in value]
        try:
            return _SCALARS[column.type](value)
        except (KeyError, ValueError, OverflowError):
            where = f"{prefix}{column.name}."
            raise _MisfitError(where, column.type, value) from None

    def _misfit(self, record: Any, where: str, expected: str, value: Any) -> HelpCrunchStorageError:
        found = record.get("id") if isinstance(record, dict) else None
        known = isinstance(found, int) or (isinstance(found, str) and _INTEGER.fullmatch(found))
        whose = f"the record with id {found}" if known else "a record without a readable id"
        what = f"column {where[:-1]!r} of" if where else "a row of"
        msg = (
            f"{what} {self._table.name!r} cannot hold a value of {whose}: it is of type {type(value).__name__}, "
            f"and {expected} is expected, within its range. Write .jsonl to keep records as they are."
        )
        return HelpCrunchStorageError(msg[0].upper() + msg[1:])


def restore(column: Column, text: str) -> Any:
    """
    Convert the text of a CSV field back to the value that its row had.

    :param column: the column that the field belongs to
    :param text: the field's text
    :return: the value
    :raises ValueError: the text is not of the column's type
    """
    if column.type in ("struct", "list"):
        return _restored(column, msgspec.json.decode(text))
    if column.type == "bool":
        return {"true": True, "false": False}[text]
    if column.type == "timestamp":
        return datetime.fromisoformat(text)
    return int(text) if column.type == "int64" else text


def _restored(column: Column, value: Any) -> Any:
    """Convert the timestamps inside a decoded JSON value to dates."""
    if column.type == "list" and value is not None:
        return [_restored_fields(column.fields, item) for item in value]
    if column.type == "struct":
        return _restored_fields(column.fields, value)
    return datetime.fromisoformat(value) if column.type == "timestamp" and value else value


def _restored_fields(columns: Iterable[Column], value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else {c.name: _restored(c, value.get(c.name)) for c in columns}


def _int64(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _string(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise ValueError
    # Refuse half of a surrogate pair, which no encoding can write.
    if not value.isascii():
        value.encode()
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _timestamp(value: Any) -> datetime | None:
    if isinstance(value, datetime):  # of a row that was read back
        return value
    if value == "":
        return None
    if (moment := parse_timestamp(value)) is None:
        raise ValueError
    return moment


def _json_text(value: Any) -> str:
    try:
        if isinstance(value, str):  # of a row that was read back
            value = msgspec.json.decode(value)
        if not isinstance(value, dict):
            raise ValueError
        return msgspec.json.encode(value, order="sorted").decode()
    except (
        TypeError,
        msgspec.MsgspecError,
    ) as error:  # no JSON, a value that JSON has not, or half of a surrogate pair
        raise ValueError from error


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "int64": _int64,
    "string": _string,
    "bool": _bool,
    "timestamp": _timestamp,
    "json": _json_text,
}
