"""
Searches: the request for one, and whether one that found nothing is right.

Some accounts answer a search that finds nothing with a 404, and some count wrongly, so that an empty page has a total
of one or more. But a wrong address is answered 404 too, a server in trouble may send either, and nothing may be taken
for an empty result by mistake. So requests whose answers are known decide:

- A 404 means "nothing" where a search for all records works; or where the plain list works and is empty, for then even
  a search for all records finds nothing.
- A total means nothing where a search that cannot match any record has one too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.filters import check_filters
from airflow_provider_helpcrunch.client.models import chat_of, customer_of
from airflow_provider_helpcrunch.client.pages import ListRequest
from airflow_provider_helpcrunch.exceptions import HelpCrunchNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_helpcrunch.client.filters import Filter, Resource
    from airflow_provider_helpcrunch.client.pages import Page
    from airflow_provider_helpcrunch.schema import Record

    Get = Callable[..., Page]
    """``get(request, offset, limit, probe=False)``: one page of a list; with ``probe`` an empty one is accepted,
    whatever its total says."""

OLDEST_FIRST: dict[Resource, dict[str, str]] = {
    "chats": {"sort": "chats.createdAt", "order": "asc"},
    "customers": {"sort": "customers.firstSeen", "order": "asc"},
}
EVERY: dict[Resource, dict[str, Any]] = {
    "chats": {"field": "chats.createdAt", "operator": ">=", "value": 0},
    "customers": {"field": "customers.id", "operator": ">", "value": 0},
}
"""Filters that match every record: the documentation requires one in every search."""

NONE: dict[Resource, dict[str, Any]] = {
    "chats": {"field": "chats.createdAt", "operator": "<", "value": 0},
    "customers": {"field": "customers.id", "operator": "<", "value": 0},
}
"""Filters that match no record."""

CONVERSIONS: dict[Resource, Callable[[Record], Record]] = {"chats": chat_of, "customers": customer_of}


def list_request(resource: Resource) -> ListRequest:
    """
    Return the request for all records, oldest first.

    :param resource: ``chats`` or ``customers``
    """
    return ListRequest("GET", f"/{resource}", OLDEST_FIRST[resource], resource, CONVERSIONS[resource])


def search_request(
    resource: Resource, filters: Iterable[Filter | Mapping[str, Any]] = (), comparison: str = "AND"
) -> ListRequest:
    """
    Return the request for a search, oldest first.

    :param resource: ``chats`` or ``customers``
    :param filters: the conditions. Default: none
    :param comparison: how they are joined: ``AND`` or ``OR`` (``AND``)
    :raises HelpCrunchConfigurationError: a condition is wrong
    """
    written, word = check_filters(filters, comparison, resource)
    query = {"filter": written or [EVERY[resource]], "comparison": word, **OLDEST_FIRST[resource]}
    return ListRequest("POST", f"/{resource}/search", query, resource, CONVERSIONS[resource])


def answers_404_for_nothing(get: Get, resource: Resource) -> bool:
    """
    Say whether a search that is answered 404 may have found nothing. One request, or two if there is no record at all.

    :param get: gets a page
    :param resource: ``chats`` or ``customers``
    :raises HelpCrunchError: a request failed in another way
    """
    try:
        get(search_request(resource), 0, 1)
    except HelpCrunchNotFoundError:
        pass
    else:
        return True
    try:
        return not get(list_request(resource), 0, 1).ids
    except HelpCrunchNotFoundError:
        return False


def counts_wrongly(get: Get, resource: Resource) -> bool:
    """
    Say whether even a search that cannot match any record has a total of one or more. One request.

    :param get: gets a page
    :param resource: ``chats`` or ``customers``
    :raises HelpCrunchError: the request failed
    """
    try:
        page = get(search_request(resource, [NONE[resource]]), 0, 1, probe=True)
    except HelpCrunchNotFoundError:
        return False
    return not page.ids and bool(page.total)
