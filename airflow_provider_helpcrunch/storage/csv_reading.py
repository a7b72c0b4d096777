"""Reader of CSV files that this package or a spreadsheet wrote."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from airflow_provider_helpcrunch.storage.csv_dialect import (
    declared_separator,
    separator_of,
    split_fields,
    split_records,
)
from airflow_provider_helpcrunch.storage.tabular import restore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_helpcrunch.schema import Column, Table

_UNDECODED = re.compile("[\udc80-\udcff]")


class _Header(NamedTuple):
    """
    Header of a file.

    :param names: the names of the columns
    :param width: number of columns; spreadsheets may append some without a name
    :param separator: the separator of the fields
    """

    names: list[str]
    width: int
    separator: str


def read_csv(source: Any, table: Table | None, *, suspicious: bool) -> Iterator[dict[str, Any]]:
    """
    Read the records of a CSV file.

    :param source: the file, as a buffered reader of bytes in UTF-8
    :param table: the types of its columns; ``None``: all are text
    :param suspicious: whether its size differs from the one in its receipt; then a last line without a line end, which
        spreadsheets write, counts as cut off
    :return: an iterator over the records
    :raises EOFError: there is no header, or the file is cut short
    :raises ValueError: the file is not valid CSV, or a value is not of its column's type
    """
    columns = {column.name: column for column in table.columns} if table else {}
    with io.TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline="") as text:
        records = _ended(split_records(text)) if suspicious else split_records(text)
        first = next(records, "")
        declared = declared_separator(first)
        header = _header(next(records, "") if declared else first, declared)
        for number, record in enumerate(records, 3 if declared else 2):
            if (fields := _fields(record, number, header)) is None:
                continue
            yield {
                name: _typed(columns[name], field, number) if field is not None and name in columns else field
                for name, field in zip(header.names, fields, strict=True)
            }


def _ended(records: Iterator[str]) -> Iterator[str]:
    for number, record in enumerate(records, 1):
        if not record.endswith("\n"):
            msg = f"the file ends in the middle of record {number}: its size is not the one in the receipt"
            raise EOFError(msg)
        yield record


def _header(record: str, declared: str | None) -> _Header:
    separator = declared or separator_of(record)
    found = split_fields(record, separator)
    _refuse_undecoded(found, "the header")
    names = [(name or "").strip() for name in found]
    while names and not names[-1]:
        names.pop()
    if not names:
        msg = "the file has no header"
        raise EOFError(msg)
    for place, name in enumerate(names):
        if name in names[:place]:
            which = f"the column {name!r}" if name else "no column"
            msg = f"the header names {which} in two places, {names.index(name) + 1} and {place + 1}"
            raise ValueError(msg)
    return _Header(names, len(found), separator)


def _fields(record: str, number: int, header: _Header) -> list[str | None] | None:
    """Return the fields of a record, one for each name; ``None`` for an empty line."""
    try:
        fields = split_fields(record, header.separator)
    except ValueError as exc:
        msg = f"record {number}: {exc}"
        raise ValueError(msg) from None
    if not record.isascii():
        _refuse_undecoded(fields, f"record {number}", header.names)
    if len(fields) == len(header.names):
        return fields
    return _without_nameless(fields, number, header) if record.strip() else None


def _without_nameless(fields: list[str | None], number: int, header: _Header) -> list[str | None]:
    count = len(header.names)
    if not count <= len(fields) <= header.width:
        msg = f"record {number} has {len(fields)} fields, and the header has {header.width}"
        raise ValueError(msg)
    for place, field in enumerate(fields[count:], count + 1):
        if field is not None:
            msg = f"record {number} has a value in column {place}, which has no name in the header"
            raise ValueError(msg)
    return fields[:count]


def _refuse_undecoded(fields: Sequence[str | None], whose: str, names: Sequence[str] = ()) -> None:
    for place, field in enumerate(fields):
        if field and _UNDECODED.search(field):
            which = repr(names[place]) if place < len(names) else place + 1
            msg = f"column {which} of {whose} is not UTF-8: save the file as CSV in UTF-8"
            raise ValueError(msg)


def _typed(column: Column, text: str, number: int) -> Any:
    try:
        return restore(column, text)
    except (KeyError, ValueError, msgspec.MsgspecError, TypeError, AttributeError):
        # Without the message of the cause: it quotes the text, which may be personal data.
        msg = f"column {column.name!r} of record {number} does not hold a value of type {column.type}"
        raise ValueError(msg) from None
