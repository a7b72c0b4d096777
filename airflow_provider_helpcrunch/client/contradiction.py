"""Check of found chats or customers against the filters of the search."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.ids import id_of
from airflow_provider_helpcrunch.client.vocabulary import STATUSES, status_of
from airflow_provider_helpcrunch.exceptions import HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_helpcrunch.client.filters import Resource

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_IDS = {
    "chats.assignee": "assignee",
    "chats.department": "department",
    "chats.customer": "customer",
    "customers.id": "id",
}
_TIMES = {
    "chats.createdAt": "createdAt",
    "chats.closedAt": "closedAt",
    "customers.lastSeen": "lastSeen",
}


def refuse_contradiction(
    filters: tuple[Filter | Mapping[str, Any], ...],
    comparison: str,
    record: Mapping[str, Any],
    resource: Resource = "chats",
) -> None:
    """
    Refuse a record that does not match the filters: a server that ignored a filter would otherwise go unnoticed.

    Texts, tags and comparisons with null are not checked, because HelpCrunch does not document how it compares them.

    :param filters: the filters of the search, already validated
    :param comparison: ``AND`` or ``OR``
    :param record: a chat or customer that HelpCrunch found
    :param resource: which of them it is, ``chats`` or ``customers`` (``chats``)
    :raises HelpCrunchResponseError: the record does not match
    """
    verdicts = [_admits(Filter.of(given), record, resource) for given in filters]
    if verdicts and not (all(verdicts) if comparison.upper() == "AND" else any(verdicts)):
        msg = (
            f"HelpCrunch ignored a search condition: it sent the {resource.removesuffix('s')} {record.get('id')}, "
            "which does not match."
        )
        raise HelpCrunchResponseError(msg)


def _admits(condition: Filter, record: Mapping[str, Any], resource: Resource) -> bool:
    sent = condition.written(resource)
    field, value, compare = condition.field, sent["value"], _COMPARE.get(condition.operator)
    if field == "chats.status" and compare and status_of(value) in STATUSES:
        return compare(record.get("status"), status_of(value))
    if field in _IDS:
        found = id_of(record.get(_IDS[field]))
        # A chat of nobody does not match "assignee = 5". Whether it matches "assignee != 5" is not documented, so
        # either is accepted.
        return (condition.operator != "=") if found is None else bool(compare and compare(found, value))
    found_at = parse_timestamp(record.get(_TIMES[field])) if field in _TIMES else None
    if found_at is not None and compare is not None and condition.operator != "=":
        seconds = found_at.timestamp()
        # HelpCrunch may compare whole seconds or fractions, so both are accepted.
        return compare(int(seconds), value) or compare(seconds, value)
    return True
