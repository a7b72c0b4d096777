"""Operator arguments after templating, where every value may have become text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def refused(msg: str) -> Exception:
    """Return the error for a wrong argument; nothing has been sent or written yet."""
    from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

    return HelpCrunchConfigurationError(msg)


def whole_number(name: str, value: Any, *, low: int, high: int) -> int:
    """
    Return a number that may have been rendered as text.

    :param name: the argument, for the message
    :param value: an ``int`` or its text
    :param low: smallest allowed value
    :param high: largest allowed value
    :raises HelpCrunchConfigurationError: not a whole number, or outside the range
    """
    try:
        number = int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        msg = f"{name} must be a whole number from {low} to {high}, not {value!r}."
        raise refused(msg)
    return number


def names(name: str, value: Any) -> frozenset[str]:
    """
    Return a set of names, given as a list, as one name, or as the JSON text of a list (what ``| tojson`` renders).

    :param name: the argument, for the message
    :param value: what the user gave
    :raises HelpCrunchConfigurationError: empty, or not names
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            msg = (
                f"{name} was rendered to {value!r}, no JSON list; write {{{{ … | tojson }}}} in the template."
            )
            raise refused(msg) from None
    # A mapped task upstream gives a lazy sequence of Airflow's own.
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict))
    found = list(value) if several else [value]
    if not all(isinstance(item, str) and item.strip() for item in found):
        msg = f"{name} must be a list of names, not {value!r}."
        raise refused(msg)
    if not found:
        msg = f"{name} is empty, which would select nothing; leave it out to select everything."
        raise refused(msg)
    return frozenset(item.strip() for item in found)
