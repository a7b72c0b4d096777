"""Searches: from a JSON body to a query, or to the complaints of HelpCrunch's validator."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_helpcrunch.sandbox.chat_filters import Test, compiled
from airflow_provider_helpcrunch.sandbox.complaints import ARRAY, CHOICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_helpcrunch.sandbox.chat_data import Chat

Complaints: TypeAlias = dict[str, str]

SORTS = {
    "chats.createdAt": "created_at",
    "chats.lastCustomerMessageAt": "last_customer_message_at",
    "chats.lastMessageAt": "last_message_at",
    "chats.closedAt": "closed_at",
}
DIRECTIONS = ("asc", "desc")


@dataclass(frozen=True, slots=True)
class Query:
    """
    Which chats, in which order. Queries of the same words are equal.

    :param sort: the field of :class:`~.chat_data.Chat` that comes first in the order, before the id
    :param descending: the whole order is turned around
    :param words: the filters as JSON
    :param tests: the filters as functions
    :param any_of: a chat needs to pass one test instead of all
    """

    sort: str = "created_at"
    descending: bool = True
    words: str = ""
    tests: tuple[Test, ...] = field(default=(), compare=False)
    any_of: bool = False

    def select(self, chats: list[Chat]) -> Iterable[Chat]:
        """Return the chats that pass, in the order given."""
        tests = self.tests
        if self.any_of and tests:
            return [chat for chat in chats if any(test(chat) for test in tests)]
        selected: Iterable[Chat] = chats
        for test in tests:
            selected = filter(test, selected)
        return selected


def ordering(asked: Mapping[str, Any]) -> tuple[Query, Complaints]:
    """
    Read ``sort`` (with or without ``chats.``) and ``order`` (in any case); default: the newest chat first.

    :param asked: the query parameters, or the body of a search
    :return: the query, and what is wrong by field
    """
    sort, order = asked.get("sort"), asked.get("order")
    key = "chats.createdAt" if sort is None else sort
    if isinstance(key, str):
        key = "chats." + key.removeprefix("chats.")
    direction = order.lower() if isinstance(order, str) else "desc" if order is None else order
    complaints = {}
    if not isinstance(key, str) or key not in SORTS:
        complaints["sort"] = CHOICE
    if direction not in DIRECTIONS:
        complaints["order"] = CHOICE
    query = Query() if complaints else Query(SORTS[key], direction == "desc")
    return query, complaints


def search(
    asked: Mapping[str, Any], *, updated_at: bool, ignore_filter: bool = False
) -> tuple[Query, Complaints]:
    """
    Read the body of a search, apart from its page.

    :param asked: the body
    :param updated_at: ``chats.updatedAt`` is a field
    :param ignore_filter: check the filter, but search without it
    :return: the query, and what is wrong by field
    """
    query, complaints = ordering(asked)
    comparison = "AND" if asked.get("comparison") is None else asked["comparison"]
    if not isinstance(comparison, str) or comparison.upper() not in ("AND", "OR"):
        complaints["comparison"] = CHOICE
    filters = asked.get("filter") or []
    if not isinstance(filters, list):
        return query, {**complaints, "filter": ARRAY}
    tests = []
    for place, each in enumerate(filters):
        test, wrong = compiled(each, updated_at=updated_at)
        complaints |= {f"filter[{place}]{part}": text for part, text in wrong.items()}
        tests.append(test)
    if complaints or ignore_filter:
        return query, complaints
    any_of = comparison.upper() == "OR"
    return Query(query.sort, query.descending, json.dumps(filters), tuple(tests), any_of), {}
