"""Ids and counts, read from every form in which the API and users write them."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.plurals import quoted

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.schema import Record


def integer_from(value: Any) -> int | None:
    """
    Return the integer that a value is, also one of NumPy's, as data frames have them.

    :param value: from a response, a file or a user
    :return: the integer; ``None`` for everything else, ``True`` and ``False`` included
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return operator.index(value)
    except TypeError:  # of NumPy's true and false, and of arrays
        return None


def number_from(value: Any) -> int | None:
    """
    Return a whole number that is given as an integer, as its digits, or as a float without a fraction.

    :param value: from a response, a file or a user
    :return: the number, from 0 to what 64 bits hold; ``None`` for everything else, ``True`` and ``False`` included
    """
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20
    if is_digits or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    number = integer_from(value)
    return number if number is not None and 0 <= number < 2**63 else None


def check_id(name: str, value: Any) -> int:
    """
    Return an id that may have been written as text.

    :param name: name of the argument, for the message
    :param value: a positive integer or its digits
    :raises HelpCrunchConfigurationError: it is neither
    """
    number = None if isinstance(value, float) else number_from(value)
    if not number:
        msg = f"{name} must be a HelpCrunch id, a whole number above 0, not {quoted(value)}."
        raise HelpCrunchConfigurationError(msg)
    return number


def id_of(value: Any) -> int | None:
    """
    Return the id of a record, which may be an id alone.

    :param value: a record, its id, or ``None``
    :return: the id; ``None`` if there is none or it is unreadable
    """
    return number_from(value.get("id") if isinstance(value, Mapping) else value)


REFERENCES = (
    "agent",
    "agents",
    "applicationId",
    "assignee",
    "chat",
    "customer",
    "department",
    "lastCommunicatedAgentId",
    "lastMessageId",
)
"""Fields of a record that are ids of other records, or such records."""


def with_integer_ids(record: Record) -> Record:
    """
    Return a record whose ``id`` and ``REFERENCES`` are integers, also where HelpCrunch writes ids as text.

    :param record: a record with an id that can be read
    """
    if type(record["id"]) is int:
        return record
    references = {name: _with_integer_id(record[name]) for name in REFERENCES if name in record}
    return {**record, "id": id_of(record), **references}


def _with_integer_id(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_integer_id(each) for each in value]
    number = id_of(value)
    if number is None:
        return value
    return {**value, "id": number} if isinstance(value, dict) else number


def id_in(record: Mapping[str, Any], field: str) -> int | None:
    """
    Return the id of a nested record such as a chat's ``assignee``.

    :param record: the record
    :param field: the field of the nested record
    :return: the id; ``None`` only if the API says ``null``, or 0, which is no id
    :raises HelpCrunchResponseError: the field is missing, or holds no id
    """
    value = record.get(field)
    number = id_of(value)
    if number is None and (value is not None or field not in record):
        msg = f"HelpCrunch sent record {id_of(record)} without a readable {field}."
        raise HelpCrunchResponseError(msg)
    return number or None
