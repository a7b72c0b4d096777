"""Rows of the input: a key by which a customer is found, the fields to set, and the tags to add."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_helpcrunch.client.customer_fields import (
    FLAGS,
    TIMES,
    UPDATE_FIELDS,
    text_from,
    written_fields,
    written_tags,
)
from airflow_provider_helpcrunch.client.ids import number_from
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.privacy import is_hash

KEYS = ("userId", "email", "id")
"""Fields by which a customer can be found."""

ERROR = "error"
"""The column of a rejects file that says why; ignored in an input."""

IGNORED = ("location", "device", ERROR)
"""Columns that may be there and are not written: HelpCrunch finds out the first two by itself."""

COLUMNS = ("id", *UPDATE_FIELDS, *IGNORED)

MISFIT = "#VALUE!"
"""
Begins a text that is no value, as in a cell of a spreadsheet. So a table of rejects marks what was refused for its
type: as a plain text, ``True`` would be the name ``true``.
"""

_EXPECTED = {
    **dict.fromkeys(TIMES, "a time: ISO 8601 or UNIX seconds"),
    **dict.fromkeys(FLAGS, "true or false"),
    "tags": "a list of names, or of objects with name and color",
    "customData": "an object of texts, numbers, true and false",
}


class UnfitError(Exception):
    """A row cannot be applied; the text says why, without a value of the row."""


@dataclass(frozen=True, slots=True)
class Row:
    """
    One row of the input.

    :param number: its place in the input, from 1
    :param key: the value by which its customer is found, comparable with :func:`key_in`; ``None`` if the row is unfit
    :param wanted: the id that the customer must have, if the row says one
    :param fields: the fields to set, as requests write them, without tags
    :param tags: the tags to add, as requests write them
    :param problem: why the row cannot be applied; ``None`` if it can
    """

    number: int
    # No repr of what is personal: tracebacks with local variables would print it.
    key: Any = field(default=None, repr=False)
    wanted: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tags: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    problem: str | None = None

    @classmethod
    def read(cls, number: int, record: Mapping[str, Any], key: str) -> Row:
        """
        Read a record of the input.

        :param number: its place in the input, from 1
        :param record: the record, whose names have been checked
        :param key: the field by which its customer is found
        """
        try:
            found = key_in(record, key)
            for name in UPDATE_FIELDS:
                # The ids of another system may be hashes; by one of ours no customer is found, and none is created.
                if not name == key == "userId":
                    _refuse_hash(name, record.get(name))
            fields = {name: _read(name, record[name]) for name in UPDATE_FIELDS if name in record}
            if key in fields:
                fields[key] = fields[key].strip()
            tags = tuple(fields.pop("tags", None) or ())
            for tag in tags:
                _refuse_hash("tags", tag["name"])
            return cls(number, found, _id_in(record), fields, tags)
        except UnfitError as problem:
            return cls(number, problem=str(problem))


def key_in(record: Mapping[str, Any], key: str) -> Any:
    """
    Return the key of a row or of a customer, so that those of the same customer are equal.

    Upper and lower case make no difference in an email address.

    :param record: the row or the customer
    :param key: ``id``, ``userId`` or ``email``
    :raises UnfitError: there is none
    """
    value = record.get(key)
    if key == "id":
        found: Any = _id_in(record)
    else:
        found = None if _is_misfit(value) else (text_from(value) or "").strip()
    if not found:
        wrong = "has no" if value in (None, "") else "has no readable"
        msg = f"it {wrong} {key}, by which its customer would be found"
        raise UnfitError(msg)
    return found.casefold() if key == "email" else found


def read_alike(name: str, one: Any, other: Any) -> bool:
    """
    Say whether two values mean the same in a row. All that are refused do, and all of a column that is ignored.

    :param name: the column
    :param one: a value
    :param other: another value
    """
    return bool(_meaning(name, one) == _meaning(name, other))


def clears_field(record: Mapping[str, Any], key: str) -> bool:
    """
    Say whether a record clears a field. Tags and custom attributes are only added or changed, and a key is not cleared.

    :param record: the record
    :param key: the field by which its customer is found
    """
    return any(
        name in UPDATE_FIELDS and name not in (key, "tags", "customData") and record[name] in (None, "")
        for name in record
    )


def check_record(number: int, record: Any) -> None:
    """
    Refuse an input that has something else than customers.

    :param number: the place of the record in the input, from 1
    :param record: the record
    :raises HelpCrunchConfigurationError: it is no object, or has a name that a customer has not, NaN, or half of a
        character
    """
    if not isinstance(record, Mapping):
        msg = f"Row {number} of customers must be an object with the fields of a customer, not {type(record).__name__}."
        raise HelpCrunchConfigurationError(msg)
    if unknown := next((name for name in record if name not in COLUMNS), None):
        known = ", ".join(name for name in COLUMNS if name != ERROR)
        msg = f"Row {number} of customers has {quoted(unknown)}, and a customer has no such field; fields are {known}."
        raise HelpCrunchConfigurationError(msg)
    # Data frames have it in empty cells, and no file would give it back.
    if empty := next((name for name, value in record.items() if value != value), None):
        msg = f"Row {number} of customers has NaN as {empty}: leave it out, or write None to clear the field."
        raise HelpCrunchConfigurationError(msg)
    try:
        json.dumps(dict(record), ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        # HelpCrunch would store another text, and no file could hold the row if it is rejected.
        msg = (
            f"Row {number} of customers holds half of a character, such as an emoji that was cut in two. Shorten texts "
            "between characters."
        )
        raise HelpCrunchConfigurationError(msg) from None


def _meaning(name: str, value: Any) -> Any:
    try:
        if name == "id":
            return _id_in({name: value})
        return _read(name, value) if name in UPDATE_FIELDS else None
    except UnfitError:
        return UnfitError


def _id_in(record: Mapping[str, Any]) -> int | None:
    value = record.get("id")
    if value is None or value == "":
        return None
    if not (number := number_from(value)):
        msg = "its id is not a HelpCrunch id, a whole number above 0"
        raise UnfitError(msg)
    return number


def _read(name: str, value: Any) -> Any:
    """Return a value as requests write it; an empty one clears the field."""
    if value is None or value == "":
        return None
    try:
        if _is_misfit(value):
            raise ValueError
        if name == "tags":
            return [_bare(tag) for tag in written_tags(_decoded(value, split=True))]
        if name == "customData":
            value = _decoded(value)
        elif name in FLAGS and isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        return written_fields({name: value})[name]
    except (HelpCrunchConfigurationError, ValueError):
        # Without the value: it is personal data.
        msg = f"{name} must be {_EXPECTED.get(name, 'a text')}"
        raise UnfitError(msg) from None


def _refuse_hash(name: str, value: Any) -> None:
    """Refuse a hash of the argument ``hash``: it would take the place of the value that it was made of."""
    if is_hash(value):
        msg = f"{name} is a hash, which would replace the value in HelpCrunch: leave the column out"
        raise UnfitError(msg)


def _is_misfit(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith(MISFIT)


def _decoded(value: Any, *, split: bool = False) -> Any:
    """Return the value of a JSON text, as CSV and Parquet hold it; or, of a text with commas, its parts."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()] if split else value


def _bare(tag: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tag.items() if value is not None}
