"""Answers as values: listings, objects and the documented errors, before they meet the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_helpcrunch.sandbox.settings import Errors, Total

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
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def encode(payload: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(payload, separators=(",", ":")).encode()


def listing(rows: list[bytes], total: int, style: Total) -> Answer:
    """
    Return a page of a list endpoint.

    :param rows: its records, encoded
    :param total: how many records there are
    :param style: how the total is told, or how many to add to it
    """
    root = b',"total":%d' % total
    told = {
        "exact": b',"meta":{"total":%d}' % total,
        "missing": b"",
        "zero": b',"meta":{"total":0}',
        "string": b',"meta":{"total":"%d"}' % total,
        "low": b',"meta":{"total":%d}' % (total // 2),
        "high": b',"meta":{"total":%d}' % (total * 3 // 2),
        "root": root,
    }
    meta = b',"meta":{"total":%d}' % (total + style) if isinstance(style, int) else told[style]
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
