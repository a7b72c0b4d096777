"""Client of the HelpCrunch REST API v1: one method per endpoint, named after the resource."""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

from airflow_provider_helpcrunch.client.addresses import inbox_host
from airflow_provider_helpcrunch.client.call import (
    check_body,
    check_method,
    check_path,
    content_in,
    is_idempotent,
    nothing_in,
)
from airflow_provider_helpcrunch.client.confirmation import (
    Confirmation,
    chat_in,
    customer_in,
    customers_in,
    event_in,
    message_in,
    seconds_in,
)
from airflow_provider_helpcrunch.client.credentials import (
    DEFAULT_BASE_URL,
    ApiKey,
    check_api_key,
    check_base_url,
)
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.customer_fields import (
    CREATE_FIELDS,
    some_tags,
    tag_names,
    unconfirmed,
    unshown_field,
    written_batches,
    written_change,
    written_fields,
)
from airflow_provider_helpcrunch.client.ids import check_id, id_in, id_of, with_integer_ids
from airflow_provider_helpcrunch.client.message_body import message_body
from airflow_provider_helpcrunch.client.models import chat_of, message_of
from airflow_provider_helpcrunch.client.pages import ListRequest, Page
from airflow_provider_helpcrunch.client.pagination import ActivityListing, Listing, refuse_wrong_activity
from airflow_provider_helpcrunch.client.redaction import Redactor
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.client.searches import (
    answers_404_for_nothing,
    counts_wrongly,
    list_request,
    search_request,
)
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.client.transport import IN_FLIGHT, Transport, Usage
from airflow_provider_helpcrunch.client.vocabulary import status_of, written_rating, written_statuses
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
    HelpCrunchPaginationError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.rate_limit.limiter import (
    DEFAULT_ON_FAILURE,
    DEFAULT_REQUESTS_PER_MINUTE,
    DEFAULT_STORE,
    RateLimiter,
    open_rate_limiter,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping
    from typing import Literal

    from redis import Redis
    from requests.adapters import BaseAdapter

    from airflow_provider_helpcrunch.client.customer_fields import Fields, Tags
    from airflow_provider_helpcrunch.client.filters import Filter, Resource
    from airflow_provider_helpcrunch.client.models import (
        Agent,
        Application,
        Chat,
        Customer,
        Department,
        Event,
        Message,
        Organization,
    )
    from airflow_provider_helpcrunch.client.response import Response
    from airflow_provider_helpcrunch.client.timestamps import Moment

    Filters = Iterable[Filter | Mapping[str, Any]]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 20.0

LATEST_ACTIVITY_FIRST = {"sort": "chats.lastMessageAt", "order": "desc"}


class HelpCrunchClient:
    """
    A HelpCrunch account, through its REST API v1.

    Every record is a dictionary as the API sent it, with these exceptions: its ``id`` and those of the records that it
    names are integers, ``status`` and ``rating`` of a chat have one spelling each (the original values are in
    ``statusRaw`` and ``ratingRaw``), ``customData`` of a customer is always a dictionary, and a message says whether it
    is ``private`` or ``tech``. Every change is checked: the record that HelpCrunch sends back must show it.

    .. code-block:: python

        with HelpCrunchClient(api_key) as client:
            for agent in client.iter_agents():
                print(agent["id"], agent["name"])

    :param api_key: the key of *Settings → Developers → Public API*
    :param base_url: address of the API; ``http`` is refused except on this machine. Default:
        ``https://api.helpcrunch.com/v1``
    :param requests_per_minute: the account's limit (120); all clients that share ``rate_limit_store`` stay within it
        together
    :param rate_limit_store: ``sqlite://`` (default: every process of this user on this machine),
        ``sqlite:///absolute/directory``, ``redis://host:port/db`` or ``rediss://host:port/db`` (every process of every
        machine), ``memory://`` (this process), or a client of redis-py, of which only the settings are used
    :param rate_limit_on_failure: while the store is unreachable, ``wait`` for it as for a permit (default) or ``fail``
        at once
    :param connect_timeout: seconds to wait for a connection (10)
    :param read_timeout: seconds to wait for a response to begin, and again for it to be complete (20)
    :param retry: how often and how long a failed request is retried. Default: ``RetryPolicy()``
    :param http_adapter: sends the requests, such as ``Sandbox().adapter()`` in a test; it must limit the time of a
        whole response itself. Default: the client's own connections
    :param budget: a rate limiter of your own instead of ``requests_per_minute`` and ``rate_limit_store``. Default:
        none
    :param inbox_domain: the account's place in HelpCrunch's user interface, ``shop`` or ``shop.helpcrunch.com``, for
        the addresses of chats. Default: as ``GET /organization`` says, where it is asked
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
        budget: RateLimiter | None = None,
        http_adapter: BaseAdapter | None = None,
        inbox_domain: str | None = None,
    ) -> None:
        api_key = ApiKey(api_key)
        check_api_key(api_key)
        self.base_url = check_base_url(base_url)
        if inbox_domain is not None and inbox_host(inbox_domain) is None:
            msg = (
                "inbox_domain must be the first part of your inbox's address, such as shop, or shop.helpcrunch.com; "
                f"not {quoted(inbox_domain)}."
            )
            raise HelpCrunchConfigurationError(msg)
        self.inbox_domain = inbox_domain
        """The account's place in HelpCrunch's user interface, as given; ``None``: not given."""
        for name, seconds in (("connect_timeout", connect_timeout), ("read_timeout", read_timeout)):
            if not 0 < seconds <= 3600:
                msg = f"{name} must be a number of seconds above 0 and at most 3600, not {seconds}."
                raise HelpCrunchConfigurationError(msg)
        self._redact = Redactor(api_key)
        self._spellings: dict[str, str] = {}
        self._transport = Transport(
            api_key,
            base_url=self.base_url,
            limiter=budget
            or open_rate_limiter(
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

    def __repr__(self) -> str:
        """Show the address, never the key."""
        return f"HelpCrunchClient({getattr(self, 'base_url', 'refused')!r})"

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close the connections and the rate limit store. The client cannot be used afterwards."""
        self._transport.close()

    @property
    def usage(self) -> Usage:
        """Requests, retries and seconds waited for permits, so far."""
        return self._transport.usage

    @property
    def requests_per_minute(self) -> int:
        """The account's limit, as given."""
        return self._transport.limit

    def budget_wait(self, requests: int = 1) -> float:
        """
        Return the seconds until this many requests may be sent, if nobody else sends any; 0.0 if now.

        :param requests: how many (1); more than the account's limit count as the limit
        """
        return self._transport.budget_wait(requests)

    def on_response(self, observer: Callable[[Response], None]) -> None:
        """
        Call a function with every complete HTTP response from now on, as it came, before it is parsed.

        :param observer: takes the response, with ``method``, ``path``, ``status``, ``headers`` and ``body``; called in
            the thread of the request
        """
        self._transport.on_response(observer)

    # Any endpoint

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        idempotent: bool | None = None,
    ) -> Any:
        """
        Send a request to any endpoint, with the key, the rate limit, the retries and the errors of all other methods.

        :param method: ``GET``, ``HEAD``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``
        :param path: path below the API URL, such as ``/customers/42``; the query belongs in ``params``
        :param params: query parameters. Default: none
        :param json: the body, as a value that JSON can express. Default: none
        :param idempotent: whether the request may safely reach HelpCrunch twice, so that it is retried after any fault;
            otherwise it is retried only if HelpCrunch cannot have seen it, or after a 429. Default: ``True`` for
            ``GET``, ``HEAD``, ``PUT``, ``DELETE``, the two searches and the ``PATCH`` of a customer; ``False`` for all
            other ``POST`` and ``PATCH``, ``PUT /chats/rate`` and ``GET /agents/{id}/unsubscribe``
        :return: the decoded JSON; a text for a body of plain text, so that ``Ok`` is ``"Ok"`` with or without quotation
            marks; ``None`` for an empty body
        :raises HelpCrunchConfigurationError: an argument is wrong; nothing was sent
        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/api-setup-v1
        """
        method, path = check_method(method), check_path(path, self._redact)
        if idempotent is None:
            idempotent = is_idempotent(method, path)
        body = None if json is None else check_body(json)
        return self._transport.call(
            method, path, content_in, params=params, json=body, idempotent=idempotent, plain=True
        )

    # Agents, departments, applications, the account

    def iter_agents(self, *, page_size: int = LARGEST_PAGE) -> Listing[Agent]:
        """
        Yield every agent (team member) of the account exactly once, page by page.

        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator with ``pages``, ``total`` and ``warnings``; close it when you stop early
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-agents-v1
        """
        return self._listing(ListRequest("GET", "/agents"), page_size)

    def list_agents(self, *, page_size: int = LARGEST_PAGE) -> list[Agent]:
        """
        Return :meth:`iter_agents` as a list.

        :param page_size: records per page, 1 to 100 (100)
        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-agents-v1
        """
        return list(self.iter_agents(page_size=page_size))

    def iter_departments(self, *, page_size: int = LARGEST_PAGE) -> Listing[Department]:
        """
        Yield every department, with its agents, exactly once, page by page.

        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_agents`
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-departments-v1
        """
        return self._listing(ListRequest("GET", "/departments"), page_size)

    def list_departments(self, *, page_size: int = LARGEST_PAGE) -> list[Department]:
        """
        Return :meth:`iter_departments` as a list.

        :param page_size: records per page, 1 to 100 (100)
        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-departments-v1
        """
        return list(self.iter_departments(page_size=page_size))

    def unsubscribe_agent(self, agent_id: int) -> None:
        """
        Unsubscribe an agent from HelpCrunch's newsletters. One request.

        This is a ``GET`` that changes the account. Not treated as idempotent: retried only if HelpCrunch cannot have
        seen the request, or after a 429.

        :param agent_id: the agent
        :return: nothing: HelpCrunch answers a bare ``Ok``
        :raises HelpCrunchNotFoundError: there is no such agent
        :raises HelpCrunchError: the request failed

        API: https://docs.helpcrunch.com/rest-api-v1/unsubscribe-agent-v1
        """
        path = f"/agents/{check_id('agent_id', agent_id)}/unsubscribe"
        self._transport.call("GET", path, nothing_in, idempotent=False, plain=True)

    def iter_applications(self) -> Listing[Application]:
        """
        Yield every application (widget, app or channel) exactly once.

        HelpCrunch documents no paging here: each response is the whole list. It is read up to three times, to find
        its end.

        :return: an iterator like that of :meth:`iter_agents`
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-applications-v1
        """
        return self._listing(
            ListRequest("GET", "/applications", noun="applications", paged=False), LARGEST_PAGE
        )

    def list_applications(self) -> list[Application]:
        """
        Return :meth:`iter_applications` as a list.

        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-applications-v1
        """
        return list(self.iter_applications())

    def get_organization(self) -> Organization:
        """
        Return the account itself: ``id``, ``domain``, ``teamOnline`` and ``chatEnabled``. One request.

        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-organization-v1
        """
        return self._transport.call("GET", "/organization", _organization_in)

    # Reading chats

    def iter_chats(self, *, page_size: int = LARGEST_PAGE) -> Listing[Chat]:
        """
        Yield every chat of the account exactly once, oldest first.

        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_agents`
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-chats-v1
        """
        return self._listing(list_request("chats"), page_size)

    def list_chats(self, *, page_size: int = LARGEST_PAGE) -> list[Chat]:
        """
        Return :meth:`iter_chats` as a list.

        :param page_size: records per page, 1 to 100 (100)
        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-chats-v1
        """
        return list(self.iter_chats(page_size=page_size))

    def iter_active_chats(self, since: Moment, *, page_size: int = LARGEST_PAGE) -> ActivityListing:
        """
        Yield every chat with a message at or after a given time exactly once, latest activity first.

        :param since: the time: a ``datetime``, ISO 8601 text or UNIX seconds; UTC if it has no offset
        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_agents`
        :raises HelpCrunchPaginationError: while iterating, if the chats do not come latest activity first
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-chats-v1
        """
        _check_page_size(page_size)
        request = ListRequest("GET", "/chats", LATEST_ACTIVITY_FIRST, "chats", chat_of, refuse_wrong_activity)
        return ActivityListing(partial(self._page, request), moment("since", since), page_size=page_size)

    def iter_search_chats(
        self, filters: Filters = (), *, comparison: str = "AND", page_size: int = LARGEST_PAGE
    ) -> Listing[Chat]:
        """
        Yield every matching chat exactly once, oldest first.

        :param filters: the conditions, as :class:`~.filters.Filter` or ``{"field", "operator", "value"}``. Default:
            none
        :param comparison: ``AND``: all conditions must hold; ``OR``: at least one must (``AND``)
        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_agents`
        :raises HelpCrunchConfigurationError: a filter is wrong; nothing was sent
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
        """
        return self._listing(search_request("chats", filters, comparison), page_size)

    def search_chats(
        self, filters: Filters = (), *, comparison: str = "AND", page_size: int = LARGEST_PAGE
    ) -> list[Chat]:
        """
        Return :meth:`iter_search_chats` as a list.

        :param filters: the conditions, as for :meth:`iter_search_chats`. Default: none
        :param comparison: ``AND`` or ``OR`` (``AND``)
        :param page_size: records per page, 1 to 100 (100)
        :raises HelpCrunchConfigurationError: a filter is wrong; nothing was sent
        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
        """
        return list(self.iter_search_chats(filters, comparison=comparison, page_size=page_size))

    def search_chats_page(
        self,
        filters: Filters = (),
        *,
        comparison: str = "AND",
        offset: int = 0,
        limit: int = LARGEST_PAGE,
        probe: bool = False,
    ) -> Page:
        """
        Return one page of :meth:`iter_search_chats`, for work that changes what it reads. One request.

        :param filters: the conditions, as for :meth:`iter_search_chats`. Default: none
        :param comparison: ``AND`` or ``OR`` (``AND``)
        :param offset: how many chats of the result to skip (0)
        :param limit: most chats in the page, 1 to 100 (100)
        :param probe: accept an empty page, whatever its total says (``False``)
        :return: the page, with ``records``, ``ids`` and ``total``
        :raises HelpCrunchPaginationError: the page stays empty, although its total says that more chats follow
        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
        """
        _check_window(offset, limit)
        return self._page(search_request("chats", filters, comparison), offset, limit, probe=probe)

    def get_chat(self, chat_id: int) -> Chat:
        """
        Return one chat. One request.

        :param chat_id: its id
        :raises HelpCrunchNotFoundError: there is no such chat
        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-chat-v1
        """
        chat_id = check_id("chat_id", chat_id)
        return self._transport.call("GET", f"/chats/{chat_id}", partial(chat_in, chat_id=chat_id))

    # Changing chats

    def create_chat(
        self, customer: int, application: int, *, assignee: int | None = None, department: int | None = None
    ) -> Chat:
        """
        Open an empty chat. Not idempotent: retried only if HelpCrunch cannot have seen the request, or after a 429.

        :param customer: id of the customer
        :param application: id of the application (widget, channel) it belongs to
        :param assignee: id of the agent. Default: nobody
        :param department: id of the department. Default: none
        :return: the new chat; its status is ``empty`` until a message is sent
        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/create-chat-v1
        """
        named = {"customer": customer, "application": application}
        named |= {
            name: value
            for name, value in {"assignee": assignee, "department": department}.items()
            if value is not None
        }
        body = {name: check_id(name, value) for name, value in named.items()}
        return self._transport.call("POST", "/chats", chat_in, json=body, idempotent=False)

    def update_chat_assignee(self, chat_id: int, assignee: int | None) -> Chat:
        """
        Assign a chat to an agent, or to nobody. One request.

        :param chat_id: the chat
        :param assignee: id of the agent; ``None``: nobody (documented in one edition only)
        :return: the chat as it is now
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such chat or agent
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the chat it sent back shows another assignee

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-assignee-v1
        """
        assignee = None if assignee is None else check_id("assignee", assignee)
        return self._update(
            "assignee", chat_id, {"assignee": assignee}, Confirmation("assignee", assignee, id_in)
        )

    def update_chat_department(self, chat_id: int, department: int) -> Chat:
        """
        Move a chat to a department. One request.

        :param chat_id: the chat
        :param department: id of the department
        :return: the chat as it is now
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such chat or department
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the chat it sent back shows another department

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-department-v1
        """
        department = check_id("department", department)
        confirmation = Confirmation("department", department, id_in)
        return self._update("department", chat_id, {"department": department}, confirmation)

    def update_chat_status(self, chat_id: int, status: str) -> Chat:
        """
        Set a chat's status. One request, or one for each spelling that HelpCrunch refuses.

        The documentation spells some statuses in several ways. Where HelpCrunch refuses the first spelling, the others
        are tried, and the client remembers which one it takes.

        :param chat_id: the chat
        :param status: ``new``, ``opened``, ``pending``, ``on hold``, ``no communication`` or ``closed``, in any
            spelling
        :return: the chat as it is now
        :raises HelpCrunchConfigurationError: there is no such status, or it cannot be set; nothing was sent
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such chat
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the chat it sent back shows another status

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-status-v1
        """
        spellings, wanted = written_statuses(status), status_of(status)
        refusals = []
        for word in [self._spellings[wanted]] if wanted in self._spellings else spellings:
            try:
                chat = self._update("status", chat_id, {"status": word}, Confirmation("status", wanted))
            except HelpCrunchBadRequestError as error:
                refusals.append(error)
            else:
                self._spellings[wanted] = word
                return chat
        raise refusals[0]

    def snooze_chat(self, chat_id: int, until: Moment | None) -> Chat:
        """
        Snooze a chat until a given time, or wake it. One request.

        :param chat_id: the chat
        :param until: a ``datetime``, ISO 8601 text or UNIX seconds (UTC if it has no offset; whole seconds); ``None``
            wakes the chat
        :return: the chat as it is now
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such chat
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the chat it sent back shows another time

        API: https://docs.helpcrunch.com/rest-api-v1/snooze-chat-v1
        """
        seconds = None if until is None else int(moment("until", until).timestamp())
        written = None if seconds is None else str(seconds)
        confirmation = Confirmation("snoozedUntil", seconds, seconds_in)
        return self._update("snooze", chat_id, {"snoozedUntil": written}, confirmation)

    def rate_chat(self, chat_id: int, rating: str) -> Chat:
        """
        Rate a closed chat that has an agent's message and no rating yet. One request.

        Not idempotent: once a chat is rated, HelpCrunch refuses to rate it again.

        :param chat_id: the chat
        :param rating: ``perfect``, ``great``, ``average``, ``poor`` or ``very poor``
        :return: the chat as it is now
        :raises HelpCrunchConfigurationError: there is no such rating; nothing was sent
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such chat
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the chat it sent back shows another rating

        API: https://docs.helpcrunch.com/rest-api-v1/chat-rating-rest-api
        """
        rating = written_rating(rating)
        confirmation = Confirmation("rating", rating)
        return self._update("rate", chat_id, {"rating": rating}, confirmation, idempotent=False)

    def mark_chat_read(self, chat_id: int, side: Literal["agent", "customer"], *, read: bool = True) -> Chat:
        """
        Mark a chat as read, or as unread, on one side. One request.

        :param chat_id: the chat
        :param side: ``agent`` or ``customer``
        :param read: ``True``: read; ``False``: unread (``True``)
        :return: the chat as it is now
        :raises HelpCrunchConfigurationError: there is no such side; nothing was sent
        :raises HelpCrunchNotFoundError: there is no such chat
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the chat it sent back does not show it

        API: https://docs.helpcrunch.com/rest-api-v1/read-chat-rest-api-1
        """
        fields = {"agent": "readByAgent", "customer": "readByCustomer"}
        if side not in fields:
            msg = f"side must be agent or customer, not {quoted(side)}."
            raise HelpCrunchConfigurationError(msg)
        # The chats of older accounts lack these fields; a field that is missing cannot contradict the change.
        confirmation = Confirmation(fields[side], bool(read), lambda chat, field: chat.get(field, bool(read)))
        return self._update(fields[side], chat_id, {"read": bool(read)}, confirmation)

    # Messages

    def iter_messages(self, chat_id: int, *, page_size: int = LARGEST_PAGE) -> Listing[Message]:
        """
        Yield every message of a chat exactly once, newest first: HelpCrunch has no other order.

        Messages that arrive meanwhile are left to the next reading; they neither hide nor double any other. Pages are
        fetched one by one when they are needed, so closing the iterator at a known id saves the requests for the rest.

        .. code-block:: python

            messages = client.iter_messages(chat_id)
            for message in messages:
                if message["id"] <= last_id:
                    break
            messages.close()

        :param chat_id: the chat
        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_agents`. ``private`` of a message says whether it is a private
            note; ``tech`` whether HelpCrunch wrote it, with a machine word as its ``text``
        :raises HelpCrunchNotFoundError: while iterating, if there is no such chat
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-messages-v1
        """
        path = f"/chats/{check_id('chat_id', chat_id)}/messages"
        return self._listing(ListRequest("GET", path, {}, "messages", message_of), page_size, in_flight=1)

    def list_messages(self, chat_id: int, *, page_size: int = LARGEST_PAGE) -> list[Message]:
        """
        Return :meth:`iter_messages` as a list, newest first.

        :param chat_id: the chat
        :param page_size: records per page, 1 to 100 (100)
        :raises HelpCrunchNotFoundError: there is no such chat
        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-messages-v1
        """
        return list(self.iter_messages(chat_id, page_size=page_size))

    def send_message(
        self,
        chat_id: int,
        text: str,
        *,
        agent: int | None,
        private: bool = False,
        markdown_text: str | None = None,
    ) -> Message:
        """
        Send a message to a chat, or leave a private note in it. One request.

        Not idempotent: retried only if HelpCrunch cannot have seen the request, or after a 429. After any other fault
        the message may have been sent; look with :meth:`iter_messages` before you send it again.

        :param chat_id: the chat
        :param text: the plain text
        :param agent: id of the agent who says it. ``None``: **the message is the customer's**; a private note then has
            no author
        :param private: ``True``: a private note, which the customer does not see (``False``)
        :param markdown_text: the same in Markdown, which HelpCrunch shows instead of ``text``. Default: none
        :return: the message as it was sent
        :raises HelpCrunchConfigurationError: an id is wrong, or a text is empty; nothing was sent
        :raises HelpCrunchNotFoundError: there is no such chat or agent
        :raises HelpCrunchError: the request failed

        API: https://docs.helpcrunch.com/rest-api-v1/create-message-v1
        """
        body = message_body(chat_id, text, agent=agent, private=private, markdown_text=markdown_text)
        parse = partial(message_in, chat_id=body["chat"])
        return self._transport.call("POST", "/messages", parse, json=body, idempotent=False)

    # Reading customers

    def iter_customers(self, *, page_size: int = LARGEST_PAGE) -> Listing[Customer]:
        """
        Yield every customer of the account exactly once, first seen first.

        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_agents`
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-customers-v1
        """
        return self._listing(list_request("customers"), page_size)

    def list_customers(self, *, page_size: int = LARGEST_PAGE) -> list[Customer]:
        """
        Return :meth:`iter_customers` as a list.

        :param page_size: records per page, 1 to 100 (100)
        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-customers-v1
        """
        return list(self.iter_customers(page_size=page_size))

    def get_customer(self, customer_id: int) -> Customer:
        """
        Return one customer. One request.

        :param customer_id: HelpCrunch's id, not your own ``userId``
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/get-customer-v1
        """
        customer_id = check_id("customer_id", customer_id)
        return self._transport.call(
            "GET", f"/customers/{customer_id}", partial(customer_in, customer_id=customer_id)
        )

    def iter_search_customers(
        self, filters: Filters = (), *, comparison: str = "AND", page_size: int = LARGEST_PAGE
    ) -> Listing[Customer]:
        """
        Yield every matching customer exactly once, first seen first. Custom attributes cannot be searched.

        :param filters: the conditions, as :class:`~.filters.Filter` or ``{"field", "operator", "value"}``, on the
            fields of :data:`~.filters.CUSTOMER_FIELDS`. Default: none
        :param comparison: ``AND``: all conditions must hold; ``OR``: at least one must (``AND``)
        :param page_size: records per page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_agents`
        :raises HelpCrunchConfigurationError: a filter is wrong; nothing was sent
        :raises HelpCrunchPaginationError: while iterating, if completeness cannot be guaranteed
        :raises HelpCrunchError: while iterating, if a request fails, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/search-customers-v1
        """
        return self._listing(search_request("customers", filters, comparison), page_size)

    def search_customers(
        self, filters: Filters = (), *, comparison: str = "AND", page_size: int = LARGEST_PAGE
    ) -> list[Customer]:
        """
        Return :meth:`iter_search_customers` as a list.

        :param filters: the conditions, as for :meth:`iter_search_customers`. Default: none
        :param comparison: ``AND`` or ``OR`` (``AND``)
        :param page_size: records per page, 1 to 100 (100)
        :raises HelpCrunchConfigurationError: a filter is wrong; nothing was sent
        :raises HelpCrunchPaginationError: completeness cannot be guaranteed
        :raises HelpCrunchError: a request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/search-customers-v1
        """
        return list(self.iter_search_customers(filters, comparison=comparison, page_size=page_size))

    def search_customers_page(
        self,
        filters: Filters = (),
        *,
        comparison: str = "AND",
        offset: int = 0,
        limit: int = LARGEST_PAGE,
        probe: bool = False,
    ) -> Page:
        """
        Return one page of :meth:`iter_search_customers`, for work that changes what it reads. One request.

        :param filters: the conditions, as for :meth:`iter_search_customers`. Default: none
        :param comparison: ``AND`` or ``OR`` (``AND``)
        :param offset: how many customers of the result to skip (0)
        :param limit: most customers in the page, 1 to 100 (100)
        :param probe: accept an empty page, whatever its total says (``False``)
        :return: the page, with ``records``, ``ids`` and ``total``
        :raises HelpCrunchConfigurationError: an argument is wrong; nothing was sent
        :raises HelpCrunchPaginationError: the page stays empty, although its total says that more customers follow
        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/search-customers-v1
        """
        _check_window(offset, limit)
        return self._page(search_request("customers", filters, comparison), offset, limit, probe=probe)

    # Changing customers

    def create_customer(self, fields: Fields) -> Customer:
        """
        Create a customer. One request.

        Not idempotent: retried only if HelpCrunch cannot have seen the request, or after a 429. HelpCrunch refuses a
        ``userId`` that another customer has, so with one a second attempt creates no double.

        :param fields: values by their names in the API: ``name``, ``email``, ``userId``, ``company``, ``phone``,
            ``firstSeen`` (a ``datetime``, ISO 8601 text or UNIX seconds), ``source``, ``locale``, ``notes``,
            ``createdFrom``, ``integrationId``, ``tags`` (names, or ``{"name", "color"}``) and ``customData``. The API
            reads ``customData`` as an array of ``{"property", "value"}`` and sends it as an object; both are accepted
            here. The attributes must exist in HelpCrunch; ``None`` is sent as an empty text
        :return: the new customer
        :raises HelpCrunchConfigurationError: a field does not exist or does not fit; nothing was sent
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the fields
        :raises HelpCrunchUnconfirmedError: the customer was created, but shows another value in a field
        :raises HelpCrunchError: the request failed

        API: https://docs.helpcrunch.com/rest-api-v1/create-customer-v1
        """
        written = written_fields(fields, CREATE_FIELDS)
        customer = self._transport.call("POST", "/customers", customer_in, json=written, idempotent=False)
        return self._confirmed(customer, written, created=True)

    def update_customer(self, customer_id: int, fields: Fields) -> Customer:
        """
        Change some fields of a customer, and leave the others (``PATCH``, not ``PUT``). One request.

        Idempotent, because it sets values: a second one changes nothing.

        :param customer_id: the customer
        :param fields: as for :meth:`create_customer`, and also ``lastSeen`` (a time), ``unsubscribed``, ``blocked``
            (true or false), ``referer`` and ``lastPage``; ``None`` clears a field. ``tags`` are set: to add or remove
            some, use :meth:`add_customer_tags` and :meth:`remove_customer_tags`
        :return: the customer as it is now
        :raises HelpCrunchConfigurationError: a field does not exist or does not fit; nothing was sent
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the customer it sent back shows another value

        API: https://docs.helpcrunch.com/rest-api-v1/update-customer-v1
        """
        return self._write_customer("PATCH", customer_id, fields)

    def replace_customer(self, customer_id: int, fields: Fields) -> Customer:
        """
        Replace a customer (``PUT``): **every field that is left out is cleared**. One request.

        To change some fields, use :meth:`update_customer`. The documentation contradicts itself on what happens to
        fields that are left out; clients in use have lost phone numbers.

        :param customer_id: the customer
        :param fields: all fields that the customer is to have, as for :meth:`update_customer`
        :return: the customer as it is now
        :raises HelpCrunchConfigurationError: a field does not exist or does not fit; nothing was sent
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the customer it sent back shows another value

        API: https://docs.helpcrunch.com/rest-api-v1/update-customer-v1
        """
        return self._write_customer("PUT", customer_id, fields)

    def update_customers(self, changes: Iterable[Fields]) -> list[Customer]:
        """
        Replace many customers, ten with each request: **every field that is left out may be cleared**.

        The API has no ``PATCH`` for many customers, and does not document what its ``PUT`` does to fields that are left
        out: give all fields, or use :meth:`update_customer` for each. Nor does it document the response, or whether a
        batch is changed as a whole: customers that the response does not show are read again, one request each. If a
        batch fails, those before it are changed.

        :param changes: for each customer ``customer`` (the id) and its fields, as for :meth:`replace_customer`
        :return: the customers as they are now, in the same order
        :raises HelpCrunchConfigurationError: a change is wrong, or a customer is named twice; nothing was sent
        :raises HelpCrunchBadRequestError: HelpCrunch refuses a batch
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed a batch, but a customer shows another value

        API: https://docs.helpcrunch.com/rest-api-v1/batch-update-customers-v1
        """
        return [customer for batch in written_batches(changes) for customer in self._write_batch(batch)]

    def add_customer_tags(self, customer_id: int, tags: Tags) -> Customer:
        """
        Add tags to a customer, and keep those that the customer has. One request.

        :param customer_id: the customer
        :param tags: names, or ``{"name", "color"}``; HelpCrunch creates tags that it does not know
        :return: the customer as it is now
        :raises HelpCrunchConfigurationError: there is no tag, or one has no name; nothing was sent
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the customer it sent back lacks a tag

        API: https://docs.helpcrunch.com/rest-api-v1/tag-customer-v1
        """
        return self._write_tags("PUT", customer_id, some_tags(tags))

    def remove_customer_tags(self, customer_id: int, tags: Tags) -> Customer:
        """
        Remove tags from a customer. One request: a ``DELETE`` with a body, which some proxies drop.

        :param customer_id: the customer
        :param tags: names, or ``{"name"}``
        :return: the customer as it is now
        :raises HelpCrunchConfigurationError: there is no tag, or one has no name; nothing was sent
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchUnconfirmedError: HelpCrunch confirmed it, but the customer it sent back still has a tag

        API: https://docs.helpcrunch.com/rest-api-v1/untag-customer-v1
        """
        names = [{"name": tag["name"]} for tag in some_tags(tags)]
        return self._write_tags("DELETE", customer_id, names)

    def delete_customer(self, customer_id: int) -> None:
        """
        Delete a customer for good. One request. The customer's chats may go too: the documentation does not say.

        If a retry finds no such customer, the attempt before it has deleted the customer, and that is no error.

        :param customer_id: the customer
        :return: nothing: HelpCrunch answers a bare ``Ok``
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchError: the request failed, even after retries

        API: https://docs.helpcrunch.com/rest-api-v1/delete-customer-v1
        """
        path = f"/customers/{check_id('customer_id', customer_id)}"
        try:
            self._transport.call("DELETE", path, nothing_in, plain=True)
        except HelpCrunchNotFoundError as error:
            if error.attempts == 1:
                raise

    def create_event(self, customer_id: int, name: str, data: Mapping[str, Any]) -> Event:
        """
        Record an event of a customer. One request. Events cannot be read back.

        Not idempotent: retried only if HelpCrunch cannot have seen the request, or after a 429.

        :param customer_id: the customer
        :param name: name of the event
        :param data: its properties; HelpCrunch seems to refuse an empty object
        :return: the event, with ``id``, ``name``, ``data`` and ``createdAt``
        :raises HelpCrunchConfigurationError: JSON cannot express the properties; nothing was sent
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the event
        :raises HelpCrunchNotFoundError: there is no such customer
        :raises HelpCrunchError: the request failed

        API: https://docs.helpcrunch.com/rest-api-v1/add-customer-event-v1
        """
        body = {"customer": check_id("customer_id", customer_id), "name": name, "data": dict(data)}
        return self._transport.call("POST", "/events", event_in, json=check_body(body), idempotent=False)

    # Reading a list, changing a chat or a customer

    def _listing(self, request: ListRequest, page_size: int, in_flight: int = IN_FLIGHT) -> Listing[Any]:
        _check_page_size(page_size)
        return Listing(partial(self._page, request), page_size=page_size, in_flight=in_flight)

    def _page(
        self,
        request: ListRequest,
        offset: int,
        limit: int,
        cancelled: threading.Event | None = None,
        *,
        probe: bool = False,
    ) -> Page:
        """
        Get one page of a list.

        :param cancelled: cancels the request when it is set
        :param probe: accept an empty page, whatever its total says
        """
        get = partial(self._get_page, cancelled=cancelled)
        try:
            return get(request, offset, limit, probe=probe)
        except (HelpCrunchNotFoundError, HelpCrunchPaginationError) as error:
            if request.method != "POST":
                raise
            doubt = error
        # A search: it may have found nothing, as this account says it.
        resource = cast("Resource", request.noun)
        if isinstance(doubt, HelpCrunchPaginationError):
            if not counts_wrongly(get, resource):
                raise doubt
            log.warning("HelpCrunch's totals are wrong, so nothing follows: %s", doubt)
        elif not answers_404_for_nothing(get, resource):
            raise doubt
        else:
            # Only where it is refused again: a server in trouble may have recovered meanwhile.
            with contextlib.suppress(HelpCrunchNotFoundError):
                return get(request, offset, limit, probe=probe)
        return Page([], [], None, offset)

    def _get_page(
        self,
        request: ListRequest,
        offset: int,
        limit: int,
        *,
        cancelled: threading.Event | None,
        probe: bool = False,
    ) -> Page:
        read = partial(request.read, offset=offset, redact=self._redact, probe=probe)
        arguments = request.arguments(offset, limit)
        return self._transport.call(request.method, request.path, read, cancelled=cancelled, **arguments)

    def _update(
        self,
        name: str,
        chat_id: int,
        change: dict[str, Any],
        confirmation: Confirmation,
        *,
        idempotent: bool = True,
    ) -> Chat:
        chat_id = check_id("chat_id", chat_id)
        parse, body = partial(chat_in, chat_id=chat_id), {"id": chat_id, **change}
        chat = self._transport.call("PUT", f"/chats/{name}", parse, json=body, idempotent=idempotent)
        if (problem := confirmation.problem_in(chat, self._redact)) is None:
            return chat
        del chat  # a traceback would carry it, and with it a key that the server echoed
        msg = (
            f"HelpCrunch answered 200 to a change of the chat {chat_id}, but the chat that it sent back shows "
            f"{problem} instead of {confirmation.wanted!r}."
        )
        raise HelpCrunchUnconfirmedError(msg)

    def _write_customer(self, method: str, customer_id: int, fields: Fields) -> Customer:
        customer_id, written = check_id("customer_id", customer_id), written_change(fields)
        parse = partial(customer_in, customer_id=customer_id)
        customer = self._transport.call(method, f"/customers/{customer_id}", parse, json=written)
        return self._confirmed(customer, written)

    def _write_batch(self, batch: dict[int, dict[str, Any]]) -> list[Customer]:
        body = [{"customer": number, **fields} for number, fields in batch.items()]
        shown = self._transport.call("PUT", "/customers/batch", customers_in, json=body, plain=True)
        return [
            self._confirmed(shown[number] if number in shown else self.get_customer(number), fields)
            for number, fields in batch.items()
        ]

    def _write_tags(self, method: str, customer_id: int, tags: list[dict[str, Any]]) -> Customer:
        customer_id = check_id("customer_id", customer_id)
        parse = partial(customer_in, customer_id=customer_id)
        customer = self._transport.call(method, f"/customers/{customer_id}/tags", parse, json={"tags": tags})
        there = tag_names(customer.get("tags"))
        wrong = tag_names(tags) - there if method == "PUT" else tag_names(tags) & there
        if wrong:
            raise unconfirmed(customer_id, ["tags"])
        return customer

    def _confirmed(self, customer: Customer, written: Fields, *, created: bool = False) -> Customer:
        number, name = customer["id"], unshown_field(written, customer)
        if name is None:
            return customer
        del customer  # a traceback would carry it, and with it a key that the server echoed
        raise unconfirmed(number, [name], created=created)


def _check_window(offset: int, limit: int) -> None:
    if offset < 0 or not 1 <= limit <= LARGEST_PAGE:
        msg = f"offset must be 0 or more, and limit 1 to {LARGEST_PAGE}, not {offset} and {limit}."
        raise HelpCrunchConfigurationError(msg)


def _check_page_size(page_size: int) -> None:
    if not 1 <= page_size <= LARGEST_PAGE:
        msg = f"page_size must be 1 to {LARGEST_PAGE} (HelpCrunch sends no more at once), not {page_size}."
        raise HelpCrunchConfigurationError(msg)


def _organization_in(payload: Any) -> Organization:
    data = payload.get("data", payload) if isinstance(payload, dict) else None
    if not isinstance(data, dict) or id_of(data) is None:
        msg = "the body holds no organization with an id"
        raise ValueError(msg)
    return with_integer_ids(data)  # type: ignore[return-value]
