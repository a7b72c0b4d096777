"""
Exceptions of this package.

::

    HelpCrunchError                        an AirflowException; catch this to catch all of them
    ├── HelpCrunchConfigurationError  (!)  a connection field or an argument is wrong; nothing was sent or written
    ├── HelpCrunchApiError                 HelpCrunch answered with an error status that has no class of its own
    │   ├── HelpCrunchBadRequestError (!)  400 and other 4xx: the request itself is wrong
    │   ├── HelpCrunchAuthError       (!)  401, 403: the API key is wrong
    │   ├── HelpCrunchNotFoundError   (!)  404
    │   ├── HelpCrunchRateLimitError       429, or no permit was free, until patience ran out
    │   └── HelpCrunchServerError          5xx until the retries ran out
    ├── HelpCrunchConnectionError          no complete response: name not found, refused, reset, cut short, timed out
    ├── HelpCrunchResponseError            status 200, but not as the API documents it: HTML, not JSON, no records
    ├── HelpCrunchUnconfirmedError         status 200 to a change, but the record sent back does not show it
    ├── HelpCrunchPartialError             some chats could not be changed, or rows applied; all others were
    │   ├── HelpCrunchRefusedError    (!)  … because HelpCrunch refused every one of these (400, 404)
    │   └── HelpCrunchNotesMissingError (!)  … or all were, and only notes are missing that must not be sent again
    ├── HelpCrunchPaginationError          the pages do not join: a complete listing cannot be guaranteed
    ├── HelpCrunchBudgetStoreError         the store of the shared rate limit cannot be used
    ├── HelpCrunchXComSizeError       (!)  the result is too large for XCom; the message names ``output_path``
    ├── HelpCrunchXComTextError       (!)  a text of the result cannot go to XCom; the message names ``output_path``
    ├── HelpCrunchStorageError             an object could not be read or written
    └── HelpCrunchWebhookError        (!)  the body of a webhook is not as the API documents it
        └── HelpCrunchSignatureError  (!)  HelpCrunch did not sign it

``(!)`` marks permanent errors: they are also ``AirflowFailException``, so the task fails at once, without an Airflow
retry. All others are worth a retry.

If Airflow is not installed, plain exceptions stand in for its two classes.

No message, ``repr`` or traceback holds the API key, whatever the server sends back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_helpcrunch._airflow import AirflowException, AirflowFailException


class HelpCrunchError(AirflowException):
    """Base class of all errors of this package. All can be copied and pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Restore the attributes directly: the constructors require keyword arguments."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    cls: type[HelpCrunchError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> HelpCrunchError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class HelpCrunchConfigurationError(HelpCrunchError, AirflowFailException, ValueError):
    """A connection field or an argument is wrong. Nothing was sent or written. Permanent."""


@dataclass(frozen=True, slots=True)
class ApiErrorDetail:
    """
    One element of the ``errors`` array in a HelpCrunch error body.

    :param code: an error identifier (``too_many_requests``) or the path of the offending field (``filter[0].field``)
    :param message: HelpCrunch's own words
    """

    code: str
    message: str

    def __str__(self) -> str:
        """Return ``code: message``, or whichever of them is there."""
        return ": ".join(part for part in (self.code, self.message) if part)


class HelpCrunchApiError(HelpCrunchError):
    """
    HelpCrunch answered with an error status.

    :param message: what happened, in one sentence
    :param status_code: HTTP status; ``None`` if the request was never sent, because no permit was free
    :param errors: every element of the body's ``errors``, in order; empty if the body had none
    :param method: HTTP method of the request
    :param path: path of the request below the base URL, such as ``/agents``
    :param attempts: how many times the request was sent
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None,
        errors: tuple[ApiErrorDetail, ...] = (),
        method: str,
        path: str,
        attempts: int,
    ) -> None:
        super().__init__(message)
        # The type checker objects: AirflowException has a class attribute of this name, for its own web server.
        self.status_code: int | None = status_code  # type: ignore[assignment]
        self.errors = errors
        self.method = method
        self.path = path
        self.attempts = attempts


class HelpCrunchBadRequestError(HelpCrunchApiError, AirflowFailException):
    """HelpCrunch refused the request as such (400 or another 4xx). Permanent."""


class HelpCrunchAuthError(HelpCrunchApiError, AirflowFailException):
    """HelpCrunch refused the API key (401 or 403). Permanent."""


class HelpCrunchNotFoundError(HelpCrunchApiError, AirflowFailException):
    """The requested path or id does not exist (404). Permanent."""


class HelpCrunchRateLimitError(HelpCrunchApiError):
    """
    No request was possible within ``patience``: HelpCrunch kept responding with 429, or no permit was free.

    :param waited: seconds waited in all
    :param retry_after: seconds after which a request may pass, where that is known
    """

    def __init__(
        self,
        message: str,
        *,
        waited: float,
        retry_after: float | None = None,
        status_code: int | None = 429,
        errors: tuple[ApiErrorDetail, ...] = (),
        method: str = "",
        path: str = "",
        attempts: int = 0,
    ) -> None:
        super().__init__(
            message, status_code=status_code, errors=errors, method=method, path=path, attempts=attempts
        )
        self.waited = waited
        self.retry_after = retry_after


class HelpCrunchServerError(HelpCrunchApiError):
    """HelpCrunch answered 5xx until the retries ran out."""

    retry_after: float | None = None
    """Seconds after which HelpCrunch asked for the next attempt; ``None`` if it did not."""


class _FailedRequestError(HelpCrunchError):
    """A request without a usable response; carries its method, path and attempts."""

    def __init__(self, message: str, *, method: str = "", path: str = "", attempts: int = 0) -> None:
        super().__init__(message)
        self.method = method
        self.path = path
        self.attempts = attempts


class HelpCrunchConnectionError(_FailedRequestError):
    """
    There was no complete response: name not found, refused, reset, cut short or timed out.

    :param method: HTTP method of the request
    :param path: path of the request below the base URL
    :param attempts: how many times the request was sent
    :param connected: ``False`` if no connection came about, so that the server cannot have seen the request (``True``)
    """

    def __init__(
        self, message: str, *, method: str = "", path: str = "", attempts: int = 0, connected: bool = True
    ) -> None:
        super().__init__(message, method=method, path=path, attempts=attempts)
        self.connected = connected


class HelpCrunchResponseError(_FailedRequestError):
    """
    The response had status 200 but is not as the API documents it (HTML, not JSON, ``errors``, no records).

    :param method: HTTP method of the request
    :param path: path of the request below the base URL
    :param attempts: how many times the request was sent
    """


class HelpCrunchUnconfirmedError(HelpCrunchError):
    """HelpCrunch answered 200 to a change that its record does not show; or it is open whether a message was sent."""


class HelpCrunchPartialError(HelpCrunchError):
    """Some chats could not be changed, or rows applied, and all others were. Worth a retry, which handles the rest."""


class HelpCrunchRefusedError(HelpCrunchPartialError, AirflowFailException):
    """Some chats could not be changed, or rows applied, because each of them was refused (400, 404). Permanent."""


class HelpCrunchNotesMissingError(HelpCrunchPartialError, AirflowFailException):
    """All chats were moved, and some lack their note, which may have been sent and is not sent twice. Permanent."""


class HelpCrunchPaginationError(HelpCrunchError):
    """The pages do not join, so a list of every record exactly once cannot be guaranteed."""


class HelpCrunchBudgetStoreError(HelpCrunchError):
    """The store of the shared rate limit cannot be used. Requests are never sent without it."""


class HelpCrunchXComSizeError(HelpCrunchError, AirflowFailException):
    """The result is too large for XCom. Permanent: set ``output_path``."""


class HelpCrunchXComTextError(HelpCrunchError, AirflowFailException):
    """A text of the result holds U+0000, which PostgreSQL does not store. Permanent: set ``output_path``."""


class HelpCrunchStorageError(HelpCrunchError):
    """An object could not be read or written."""


class HelpCrunchWebhookError(HelpCrunchError, AirflowFailException):
    """The body of a webhook is not as the API documents it. Permanent."""


class HelpCrunchSignatureError(HelpCrunchWebhookError):
    """A webhook has no signature, or not that of its body. Permanent: do not act on it."""
