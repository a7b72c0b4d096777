"""Client of the HelpCrunch REST API v1: one method per endpoint, named after the resource."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_helpcrunch.client.confirmation import Confirmation, chat_in, seconds_in
from airflow_provider_helpcrunch.client.credentials import (
    DEFAULT_BASE_URL,
    ApiKey,
    check_api_key,
    check_base_url,
)
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.filters import check_filters
from airflow_provider_helpcrunch.client.ids import check_id, id_in
from airflow_provider_helpcrunch.client.models import chat_of
from airflow_provider_helpcrunch.client.pages import ListRequest, Page
from airflow_provider_helpcrunch.client.pagination import ActivityListing, Listing, refuse_wrong_activity
from airflow_provider_helpcrunch.client.redaction import Redactor
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.client.transport import IN_FLIGHT, Transport, Usage
from airflow_provider_helpcrunch.client.vocabulary import status_of, written_rating, written_statuses
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.rate_limit.limiter import (
    DEFAULT_ON_FAILURE,
    DEFAULT_REQUESTS_PER_MINUTE,
    DEFAULT_STORE,
    RateLimiter,
    open_rate_limiter,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Mapping
    from typing import Literal

    from redis import Redis
    from requests.adapters import BaseAdapter

    from airflow_provider_helpcrunch.client.filters import Filter
    from airflow_provider_helpcrunch.client.models import Agent, Chat, Department, Organization
    from airflow_provider_helpcrunch.client.timestamps import Moment

    Filters = Iterable[Filter | Mapping[str, Any]]

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 20.0

OLDEST_FIRST = {"sort": "chats.createdAt", "order": "asc"}
LATEST_ACTIVITY_FIRST = {"sort": "chats.lastMessageAt", "order": "desc"}
EVERY_CHAT = {"field": "chats.createdAt", "operator": ">=", "value": 0}
"""Filter that matches every chat: the documentation requires one in every search."""


class HelpCrunchClient:
    """
    A HelpCrunch account, through its REST API v1.

    Every chat is a dictionary as the API sent it, except that ``status`` and ``rating`` have one spelling each; the
    original values are in ``statusRaw`` and ``ratingRaw``. Every change is checked: the chat that HelpCrunch sends back
    must show it.

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
    ) -> None:
        api_key = ApiKey(api_key)
        check_api_key(api_key)
        self.base_url = check_base_url(base_url)
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

    # Agents, departments, the account

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
        return self._listing(ListRequest("GET", "/chats", OLDEST_FIRST, "chats", chat_of), page_size)

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
        return self._listing(_search(filters, comparison), page_size)

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
        if offset < 0 or not 1 <= limit <= LARGEST_PAGE:
            msg = f"offset must be 0 or more, and limit 1 to {LARGEST_PAGE}, not {offset} and {limit}."
            raise HelpCrunchConfigurationError(msg)
        return self._page(_search(filters, comparison), offset, limit, probe=probe)

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
            msg = f"side must be agent or customer, not {side!r}."
            raise HelpCrunchConfigurationError(msg)
        # The chats of older accounts lack these fields; a field that is missing cannot contradict the change.
        confirmation = Confirmation(fields[side], bool(read), lambda chat, field: chat.get(field, bool(read)))
        return self._update(fields[side], chat_id, {"read": bool(read)}, confirmation)

    # Reading a list, changing a chat

    def _listing(self, request: ListRequest, page_size: int) -> Listing[Any]:
        _check_page_size(page_size)
        return Listing(partial(self._page, request), page_size=page_size, in_flight=IN_FLIGHT)

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
        except HelpCrunchNotFoundError as error:
            if request.method != "POST":
                raise
            not_found = error
        # Some accounts answer 404 to a search that finds nothing. But so does a wrong address, and a server in trouble
        # may: only where a search for every chat works, and this one is refused again, does it mean "nothing matches".
        try:
            get(_search((), "AND"), 0, 1)
        except HelpCrunchNotFoundError:
            raise not_found from None
        try:
            return get(request, offset, limit, probe=probe)
        except HelpCrunchNotFoundError:
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


def _search(filters: Filters, comparison: str) -> ListRequest:
    written, word = check_filters(filters, comparison)
    query = {"filter": written or [EVERY_CHAT], "comparison": word, **OLDEST_FIRST}
    return ListRequest("POST", "/chats/search", query, "chats", chat_of)


def _check_page_size(page_size: int) -> None:
    if not 1 <= page_size <= LARGEST_PAGE:
        msg = f"page_size must be 1 to {LARGEST_PAGE} (HelpCrunch sends no more at once), not {page_size}."
        raise HelpCrunchConfigurationError(msg)


def _organization_in(payload: Any) -> Organization:
    data = payload.get("data", payload) if isinstance(payload, dict) else None
    if not isinstance(data, dict) or "id" not in data:
        msg = "the body holds no organization with an id"
        raise ValueError(msg)
    return data  # type: ignore[return-value]
