"""The chat endpoints of the API."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.activity import ActivityListing
from airflow_provider_helpcrunch.client.chat_updates import ChatUpdates, chat_parser
from airflow_provider_helpcrunch.client.endpoints import check_id, check_page_size
from airflow_provider_helpcrunch.client.filters import check_filters
from airflow_provider_helpcrunch.client.pages import Page, refuse_empty_chats
from airflow_provider_helpcrunch.client.paging import LARGEST_PAGE
from airflow_provider_helpcrunch.client.records import chat_of
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_helpcrunch.client.filters import Filter
    from airflow_provider_helpcrunch.client.paging import Check, Fetch, Listing
    from airflow_provider_helpcrunch.client.records import Chat
    from airflow_provider_helpcrunch.client.timestamps import Moment

    Filters = Iterable[Filter | Mapping[str, Any]]

OLDEST_FIRST = {"sort": "chats.createdAt", "order": "asc"}
LATEST_ACTIVITY_FIRST = {"sort": "chats.lastMessageAt", "order": "desc"}
EVERY_CHAT = {"field": "chats.createdAt", "operator": ">=", "value": 0}
"""The documentation wants a filter in every search."""


class ChatEndpoints(ChatUpdates):
    """
    Chats: find them, and change them one by one.

    Every chat is a dictionary as the API sent it, but ``status`` and ``rating`` are in one spelling, and what was
    sent is in ``statusRaw`` and ``ratingRaw``. Every change is checked: the chat that HelpCrunch sends back must show
    it.
    """

    def iter_chats(self, *, page_size: int = LARGEST_PAGE) -> Listing[Chat]:
        """
        Yield every chat of the account exactly once, oldest first.

        :param page_size: records a page, 1 to 100 (100)
        :return: an iterator with ``pages``, ``total`` and ``warnings``; close it when you stop early
        :raises HelpCrunchPaginationError: while iterating, when completeness cannot be promised
        :raises HelpCrunchError: while iterating, when a request fails for good

        API: https://docs.helpcrunch.com/rest-api-v1/get-chats-v1
        """
        check_page_size(page_size)
        return self._walk(self._chat_pages(OLDEST_FIRST), page_size)

    def list_chats(self, *, page_size: int = LARGEST_PAGE) -> list[Chat]:
        """Return :meth:`iter_chats` as a list."""
        return list(self.iter_chats(page_size=page_size))

    def iter_active_chats(self, since: Moment, *, page_size: int = LARGEST_PAGE) -> ActivityListing:
        """
        Yield every chat whose last message is not older than a moment exactly once, latest activity first.

        :param since: the moment: a ``datetime``, ISO 8601 text or UNIX seconds; without an offset it is UTC
        :param page_size: records a page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_chats`
        :raises HelpCrunchPaginationError: while iterating, when the chats do not come latest activity first

        API: https://docs.helpcrunch.com/rest-api-v1/get-chats-v1
        """
        check_page_size(page_size)
        return ActivityListing(
            self._chat_pages(LATEST_ACTIVITY_FIRST), moment("since", since), page_size=page_size
        )

    def iter_search_chats(
        self, filters: Filters = (), *, comparison: str = "AND", page_size: int = LARGEST_PAGE
    ) -> Listing[Chat]:
        """
        Yield every chat that matches exactly once, oldest first.

        :param filters: the conditions, as :class:`~.filters.Filter` or ``{"field", "operator", "value"}``. Default:
            none
        :param comparison: ``AND``: all of them must hold, or ``OR``: one of them (``AND``)
        :param page_size: records a page, 1 to 100 (100)
        :return: an iterator like that of :meth:`iter_chats`
        :raises HelpCrunchConfigurationError: a filter is wrong; nothing was sent

        API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
        """
        check_page_size(page_size)
        search = self._search(filters, comparison)
        return self._walk(search, page_size)

    def search_chats(
        self, filters: Filters = (), *, comparison: str = "AND", page_size: int = LARGEST_PAGE
    ) -> list[Chat]:
        """Return :meth:`iter_search_chats` as a list."""
        return list(self.iter_search_chats(filters, comparison=comparison, page_size=page_size))

    def search_chats_page(
        self,
        filters: Filters = (),
        *,
        comparison: str = "AND",
        offset: int = 0,
        limit: int = LARGEST_PAGE,
    ) -> Page:
        """
        Return one page of :meth:`iter_search_chats`, for work that changes what it reads. One request.

        :param offset: how many chats of the result come before the page (0)
        :param limit: chats in the page at most, 1 to 100 (100)
        :return: ``records``, ``ids`` and ``total``
        :raises HelpCrunchPaginationError: the page stays empty, though its total says that there is more
        :raises HelpCrunchError: the request failed for good
        """
        if offset < 0 or not 1 <= limit <= LARGEST_PAGE:
            msg = f"offset must be 0 or more, and limit 1 to {LARGEST_PAGE}, not {offset} and {limit}."
            raise HelpCrunchConfigurationError(msg)
        search = self._search(filters, comparison)
        return search(offset, limit, lambda page: refuse_empty_chats(page, offset), threading.Event())

    def get_chat(self, chat_id: int) -> Chat:
        """
        Return one chat. One request.

        :param chat_id: its id
        :raises HelpCrunchNotFoundError: there is no such chat

        API: https://docs.helpcrunch.com/rest-api-v1/get-chat-v1
        """
        chat_id = check_id("chat_id", chat_id)
        return self._transport.call("GET", f"/chats/{chat_id}", chat_parser(chat_id))

    def _chat_pages(self, sorting: Mapping[str, str]) -> Fetch:
        def fetch(offset: int, limit: int, check: Check, cancelled: threading.Event) -> Page:
            params = {**sorting, "offset": offset, "limit": limit}
            return self._page("GET", "/chats", check, made_of=chat_of, params=params, cancelled=cancelled)

        return fetch

    def _search(self, filters: Filters, comparison: str) -> Fetch:
        written, word = check_filters(filters, comparison)
        query = {"filter": written or [EVERY_CHAT], "comparison": word, **OLDEST_FIRST}

        def fetch(offset: int, limit: int, check: Check, cancelled: threading.Event) -> Page:
            body = {**query, "offset": offset, "limit": limit}
            try:
                return self._found(body, check, cancelled)
            except HelpCrunchNotFoundError:
                if (page := self._second_look(body, check, cancelled)) is None:
                    raise
                return page

        return fetch

    def _found(self, body: dict[str, Any], check: Check, cancelled: threading.Event) -> Page:
        path = "/chats/search"
        return self._page("POST", path, check, made_of=chat_of, json=body, cancelled=cancelled)

    def _second_look(self, body: dict[str, Any], check: Check, cancelled: threading.Event) -> Page | None:
        """
        Find out what a search means that was answered 404; ``None``: nothing but an error.

        Some accounts answer so when nothing matches. But so does a wrong address, and a server in trouble may.
        """
        any_chat = {**body, "filter": [EVERY_CHAT], "comparison": "AND", "offset": 0, "limit": 1}
        nothing = Page([], [], None)

        def found(body: dict[str, Any], check: Check) -> Page | None:
            with contextlib.suppress(HelpCrunchNotFoundError):
                return self._found(body, check, cancelled)
            return None

        if (page := found(body, check)) is not None:
            return page
        try:
            chats = self._chat_pages(OLDEST_FIRST)(0, 1, refuse_empty_chats, cancelled)
        except HelpCrunchNotFoundError:
            return None
        if not chats.ids:
            return nothing
        if found(any_chat, refuse_empty_chats) is None:
            return None
        return nothing if (page := found(body, check)) is None else page
