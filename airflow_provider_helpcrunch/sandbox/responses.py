"""Responses as values: listings, objects and the documented errors, before they meet the wire."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_helpcrunch.sandbox.settings import Errors, Ok, SearchTotal, Total

Ending: TypeAlias = Literal["whole", "reset", "close", "truncate", "hang", "drip"]

JSON = "application/json"
HTML = "text/html; charset=utf-8"
HTML_PAGE = b"<!DOCTYPE html><html><head><title>HelpCrunch</title></head><body>Please wait</body></html>"

# https://docs.helpcrunch.com/en/rest-api-v1/api-setup-v1, in its newer and in its older edition
_NEW_ERRORS = {401: "unauthorized", 404: "not_found", 429: "too_many_requests"}
_OLD_ERRORS = {
    400: ("invalid_chat_value", "Invalid request"),
    401: ("invalid_token", "Invalid token"),
    404: ("entity_not_found", "Not found"),
    429: ("too_many_requests", "You have exceeded your requests limit"),
}
_STATUSES = {status.value for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One HTTP response, and how it reaches the client.

    :param applied: the request changed the account
    :param ending: ``whole``, or a wire fault: ``reset`` and ``close`` (nothing arrives, the connection ends by RST or
        FIN), ``truncate`` (half of the body, then the connection ends), ``hang`` (nothing ever arrives) or ``drip``
        (byte by byte)
    :param pause: seconds before each byte of a ``drip``
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    applied: bool = False
    ending: Ending = "whole"
    pause: float = 0.0


def encode(payload: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(payload, separators=(",", ":")).encode()


def listing(rows: list[bytes], total: int, style: Total, place: SearchTotal = "meta") -> Answer:
    """
    Return a page of a list endpoint.

    :param rows: its records, encoded
    :param total: how many records there are
    :param style: how the total is given, or how many to add to it; the style ``root`` overrules the place
    :param place: where it stands: in ``meta``, or at the ``root`` beside ``data``
    """
    totals = {
        "exact": b"%d" % total,
        "root": b"%d" % total,
        "zero": b"0",
        "string": b'"%d"' % total,
        "low": b"%d" % (total // 2),
        "high": b"%d" % (total * 3 // 2),
    }
    tail = b',"total":%s' if "root" in (place, style) else b',"meta":{"total":%s}'
    number = b"%d" % (total + style) if isinstance(style, int) else totals.get(style, b"")
    meta = tail % number if number else b""
    return Answer(200, b'{"data":[%s]%s}' % (b",".join(rows), meta))


def error(status: int, generation: Errors, details: Mapping[str, str] | None = None) -> Answer:
    """
    Return an error in the documented shape of one generation of the API.

    :param status: the HTTP status
    :param generation: ``new`` (a generic element first, then the specific ones) or ``old`` (one element)
    :param details: messages by code, in place of the usual ones of this status
    """
    phrase = HTTPStatus(status).phrase if status in _STATUSES else f"Status {status}"
    words = phrase.lower().replace(" ", "_")
    if generation == "old":
        usual = dict([_OLD_ERRORS.get(status, (words, phrase))])
        elements = details or usual
    else:
        usual = {} if status == 400 else {_NEW_ERRORS.get(status, words): phrase.capitalize()}
        elements = {"invalid_request": "Invalid request", **(usual if details is None else details)}
    body = [{"code": code, "message": message} for code, message in elements.items()]
    return Answer(status, encode({"errors": body}))


def invalid(generation: Errors, complaints: Mapping[str, str], resource: str = "chat") -> Answer:
    """
    Return a 400.

    :param generation: ``new`` names every field, ``old`` the first one and not what is wrong with it
    :param complaints: the words of the validator, by the path of the field
    :param resource: the kind of record that the request is about; the old code of anything but a chat names the field
    """
    if generation == "new":
        return error(400, generation, complaints)
    named = next(iter(complaints), None)
    message = {None: "Invalid request", "id": "Invalid chat ID"}.get(named, f"{named} value is invalid")
    word = re.search(r"[A-Za-z]\w*", named or "")
    code = f"invalid_{word[0]}_value" if word and resource != "chat" else "invalid_chat_value"
    return error(400, generation, {code: message})


def chat_missing(generation: Errors, old: str) -> Answer:
    """
    Return a 404 about a chat.

    :param old: the message of the old documentation, which differs by method
    """
    details = {"not_found": "Chat not found"} if generation == "new" else {"chat_not_found": old}
    return error(404, generation, details)


def entity_missing(generation: Errors, name: str) -> Answer:
    """
    Return a 404 about anything but a chat.

    :param name: ``customer``, ``agent``, ``assignee`` or ``department``
    """
    entity = "Agent" if name == "assignee" else name.capitalize()
    code = "not_found" if generation == "new" else "entity_not_found"
    return error(404, generation, {code: f"{entity} not found"})


def done(style: Ok, *, applied: bool = True) -> Answer:
    """Return the response ``Ok``, as a JSON string or as plain text."""
    if style == "text":
        return Answer(200, b"Ok", HTML, applied=applied)
    return Answer(200, b'"Ok"', applied=applied)
