"""Operator arguments after templating, where every value may have become text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow_provider_helpcrunch.plurals import quoted

_PYTHON_OBJECT = re.compile(r"(\w*\()+['\"\d\[{)]|<")
"""Text of a tuple, a set or another Python object, as a template renders it. JSON and lists look different."""


def refused(msg: str) -> Exception:
    """
    Return the error for a wrong argument; nothing has been sent or written yet.

    :param msg: the message
    """
    from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

    return HelpCrunchConfigurationError(msg)


def whole_number(name: str, value: Any, *, low: int, high: int) -> int:
    """
    Return a number that may have been rendered as text.

    :param name: the argument, for the message
    :param value: an integer or its text
    :param low: smallest allowed value
    :param high: largest allowed value
    :raises HelpCrunchConfigurationError: not a whole number, or outside the range
    """
    from airflow_provider_helpcrunch.client.ids import integer_from

    try:
        number = int(value) if isinstance(value, str) else integer_from(value)
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        msg = f"{name} must be a whole number from {low} to {high}, not {quoted(value)}."
        raise refused(msg)
    return number


def seconds(name: str, value: Any, *, high: int) -> float:
    """
    Return a length of time, given as a ``timedelta``, as seconds, or as the text of seconds.

    :param name: the argument, for the message
    :param value: what the user gave
    :param high: most seconds allowed
    :raises HelpCrunchConfigurationError: it is none of these, 0 or less, or longer than allowed
    """
    try:
        if isinstance(value, timedelta):
            found = value.total_seconds()
        else:
            found = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found <= high:
        msg = f"{name} must be a timedelta or a number of seconds above 0 and at most {high}, not {quoted(value)}."
        raise refused(msg)
    return found


def names(name: str, value: Any, *, selects: bool = True) -> frozenset[str]:
    """
    Return a set of names, given in any of the forms of :func:`items`.

    :param name: the argument, for the message
    :param value: what the user gave
    :param selects: whether they say which records are selected, for the message (``True``)
    :raises HelpCrunchConfigurationError: empty, or not names
    """
    found = items(name, value)
    if not all(isinstance(item, str) and item.strip() not in ("", "None") for item in found):
        msg = f"{name} must be a list of names, not {quoted(value)}."
        raise refused(msg)
    if not found and not selects:
        msg = f"{name} is empty: give at least one name, or leave it out."
        raise refused(msg)
    if not found:
        msg = f"{name} is empty, which would select nothing; leave it out to select everything."
        raise refused(msg)
    return frozenset(item.strip() for item in found)


def flag(name: str, value: Any) -> bool:
    """
    Return a switch that may have been rendered as text.

    :param name: the argument, for the message
    :param value: a ``bool`` or its text
    :raises HelpCrunchConfigurationError: it is neither true nor false
    """
    known = {"true": True, "false": False}
    found = value if isinstance(value, bool) else known.get(str(value).strip().lower())
    if found is None:
        msg = f"{name} must be true or false, not {quoted(value)}."
        raise refused(msg)
    return found


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """
    Return one of several words.

    :param name: the argument, for the message
    :param value: what the user gave
    :param allowed: the words
    :raises HelpCrunchConfigurationError: it is none of them
    """
    words = list(allowed)
    if value not in words:
        msg = f"{name} must be {', '.join(words[:-1])} or {words[-1]}, not {quoted(value)}."
        raise refused(msg)
    return str(value)


def items(name: str, value: Any) -> list[Any]:
    """
    Return several values, given as a list, as the JSON text of one, as text with commas between them, or as one value.

    :param name: the argument, for the message
    :param value: what the user gave; Airflow's lazy sequence of a mapped task upstream is a list too
    :raises HelpCrunchConfigurationError: the text is empty, begins like JSON but is invalid, or shows a Python object
    """
    value = from_text(name, value)
    if isinstance(value, str):
        text = value.strip()
        if not text or text == "None":
            msg = f"{name} was rendered to {quoted(value)}: the template or upstream task behind it gave no value."
            raise refused(msg)
        if _PYTHON_OBJECT.match(text):
            msg = (
                f"{name} was rendered to {quoted(text)}, which is not a list: write {{{{ … | tojson }}}} in the "
                "template."
            )
            raise refused(msg)
        value = [part.strip() for part in text.split(",")] if "," in text else [text]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict)):
        return list(value)
    return [value]


def from_text(name: str, value: Any) -> Any:
    """
    Return the list or object in a JSON text, as a template renders it; any other value as it is.

    :param name: the argument, for the message
    :param value: what the user gave
    :raises HelpCrunchConfigurationError: a text begins like JSON, but is invalid
    """
    is_json = isinstance(value, str) and value.lstrip().startswith(("[", "{"))
    return from_json(name, value) if is_json else value


def is_file(value: Any) -> bool:
    """
    Say whether a value is a file: an ``ObjectStoragePath``, or the receipt of a task that wrote one.

    :param value: what the user gave, and is no text
    """
    return hasattr(value, "open") or (isinstance(value, dict) and "path" in value)


def is_file_rather_than_ids(value: Any) -> bool:
    """
    Say whether a value is a file, in an argument that may also hold ids: a file has a suffix, an id no dot or slash.

    :param value: what the user gave; of JSON text, its value
    """
    return ("." in value or "/" in value) if isinstance(value, str) else is_file(value)


def from_json(name: str, text: str) -> Any:
    """
    Return the value of a JSON text.

    :param name: the argument, for the message
    :param text: the JSON text

    :raises HelpCrunchConfigurationError: it is not JSON
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the former also for a number of thousands of digits
        msg = f"{name} was rendered to {quoted(text)}, which is not JSON: write {{{{ … | tojson }}}} in the template."
        raise refused(msg) from None


def text(name: str, value: Any) -> str:
    """
    Return a text; a number, to which a template may have turned one, is its digits.

    :param name: the argument, for the message
    :param value: what the user gave
    :raises HelpCrunchConfigurationError: it is neither, or empty, or holds half of a surrogate pair
    """
    is_number = isinstance(value, int) and not isinstance(value, bool)
    found = str(value).strip() if isinstance(value, str) or is_number else ""
    if found in ("", "None"):
        msg = f"{name} must be a text that is not empty, not {quoted(value)}."
        raise refused(msg)
    if not found.isascii() and any("\ud800" <= letter <= "\udfff" for letter in found):
        # HelpCrunch would store another text, by which what was sent could not be recognized.
        msg = f"{name} holds half of a character, such as an emoji that was cut in two: {found[-50:]!r}."
        raise refused(msg)
    return found


def filter_list(value: Any) -> list[Any]:
    """
    Return the filters of a search; what each of them says is checked with the other conditions.

    :param value: a list of filters, or its JSON text
    :raises HelpCrunchConfigurationError: it is neither
    """
    given = from_json("filters", value) if isinstance(value, str) else value
    if isinstance(given, (str, dict)) or not hasattr(given, "__iter__"):
        msg = f"filters must be a list of objects with field, operator and value, not {quoted(given)}."
        raise refused(msg)
    return list(given)


def record_id(name: str, value: Any, *, several: bool = False) -> int:
    """
    Return an id, given as a number, as text, or as a record that has it, such as an agent of ``ListAgentsOperator``.

    :param name: the argument, for the message
    :param value: what the user gave
    :param several: whether the argument may hold several ids, for the message
    :raises HelpCrunchConfigurationError: there is no id
    """
    from airflow_provider_helpcrunch.client.ids import number_from

    found = value.get("id") if isinstance(value, dict) else value
    number = None if isinstance(found, float) else number_from(found)
    if not number:
        more = ", several, or records with an id" if several else ""
        msg = f"{name} must be a HelpCrunch id (a whole number above 0){more}, not {quoted(value)}."
        raise refused(msg)
    return number
