"""Transport of API calls: key, timeouts, rate limiter, retries, and a typed error for every failure."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from airflow_provider_helpcrunch import __version__
from airflow_provider_helpcrunch.client.connections import (
    Exchange,
    Watchdog,
    WatchedAdapter,
    bare,
    lacks_certificates,
    never_connected,
    why,
)
from airflow_provider_helpcrunch.client.redaction import Redactor
from airflow_provider_helpcrunch.client.response import Response
from airflow_provider_helpcrunch.client.retry import Attempts, RetryPolicy
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)
from airflow_provider_helpcrunch.forks import renew_after_fork
from airflow_provider_helpcrunch.plurals import LONGEST_LINE, duration, shorten
from airflow_provider_helpcrunch.rate_limit.limiter import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests.adapters import BaseAdapter
    from tenacity import RetryCallState

    from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter

log = logging.getLogger(__name__)
T = TypeVar("T")

IN_FLIGHT = 8
"""Most requests that one client has in flight."""

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes; a page of 100 records is some ten thousand."""


class BearerAuth(AuthBase):
    """The key as a header. With any authentication set, ``requests`` does not read ``~/.netrc`` either."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the ``Authorization`` header."""
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


class _Session(requests.Session):
    """
    A session that knows no redirects.

    ``requests`` looks at one even where it must not follow it: it reads the whole body, however large, and raises an
    error of its own if the address is malformed.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no address."""


@dataclass(slots=True)
class Usage:
    """
    Requests, retries and waits of a client so far.

    :param requests: HTTP requests sent, retries included
    :param retries: how many of them were retries
    :param budget_wait: seconds waited for the account's rate limit
    """

    requests: int = 0
    retries: int = 0
    budget_wait: float = 0.0


class Transport:
    """
    Transport of one client: sends a call, retries it if it may, and returns the parsed response.

    :param api_key: the account's key
    :param base_url: address that every path is appended to, such as ``https://api.helpcrunch.com/v1``
    :param limiter: permits for requests
    :param connect_timeout: seconds to wait for a connection
    :param read_timeout: seconds to wait for a response to begin, and again for it to be complete
    :param retry: how often and how long a failed request is retried
    :param environment: whether environment variables may set proxies and certificates (``True``)
    :param http_adapter: sends the requests. Default: own connections, whose timeouts apply to the whole response
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str,
        limiter: RateLimiter,
        connect_timeout: float,
        read_timeout: float,
        retry: RetryPolicy,
        environment: bool = True,
        http_adapter: BaseAdapter | None = None,
    ) -> None:
        self._base_url = base_url
        self._limiter = limiter
        self._timeout = (connect_timeout, read_timeout)
        self._retry = retry
        self._redact = Redactor(api_key)
        self._usage = Usage()
        self._counting = threading.Lock()
        self._calls: set[threading.Event] = set()
        self._observers: list[Callable[[Response], None]] = []
        self._closed = False
        self._watchdog = Watchdog(min(0.5, read_timeout / 4))
        self._session = _Session()
        self._session.trust_env = environment
        self._session.auth = BearerAuth(api_key)
        self._session.headers["User-Agent"] = f"airflow-provider-helpcrunch/{__version__}"
        self._session.headers["Accept"] = "application/json"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._http_adapter = http_adapter
        self._mount()
        renew_after_fork(self)

    def _mount(self) -> None:
        adapter = self._http_adapter or WatchedAdapter(pool_connections=1, pool_maxsize=IN_FLIGHT)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def after_fork(self) -> None:
        """Leave the parent's connections, locks and calls to the parent."""
        self._counting = threading.Lock()
        self._calls = set()
        self._mount()

    @property
    def usage(self) -> Usage:
        """Requests, retries and seconds waited for permits, so far."""
        with self._counting:
            return Usage(self._usage.requests, self._usage.retries, self._limiter.waited)

    @property
    def limit(self) -> int:
        """Requests that the rate limiter allows in a window."""
        return self._limiter.limit

    def on_response(self, observer: Callable[[Response], None]) -> None:
        """Call a function with every complete response from now on, before it is parsed."""
        self._observers.append(observer)

    def budget_wait(self, requests: int) -> float:
        """Return the seconds until this many permits are free, if nobody else acquires them."""
        return self._limiter.wait_time(requests)

    def call(
        self,
        method: str,
        path: str,
        parse: Callable[[Any], T],
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        idempotent: bool = True,
        plain: bool = False,
        cancelled: threading.Event | None = None,
    ) -> T:
        """
        Make one call and return the parsed response.

        :param method: HTTP method
        :param path: path below the base URL, such as ``/agents``
        :param parse: checks and converts the decoded JSON; an error that it raises counts as a fault of the response
        :param params: query parameters. Default: none
        :param json: body. Default: none
        :param idempotent: whether the request may safely reach the server twice (``True``)
        :param plain: accept plain text and an empty body too (``False``)
        :param cancelled: set by the caller to cancel the call. Default: only :meth:`close` cancels it
        :raises HelpCrunchApiError: an error status; the subclass says which
        :raises HelpCrunchConnectionError: no complete response, even after retries
        :raises HelpCrunchResponseError: the response is not as the API documents it, even after retries
        :raises HelpCrunchConfigurationError: the proxy or the certificates of this machine cannot be used
        """
        cancelled = cancelled or threading.Event()
        attempts = Attempts(self._retry, idempotent=idempotent)

        def attempt() -> T:
            self._check_open(method, path)
            # One permit for each attempt: HelpCrunch counts a retry like any other request.
            with self._limiter.permit(attempts.max_wait, cancelled), attempts.one():
                if cancelled.is_set():
                    raise Cancelled
                self._count(repeated=attempts.sent > 1)
                try:
                    response = self._send(attempts, cancelled, method, path, params=params, json=json)
                    return self._observed(response).parsed(parse, plain=plain)
                except HelpCrunchRateLimitError as refusal:
                    # Now, not when the retry waits: other threads and processes must stop before they are refused too.
                    self._limiter.pause(attempts.refused(refusal))
                    raise

        def sleep(seconds: float) -> None:
            if cancelled.wait(seconds):
                raise Cancelled

        self._calls.add(cancelled)
        try:
            return attempts.retrying(sleep, self._log_retry)(attempt)
        except (HelpCrunchRateLimitError, HelpCrunchConnectionError) as error:
            raise self._final(error, attempts, method, path) from None
        except Cancelled:
            self._check_open(method, path)
            raise
        finally:
            self._calls.discard(cancelled)

    def _observed(self, response: Response) -> Response:
        for observer in self._observers:
            observer(response)
        return response

    def _check_open(self, method: str, path: str) -> None:
        if self._closed:
            msg = (
                f"{method} {path}: the client is closed. Read a listing before you close its client or hook."
            )
            raise HelpCrunchError(msg)

    def close(self) -> None:
        """Cut requests off, wake waiting threads, and close the connections and the rate limiter's store."""
        self._closed = True
        for cancelled in list(self._calls):
            cancelled.set()
        self._watchdog.cut_off_cancelled()
        self._session.close()
        self._limiter.close()

    def _send(
        self, attempts: Attempts, cancelled: threading.Event, method: str, path: str, **arguments: Any
    ) -> Response:
        """Send the request once and read the whole response, in bounded time and memory."""
        connected, problem = True, ""
        interruption: BaseException | None = None
        # A retry gets only the time that the deadline leaves: one slow attempt must not outlast the whole policy.
        connect_timeout, read_timeout = (min(each, attempts.time_left) for each in self._timeout)
        # A socket's timeout applies to each read, so these two alone would let a slow response go on for ever. The
        # watchdog limits each phase as a whole, to twice its timeout: once for the first byte, once for the rest.
        connecting, responding = (min(2 * each, attempts.time_left) for each in self._timeout)
        exchange = Exchange(connecting, responding, cancelled)
        started = time.monotonic()
        try:
            with self._watched(exchange):
                response = self._exchanged(attempts, method, path, (connect_timeout, read_timeout), arguments)
            if not exchange.late:
                return response
        except (requests.RequestException, HTTPError, OSError) as error:
            connected = not never_connected(error)
            problem = self._redact(why(error, time.monotonic() - started))
            interruption = _configuration_error(error, problem)
        except BaseException as error:  # a timeout of Airflow's, say, or Ctrl+C
            interruption = bare(error)
        finally:
            if self._closed:  # by another thread: nobody else will close what this request opened
                self._session.close()
        if interruption is not None:
            raise interruption
        if exchange.late:  # a response that was cut off may look like any error, or like one without a body
            problem = f"timed out after {duration(time.monotonic() - started)}"
        # Raised here, outside the handler: a chained library error could carry the key that a server echoed.
        msg = f"{method} {path}: no complete response: {problem}."
        raise HelpCrunchConnectionError(
            msg, method=method, path=path, attempts=attempts.sent, connected=connected
        )

    def _watched(self, exchange: Exchange) -> contextlib.AbstractContextManager[None]:
        # The watchdog can cut only our own connections, not those of an adapter from outside.
        return contextlib.nullcontext() if self._http_adapter else self._watchdog.over(exchange)

    def _exchanged(
        self,
        attempts: Attempts,
        method: str,
        path: str,
        timeout: tuple[float, float],
        arguments: dict[str, Any],
    ) -> Response:
        body = bytearray()
        # Leaving the block closes the connection, unless everything was read and it can be reused.
        with self._session.request(
            method, self._base_url + path, timeout=timeout, allow_redirects=False, stream=True, **arguments
        ) as response:
            # Chunk by chunk: the size is limited after decompression, where a small body may become a huge one.
            while chunk := response.raw.read1(65536, decode_content=True):
                body += chunk
                if len(body) > LARGEST_BODY:
                    msg = f"more than {LARGEST_BODY} bytes"
                    raise requests.exceptions.ContentDecodingError(msg)
        return Response(
            method, path, attempts.sent, response.status_code, response.headers, bytes(body), self._redact
        )

    def _count(self, *, repeated: bool) -> None:
        with self._counting:
            self._usage.requests += 1
            self._usage.retries += repeated

    def _final(
        self,
        error: HelpCrunchRateLimitError | HelpCrunchConnectionError,
        attempts: Attempts,
        method: str,
        path: str,
    ) -> HelpCrunchError:
        """Return the error that ends a call: it says what a line about a retry has no room for."""
        if isinstance(error, HelpCrunchRateLimitError):
            return attempts.out_of_patience(error, method, path)
        return HelpCrunchConnectionError(
            f"{error} Check the API URL (host) {self._base_url}, network, firewall and proxy.",
            method=error.method,
            path=error.path,
            attempts=error.attempts,
            connected=error.connected,
        )

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, HelpCrunchRateLimitError):
            line = f"Pausing all requests of the account, then trying again: {error}"
        else:
            line = f"Trying again in {duration(state.upcoming_sleep)}: {error}"
        # If the call fails in the end, its error has the whole text.
        log.warning("%s", shorten(line, LONGEST_LINE))


def _configuration_error(error: BaseException, problem: str) -> HelpCrunchConfigurationError | None:
    """Return the error for a setting of this machine that no retry mends, or ``None`` if it is none."""
    # The API's own address has been checked. The library's text quotes the proxy's, and with it a password that has a
    # slash, a question mark or a number sign in it.
    if isinstance(error, requests.exceptions.InvalidURL):
        msg = (
            "The proxy of this machine cannot be used: its address cannot be read. Correct HTTPS_PROXY or ALL_PROXY to "
            "look like http://user:password@host:3128, with / ? # @ in a password written as %2F %3F %23 %40."
        )
    elif isinstance(error, requests.exceptions.InvalidSchema):
        msg = (
            f"The proxy of this machine cannot be used ({problem}) Correct HTTPS_PROXY or ALL_PROXY; a SOCKS proxy "
            "needs: pip install 'requests[socks]'"
        )
    elif lacks_certificates(error):
        msg = (
            f"The TLS certificates of this machine cannot be used ({problem}). Correct REQUESTS_CA_BUNDLE or "
            "CURL_CA_BUNDLE: the path of a file or folder with the certificates that are trusted."
        )
    else:
        return None
    return HelpCrunchConfigurationError(msg)
