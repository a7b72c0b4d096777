"""HTTP responses of HelpCrunch, as values or typed errors."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_helpcrunch.client.json_text import NotJSONError, decode
from airflow_provider_helpcrunch.exceptions import (
    ApiErrorDetail,
    HelpCrunchApiError,
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchNotFoundError,
    HelpCrunchRateLimitError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_helpcrunch.client.redaction import Redactor

log = logging.getLogger(__name__)
T = TypeVar("T")

MOST_ERRORS = 20
MOST_PLACES = 20
"""Broken texts of one response that the log names; it only counts any further ones."""

ADVICE = {
    401: "Check the API key (Settings → Developers → Public API in HelpCrunch).",
    403: "Check the API key (Settings → Developers → Public API in HelpCrunch).",
    404: "If nothing at all is found, check the API URL: it ends in /v1.",
}

FIREWALL = f"{ADVICE[403].removesuffix('.')}, and whether a firewall or proxy refuses this machine."


@dataclass(frozen=True, slots=True)
class Response:
    """
    One complete HTTP response and the request it belongs to.

    :param method: HTTP method of the request
    :param path: path of the request below the base URL
    :param attempts: how many times the request has been sent so far
    :param status: HTTP status
    :param headers: HTTP headers, case-insensitive
    :param body: decompressed body
    :param redact: removes the API key from texts
    """

    method: str
    path: str
    attempts: int
    status: int
    # No repr: tracebacks with local variables would print what the server echoes.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    redact: Redactor

    def parsed(self, parse: Callable[[Any], T], *, plain: bool = False) -> T:
        """
        Return the decoded JSON body as ``parse`` converts it.

        Broken text does not spoil the rest: U+FFFD replaces unreadable characters, and the log names the record.

        :param parse: checks and converts the body; raises ``ValueError`` if the body is wrong
        :param plain: accept plain text, such as a bare ``Ok``, as a string, and no body as ``None`` (``False``)
        :raises HelpCrunchApiError: the status is not 2xx
        :raises HelpCrunchResponseError: the body is not JSON, or ``parse`` refused it
        """
        if not 200 <= self.status < 300:
            raise self._status_error()
        problem = ""
        try:
            return parse(self._decoded_or_text() if plain else self._decoded())
        except (NotJSONError, RecursionError):
            problem = f"with {self._kind()}, not JSON"
        except ValueError as error:
            problem = self.redact(error)
        # Raised here, outside the handlers, so that no library error with a piece of the body is chained to it.
        msg = f"{self.method} {self.path}: HelpCrunch answered {self.status}, but {problem}."
        raise HelpCrunchResponseError(msg, method=self.method, path=self.path, attempts=self.attempts)

    def _decoded(self) -> Any:
        value, broken = decode(self.body)
        if broken:
            more = f" and {len(broken) - MOST_PLACES} more" if len(broken) > MOST_PLACES else ""
            log.warning(
                "%s %s: HelpCrunch sent broken text in %s%s. U+FFFD stands for what cannot be read.",
                self.method,
                self.path,
                ", ".join(map(self.redact, broken[:MOST_PLACES])),
                more,
            )
        return value

    def _decoded_or_text(self) -> Any:
        """Decode the body, which may be text; but not a page of a proxy, nor JSON that was cut off."""
        body = self.body.strip()
        try:
            return self._decoded() if body else None
        except NotJSONError:
            if body[:1] in (b"<", b"{", b"[", b'"') or not body.isascii():
                raise
            return body.decode()

    def _status_error(self) -> HelpCrunchApiError:
        errors = self._errors()
        said = "; ".join(str(detail).removesuffix(".") for detail in errors[:5]) or f"with {self._kind()}"
        if 300 <= self.status < 400:
            said = f"with a redirect to {self.redact(self.headers.get('Location') or 'nowhere')}, which is not followed"
        msg = " ".join(
            [
                f"{self.method} {self.path}: HelpCrunch answered {self.status}: {said}.",
                self._advice(errors),
            ]
        ).rstrip()
        if self.status == 429:
            return HelpCrunchRateLimitError(
                msg, waited=0.0, retry_after=self.retry_after(), errors=errors, **self._place()
            )
        error = _error_class(self.status)(msg, status_code=self.status, errors=errors, **self._place())
        if isinstance(error, HelpCrunchServerError):
            error.retry_after = self.retry_after()
        return error

    def _advice(self, errors: tuple[ApiErrorDetail, ...]) -> str:
        if self.status == 404 and self.method == "PUT":
            return ""
        if self.status == 403 and not errors:  # a page of a firewall; HelpCrunch itself gives a reason
            return FIREWALL
        return ADVICE.get(self.status, "")

    def _place(self) -> dict[str, Any]:
        return {"method": self.method, "path": self.path, "attempts": self.attempts}

    def _errors(self) -> tuple[ApiErrorDetail, ...]:
        """Return every element of the documented envelope; it is the same in both editions of the documentation."""
        try:
            body, _ = decode(self.body)
        except NotJSONError:
            return ()
        return error_details(body, self.redact)

    def _kind(self) -> str:
        content_type = self.headers.get("Content-Type", "").split(";")[0] or "no content type"
        return f"{len(self.body)} bytes of {self.redact(content_type)}" if self.body else "an empty body"

    def retry_after(self) -> float | None:
        """Return the seconds of a usable ``Retry-After`` header, a number or an HTTP date; else ``None``."""
        value = self.headers.get("Retry-After", "").strip()
        try:
            seconds = float(value)
        except (ValueError, OverflowError):
            try:
                seconds = _seconds_of(value) - self._server_time()
            except (ValueError, OverflowError):
                return None
        return max(seconds, 0.0) if math.isfinite(seconds) else None

    def _server_time(self) -> float:
        try:
            return _seconds_of(self.headers.get("Date", ""))
        except (ValueError, OverflowError):
            return time.time()


def _seconds_of(date: str) -> float:
    """Return an HTTP date as UNIX time. It is in GMT, also where it does not say so."""
    moment = parsedate_to_datetime(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def error_details(body: Any, redact: Callable[[object], str]) -> tuple[ApiErrorDetail, ...]:
    """
    Read the documented error envelope ``{"errors": [{"code", "message"}, …]}``.

    :param body: decoded JSON of any shape
    :param redact: removes the API key from texts
    :return: its elements in order, twenty at most; empty if there is no such envelope
    """
    errors = body.get("errors") if isinstance(body, dict) else None
    elements = errors if isinstance(errors, list) else [errors] if errors else []
    return tuple(
        ApiErrorDetail(redact(element.get("code", "")), redact(element.get("message", "")))
        if isinstance(element, dict)
        else ApiErrorDetail("", redact(element))
        for element in elements[:MOST_ERRORS]
    )


def _error_class(status: int) -> type[HelpCrunchApiError]:
    if status in (401, 403):
        return HelpCrunchAuthError
    if status == 404:
        return HelpCrunchNotFoundError
    if status >= 500 or status == 408:
        return HelpCrunchServerError
    return HelpCrunchBadRequestError if 400 <= status < 500 else HelpCrunchApiError
