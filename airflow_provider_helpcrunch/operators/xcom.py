"""Limits of XCom: the size of a result, and the texts that Airflow's database refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchXComSizeError, HelpCrunchXComTextError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_helpcrunch.schema import Record

ADVICE = "Set output_path, such as records.jsonl or s3://bucket/records.jsonl.gz, and give downstream tasks that path."

_NUL = "\\u0000"
"""U+0000 as JSON writes it. A backslash before ``u0000`` looks similar, so a match needs a closer look."""


def fit_for_xcom(records: Iterable[Record], limit: int) -> Iterator[Record]:
    """
    Yield the records as long as XCom can hold them.

    :param records: the records of a result
    :param limit: largest size, in bytes of JSON
    :raises HelpCrunchXComSizeError: the records exceed the limit
    :raises HelpCrunchXComTextError: a text of a record contains U+0000
    """
    size = 2
    for count, record in enumerate(records, start=1):
        written = json.dumps(record)
        size += len(written) + 2
        if size > limit:
            msg = (
                f"The result passes max_xcom_bytes ({limit}) at record {count}: too large for XCom. {ADVICE}"
            )
            raise HelpCrunchXComSizeError(msg)
        if _NUL in written and (field := nul_in(record)) is not None:
            msg = (
                f"Record {record.get('id')} holds the character U+0000 in {field}: PostgreSQL, and so XCom, takes no "
                f"such text. {ADVICE}"
            )
            raise HelpCrunchXComTextError(msg)
        yield record


def unfit_for_xcom(changes: list[Record], limit: int) -> str | None:
    """
    Return why a list of changes cannot go to XCom. This must not raise, because the changes have been made.

    :param changes: the list
    :param limit: largest size, in bytes of JSON
    :return: the reason, as the end of a sentence; ``None`` if XCom can hold the list
    """
    written = json.dumps(changes)
    if len(written) > limit:
        return f"is larger than max_xcom_bytes ({limit})"
    for change in changes if _NUL in written else ():
        if (field := nul_in(change)) is not None:
            return f"holds the character U+0000 at chat {change['id']} ({field}), which XCom does not take"
    return None


def nul_in(value: Any) -> str | None:
    """
    Find U+0000 in a value; PostgreSQL cannot store it.

    :param value: any JSON value
    :return: the field that contains it, such as ``customer.name``; ``None`` if no field does
    """
    return next(_nuls(value, ""), None)


def _nuls(value: Any, field: str) -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield field or "its text"
    elif isinstance(value, dict):
        for name, item in value.items():
            here = f"{field}.{name}".removeprefix(".")
            if "\0" in name:
                yield "the name of a field" + (f" of {field}" if field else "")
            yield from _nuls(item, here)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _nuls(item, f"{field}.{number}".removeprefix("."))
