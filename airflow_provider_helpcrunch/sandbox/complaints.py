"""Complaints of HelpCrunch's validator about a value; by its wording it is Symfony's."""

from __future__ import annotations

import re
from typing import Any

BLANK = "This value should not be blank."
NUMERIC = "This value should be of type numeric."
STRING = "This value should be of type string."
BOOL = "This value should be of type bool."
ARRAY = "This value should be of type array."
CHOICE = "The value you selected is not a valid choice."
INVALID = "This value is not valid."


def integer(value: Any) -> int | None:
    """Return the integer that a value is, digits in a string included; ``None`` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    return None


def number(value: Any) -> str | None:
    """Return what is wrong with a required integer, if anything."""
    if value is None or value == "":
        return BLANK
    return NUMERIC if integer(value) is None else None


def in_range(value: Any, least: int, most: int | None) -> str | None:
    """
    Return what is wrong with an integer that has bounds, if anything.

    :param least: 0 or 1
    :param most: ``None`` for no bound
    """
    read = integer(value)
    if read is None:
        return NUMERIC
    if read < least:
        return "This value should be positive." if least else "This value should be either positive or zero."
    if most is not None and read > most:
        return f"This value should be less than or equal to {most}."
    return None
