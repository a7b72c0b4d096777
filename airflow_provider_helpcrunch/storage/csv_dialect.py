"""
CSV dialect: RFC 4180 in UTF-8, with a header. Spreadsheets of some countries separate fields with ``;`` or a tab
instead of a comma, some end a line with only a carriage return, and some files declare their separator in a line before
the header (``sep=;``); these are read too.

A null is an empty field and an empty text is a quoted one (``""``), as in PostgreSQL's ``COPY`` and in DuckDB. Python's
own ``csv`` module cannot distinguish the two before version 3.12.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

_SPECIAL = re.compile(r'[,"\r\n]')
_QUOTED = re.compile('"[^"]*"')
_DECLARATION = re.compile('"?sep=([,;\t])"?\r?\n?', re.IGNORECASE)
_FIELD = {
    separator: re.compile(
        rf'(?:"([^"]*(?:""[^"]*)*)"|([^{separator}"\r\n]*))({separator}|\r?\n?\Z)',
    )
    for separator in ",;\t"
}


def join_fields(values: Iterable[Any]) -> str:
    """
    Return one record as a line of CSV.

    :param values: texts, whole numbers, truth values, dates in UTC, dictionaries and lists (written as JSON), ``None``
    :return: the record with its line end
    """
    return ",".join([_field(value) for value in values]) + "\r\n"


def declared_separator(record: str) -> str | None:
    """
    Return the separator that a line before the header declares, as in ``sep=;``, which Excel reads.

    :param record: the first record of the file
    :return: the separator; ``None`` if the record is the header
    """
    declaration = _DECLARATION.fullmatch(record)
    return declaration and declaration[1]


def separator_of(header: str) -> str:
    """
    Find the separator of a file's fields.

    :param header: the first record of the file
    :return: a comma; if the header has none, a semicolon or a tab
    """
    unquoted = _QUOTED.sub("", header)
    return next((each for each in _FIELD if each in unquoted), ",")


def split_fields(record: str, separator: str = ",") -> list[str | None]:
    """
    Split one record into its fields.

    :param record: the record, with or without its line end
    :param separator: the separator of the fields (a comma)
    :return: the texts of its fields; ``None`` for a field that is empty and not quoted
    :raises ValueError: the record is not valid CSV
    """
    fields: list[str | None] = []
    position = 0
    field = _FIELD[separator].match
    while match := field(record, position):
        quoted, bare, end = match.groups()
        fields.append(bare or None if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if end != separator:
            return fields
    msg = f"field {len(fields) + 1} is not quoted as in RFC 4180"
    raise ValueError(msg)


def split_records(lines: Iterable[str]) -> Iterator[str]:
    """
    Join the lines of each record; a quoted field may contain line ends.

    :param lines: the lines of a file, with their ends
    :return: an iterator over the records; only the last one may have no line end
    :raises EOFError: the file ends inside of quotes
    """
    pending: list[str] = []
    count = 0
    inside = False
    for line in lines:
        # A complete record has an even number of quotes: two around a field, and those inside it are doubled.
        inside ^= line.count('"') % 2 == 1
        pending.append(line)
        if not inside:
            yield "".join(pending)
            pending.clear()
            count += 1
    if pending:
        msg = f"the file ends in the middle of record {count + 1}, inside of quotes"
        raise EOFError(msg)


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value) if value == "" or _SPECIAL.search(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict | list):
        return _quoted(msgspec.json.encode(_with_dates_as_text(value)).decode())
    return _date(value)


def _quoted(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _date(value: datetime) -> str:
    return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _with_dates_as_text(value: Any) -> Any:
    """Write the dates inside a JSON value as they are written in a field of their own."""
    if isinstance(value, dict):
        return {name: _with_dates_as_text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_dates_as_text(item) for item in value]
    return value if value is None or isinstance(value, str | int) else _date(value)
