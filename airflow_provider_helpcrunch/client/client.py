"""The HelpCrunch REST API v1: one method an endpoint, named after the resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from airflow_provider_helpcrunch.client.chats import ChatEndpoints
from airflow_provider_helpcrunch.client.credentials import (
    DEFAULT_BASE_URL,
    ApiKey,
    check_api_key,
    check_base_url,
)
from airflow_provider_helpcrunch.client.paging import LARGEST_PAGE
from airflow_provider_helpcrunch.client.rate_limit import (
    DEFAULT_ON_FAILURE,
    DEFAULT_REQUESTS_PER_MINUTE,
    Budget,
)
from airflow_provider_helpcrunch.client.rate_limit_address import DEFAULT_STORE, open_budget
from airflow_provider_helpcrunch.client.redaction import Redactor
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.client.transport import Transport, Usage
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from redis import Redis
    from requests.adapters import BaseAdapter

    from airflow_provider_helpcrunch.client.paging import Listing
    from airflow_provider_helpcrunch.client.records import Agent, Department, Organization

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 20.0


class HelpCrunchClient(ChatEndpoints):
    """
    A HelpCrunch account, through its REST API v1.

    .. code-block:: python

        with HelpCrunchClient(api_key) as client:
            for agent in client.iter_agents():
                print(agent["id"], agent["name"])

    :param api_key: the key of *Settings → Developers → Public API*
    :param base_url: address of the API; ``http`` is refused except on this machine. Default:
        ``https://api.helpcrunch.com/v1``
    :param requests_per_minute: the account's limit (120), of which this client never uses more together with all
        others that share ``rate_limit_store``
    :param rate_limit_store: ``sqlite://`` (default: every process of this user on this machine),
        ``sqlite:///absolute/directory``, ``redis://host:port/db`` or ``rediss://host:port/db`` (every process of every
        machine), ``memory://`` (this process), or a client of redis-py, whose connections are made anew
    :param rate_limit_on_failure: what to do while that Redis does not answer: ``wait`` for it as for a permit
        (default) or ``fail`` at once
    :param connect_timeout: seconds to wait for a connection (10)
    :param read_timeout: seconds to wait for an answer to begin, and again for it to be complete (20)
    :param retry: how often and how long a failed request is repeated
    :param http_adapter: sends the requests instead of the client's own connections, such as
        ``Sandbox().adapter()`` in a test; it has to bound the time of a response itself
    :param budget: a budget of your own instead of ``requests_per_minute`` and ``rate_limit_store``
    :raises HelpCrunchConfigurationError: an argument is wrong; nothing was sent

    API: https://docs.helpcrunch.com/rest-api-v1/api-setup-v1
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
        rate_limit_store: str | Redis = DEFAULT_STORE,
        rate_limit_on_failure: str = DEFAULT_ON_FAILURE,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        retry: RetryPolicy | None = None,
        budget: Budget | None = None,
        http_adapter: BaseAdapter | None = None,
    ) -> None:
        api_key = ApiKey(api_key)
        check_api_key(api_key)
        self.base_url = check_base_url(base_url)
        for name, seconds in (("connect_timeout", connect_timeout), ("read_timeout", read_timeout)):
            if not 0 < seconds <= 3600:
                msg = f"{name} must be a number of seconds above 0 and at most 3600, not {seconds}."
                raise HelpCrunchConfigurationError(msg)
        transport = Transport(
            api_key,
            base_url=self.base_url,
            budget=budget
            or open_budget(
                rate_limit_store,
                api_key=api_key,
                base_url=self.base_url,
                requests_per_minute=requests_per_minute,
                on_failure=rate_limit_on_failure,
            ),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retry=retry or RetryPolicy(),
            environment=self.base_url.startswith("https://"),  # http stays on this machine, without proxies
            http_adapter=http_adapter,
        )
        super().__init__(transport, Redactor(api_key))

    def __repr__(self) -> str:
        """Show where it points, and no key."""
        return f"HelpCrunchClient({getattr(self, 'base_url', 'refused')!r})"

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close connections and the budget's store. The client cannot be used afterwards."""
        self._transport.close()

    @property
    def usage(self) -> Usage:
        """Requests, retries and seconds waited for the budget, so far."""
        return self._transport.usage

    @property
    def requests_per_minute(self) -> int:
        """The account's limit, as it was given."""
        return self._transport.limit

    def budget_wait(self, requests: int = 1) -> float:
        """
        Return the seconds until so many requests may be sent, if nobody else takes them; 0.0 when at once.

        :param requests: how many; more than the account's limit count as the limit
        """
        return self._transport.budget_wait(requests)

    def iter_agents(self, *, page_size: int = LARGEST_PAGE) -> Listing[Agent]:
        """
        Yield every agent (team member) of the account exactly once, page by page.

        :param page_size: records a page, 1 to 100 (100)
        :return: an iterator with ``pages``, ``total`` and ``warnings``; close it when you stop early
        :raises HelpCrunchPaginationError: while iterating, when completeness cannot be promised
        :raises HelpCrunchError: while iterating, when a request fails for good

        API: https://docs.helpcrunch.com/rest-api-v1/get-agents-v1
        """
        return self._listing("/agents", page_size)

    def list_agents(self, *, page_size: int = LARGEST_PAGE) -> list[Agent]:
        """Return :meth:`iter_agents` as a list."""
        return list(self.iter_agents(page_size=page_size))

    def iter_departments(self, *, page_size: int = LARGEST_PAGE) -> Listing[Department]:
        """
        Yield every department, with its agents, exactly once; otherwise as :meth:`iter_agents`.

        API: https://docs.helpcrunch.com/rest-api-v1/get-departments-v1
        """
        return self._listing("/departments", page_size)

    def list_departments(self, *, page_size: int = LARGEST_PAGE) -> list[Department]:
        """Return :meth:`iter_departments` as a list."""
        return list(self.iter_departments(page_size=page_size))

    def get_organization(self) -> Organization:
        """
        Return the account itself: ``id``, ``domain``, ``teamOnline`` and ``chatEnabled``. One request.

        :raises HelpCrunchError: the request failed for good

        API: https://docs.helpcrunch.com/rest-api-v1/get-organization-v1
        """
        return self._transport.call("GET", "/organization", _organization_of)


def _organization_of(payload: Any) -> Organization:
    data = payload.get("data", payload) if isinstance(payload, dict) else None
    if not isinstance(data, dict) or "id" not in data:
        msg = "the body holds no organization with an id"
        raise ValueError(msg)
    return data  # type: ignore[return-value]
