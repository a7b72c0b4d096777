"""A call of any endpoint: its arguments, checked before it is sent, and whether it is idempotent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.response import error_details
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SEARCHES = ("/chats/search", "/customers/search")

_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)+/?")
"""Plain segments without dot segments: no address, query, fragment or escape can hide in one."""


def is_idempotent(method: str, path: str) -> bool:
    """
    Return whether a request may safely reach HelpCrunch twice.

    By the HTTP method, with these exceptions: a search is a read, although it is a ``POST``; the ``PATCH`` of a
    customer sets values, so a second one changes nothing; a chat that is rated cannot be rated again, although that is
    a ``PUT``; unsubscribing an agent is a change, although it is a ``GET``, and the documentation does not say what a
    second one does.

    :param method: HTTP method, in capitals
    :param path: path below the base URL
    """
    path = path.rstrip("/")
    if method == "GET":
        return re.fullmatch(r"/agents/[^/]+/unsubscribe", path) is None
    if method == "POST":
        return path in SEARCHES
    if method == "PATCH":
        return re.fullmatch(r"/customers/[^/]+", path) is not None
    return path != "/chats/rate"


def check_method(method: Any) -> str:
    """
    Return an HTTP method in capitals.

    :param method: the method
    :raises HelpCrunchConfigurationError: there is no such method
    """
    word = str(method).upper()
    if word not in METHODS:
        msg = f"method must be one of {', '.join(METHODS)}, not {quoted(method)}."
        raise HelpCrunchConfigurationError(msg)
    return word


def check_path(path: Any, redact: Callable[[object], str]) -> str:
    """
    Return a path below the base URL.

    :param path: the path
    :param redact: removes the API key from texts; a path that holds it is refused
    :raises HelpCrunchConfigurationError: it is not a plain path
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path) or redact(path) != path:
        msg = (
            "path must be a path below the API URL, such as /customers/42, with the query in params instead; "
            f"not {redact(repr(path))}."
        )
        raise HelpCrunchConfigurationError(msg)
    return path


def check_body(body: Any) -> Any:
    """
    Return a request body that JSON can express.

    :param body: the body
    :raises HelpCrunchConfigurationError: JSON has no such value
    """
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"json must be a value that JSON can express ({error})."
    else:
        return body
    raise HelpCrunchConfigurationError(msg)


def content_in(payload: Any) -> Any:
    """
    Return a decoded body as it is.

    :param payload: decoded JSON, text or ``None``
    :raises ValueError: it reports errors; the message continues "HelpCrunch answered 200, but"
    """
    if errors := error_details(payload, str):
        msg = f"the body reports errors: {'; '.join(map(str, errors[:5]))}"
        raise ValueError(msg)
    return payload


def nothing_in(payload: Any) -> None:
    """
    Accept any body that reports no errors: the documentation shows ``Ok``, but not how it is written.

    :param payload: decoded JSON, text or ``None``
    :raises ValueError: it reports errors; the message continues "HelpCrunch answered 200, but"
    """
    content_in(payload)
