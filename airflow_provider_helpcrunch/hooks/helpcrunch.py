"""Hook that opens a HelpCrunch client from an Airflow connection."""

from __future__ import annotations

import logging
import textwrap
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_helpcrunch._airflow import BaseHook
from airflow_provider_helpcrunch.client import HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.client.credentials import ApiKey
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchApiError,
    HelpCrunchAuthError,
    HelpCrunchBudgetStoreError,
    HelpCrunchConfigurationError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchRateLimitError,
    HelpCrunchResponseError,
)
from airflow_provider_helpcrunch.hooks import connection_form
from airflow_provider_helpcrunch.hooks.connection_extra import extra_of
from airflow_provider_helpcrunch.hooks.redis_connection import redis_of
from airflow_provider_helpcrunch.plurals import LONGEST_LINE, duration

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import Connection

log = logging.getLogger(__name__)

TEST_PATIENCE = 5.0
"""Seconds that a connection test waits for a permit."""

EXTRAS: dict[str, tuple[type, str]] = {
    "requests_per_minute": (int, "a whole number of requests"),
    "rate_limit_store": (
        str,
        "sqlite://, sqlite:///directory, redis://host:port/db, rediss://host:port/db or memory://",
    ),
    "rate_limit_conn_id": (str, "the id of a connection of type redis"),
    "rate_limit_on_failure": (str, "wait or fail"),
    "connect_timeout": (float, "a number of seconds"),
    "read_timeout": (float, "a number of seconds"),
    "inbox_domain": (str, "shop or shop.helpcrunch.com"),
}
"""The only extras that a connection may set: people who edit connections must not control anything else."""


class HelpCrunchHook(BaseHook):
    """
    Hook with a HelpCrunch client for an Airflow connection.

    .. code-block:: python

        @task
        def agents_by_name() -> dict[str, int]:
            with HelpCrunchHook() as hook:
                return {agent["name"]: agent["id"] for agent in hook.client.iter_agents()}

    Nothing is read or sent before :attr:`client` is used.

    :param helpcrunch_conn_id: the Airflow connection (``helpcrunch_default``): the API key is its password, its host
        overrides the API URL, and its extras are ``requests_per_minute``, ``rate_limit_store``,
        ``rate_limit_conn_id``, ``rate_limit_on_failure``, ``connect_timeout``, ``read_timeout`` and ``inbox_domain``
    :param patience: longest time in seconds that one call may wait for the account's rate limit and for 429s (600)
    """

    conn_name_attr = "helpcrunch_conn_id"
    default_conn_name = "helpcrunch_default"
    conn_type = "helpcrunch"
    hook_name = "HelpCrunch"

    def __init__(self, helpcrunch_conn_id: str = default_conn_name, *, patience: float | None = None) -> None:
        super().__init__()
        self.helpcrunch_conn_id = helpcrunch_conn_id
        self._retry = RetryPolicy() if patience is None else RetryPolicy(patience=patience)

    @cached_property
    def client(self) -> HelpCrunchClient:
        """
        The account's client, created at first use.

        :raises HelpCrunchConfigurationError: the connection is incomplete or wrong; nothing was sent
        """
        return self.client_with(self._retry)

    def get_conn(self) -> HelpCrunchClient:
        """Return :attr:`client`."""
        return self.client

    def close(self) -> None:
        """Close the client, if there is one; the next use of :attr:`client` creates a new one."""
        if client := self.__dict__.pop("client", None):
            client.close()

    def __enter__(self) -> Self:
        """Return the hook itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the hook."""
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """
        Make one cheap request (``GET /organization``) with this connection.

        :return: whether it worked, and a sentence with the result or with advice. Never raises
        """
        try:
            policy = RetryPolicy(max_attempts=1, patience=TEST_PATIENCE)
            with self.client_with(policy) as client:
                organization = client.get_organization()
        except HelpCrunchError as error:
            return False, f"{error} {_advice_for(error)}".rstrip()
        except Exception as error:  # the form shows a sentence, whatever happened
            return False, f"The connection could not be read: {type(error).__name__}: {error}"
        return (
            True,
            f"HelpCrunch knows this key: organization {organization.get('domain') or organization['id']}.",
        )

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's standard fields, for Airflow older than 3.2."""
        return connection_form.get_ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, for Airflow older than 3.2."""
        return connection_form.get_connection_form_widgets()

    def client_with(self, retry: RetryPolicy) -> HelpCrunchClient:
        """
        Return another client of the connection, with its own policy for retries; close it yourself.

        :param retry: how often and how long a failed request is retried
        :raises HelpCrunchConfigurationError: the connection is incomplete or wrong; nothing was sent
        """
        place = f"Connection {self.helpcrunch_conn_id!r}"
        try:
            return _connect(place, *_fields_of(self.get_connection(self.helpcrunch_conn_id)), retry)
        except HelpCrunchConfigurationError as error:
            problem = str(error)
        # Raised here, where no local variable holds a field of the connection: people paste secrets into wrong fields.
        msg = f"{place}: {problem}"
        raise HelpCrunchConfigurationError(msg)


def _connect(
    place: str,
    api_key: ApiKey,
    host: str | None,
    port: int | None,
    extra: dict[str, Any] | None,
    retry: RetryPolicy,
) -> HelpCrunchClient:
    if not api_key:
        msg = (
            "it has no API key. Put the key that HelpCrunch shows under Settings → Developers → Public API "
            "into the connection's field API key (password)."
        )
        raise HelpCrunchConfigurationError(msg)
    if port:
        msg = "write the port into the API URL (host), such as https://helpcrunch.example:8443/v1."
        raise HelpCrunchConfigurationError(msg)
    arguments = _extras_of(place, extra)
    if host:
        arguments["base_url"] = host
    if conn_id := arguments.pop("rate_limit_conn_id", None):
        if "rate_limit_store" in arguments:
            msg = "set the extra rate_limit_store or rate_limit_conn_id, not both."
            raise HelpCrunchConfigurationError(msg)
        arguments["rate_limit_store"] = redis_of(conn_id)
    return HelpCrunchClient(api_key, retry=retry, **arguments)


def _fields_of(connection: Connection) -> tuple[ApiKey, str | None, int | None, dict[str, Any] | None]:
    """Return the needed fields of a connection: its ``repr`` would show the key in a traceback with local variables."""
    return ApiKey(connection.password or ""), connection.host, connection.port, extra_of(connection)


def _extras_of(place: str, extra: dict[str, Any] | None) -> dict[str, Any]:
    """Return the known extras that are set, converted to their types; old forms send text."""
    if extra is None:
        msg = 'its extra must be a JSON object, such as {"read_timeout": 30}.'
        raise HelpCrunchConfigurationError(msg)
    if unknown := sorted(set(extra) - set(EXTRAS)):
        line = (
            f"{place} has unknown extras, which are ignored: {', '.join(unknown)}. "
            f"The known ones are: {', '.join(EXTRAS)}."
        )
        log.warning("%s", textwrap.fill(line, LONGEST_LINE))
    return {name: _converted(name, extra[name]) for name in EXTRAS if extra.get(name) not in (None, "")}


def _converted(name: str, value: Any) -> int | float | str:
    convert, expected = EXTRAS[name]
    try:
        if isinstance(value, bool) or (convert is str and not isinstance(value, str)):
            raise ValueError
        converted: int | float | str = convert(value)
        if isinstance(value, float) and converted != value:
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        # A long text may be a secret in the wrong field.
        shown = repr(value) if len(str(value)) <= 20 else "the text given"
        msg = f"the extra {name} must be {expected}, not {shown}."
        raise HelpCrunchConfigurationError(msg) from None
    return converted


def _advice_for(error: HelpCrunchError) -> str:
    """Return advice that the error itself does not give."""
    match error:
        case HelpCrunchConfigurationError() | HelpCrunchBudgetStoreError() | HelpCrunchConnectionError():
            return ""
        case HelpCrunchAuthError():
            return "Paste the key into the field API key (password) once more."
        case HelpCrunchRateLimitError():
            return f"The key was not tested. Test again in {duration(error.retry_after or 60)}."
        case HelpCrunchApiError(status_code=int(status)) if 300 <= status < 400:
            return "Put the address that the redirect names into the API URL (host), or leave host empty."
        case HelpCrunchNotFoundError() | HelpCrunchResponseError():
            return "Something answers at the API URL (host), but not HelpCrunch; leave host empty for the default."
        case _:
            return "Test again later."
