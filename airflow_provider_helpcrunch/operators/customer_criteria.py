"""Conditions of a search of customers: those that HelpCrunch applies, all of which are checked here too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.contradiction import refuse_contradiction
from airflow_provider_helpcrunch.client.customer_fields import tag_names
from airflow_provider_helpcrunch.client.filters import Filter, check_filters
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_TAGS = "customers.tagsData"


@dataclass(frozen=True, slots=True)
class CustomerCriteria:
    """
    All conditions of a search of customers, validated.

    :param given: the user's own filters
    :param comparison: how these are joined: ``AND`` or ``OR``
    :param times: ``seen_since`` and ``seen_before``; ``None``: no bound
    :param texts: the values of ``email``, ``userId`` and ``company`` that a customer must have, by these names
    :param tags: names of tags, sorted; none: any customer
    :param any_tag: whether one of the tags suffices
    :raises HelpCrunchConfigurationError: they contradict each other, or one of them is wrong
    """

    given: tuple[Filter | Mapping[str, Any], ...]
    comparison: str
    times: Mapping[str, Any]
    texts: Mapping[str, str]
    tags: tuple[str, ...]
    any_tag: bool
    _bounds: dict[str, datetime] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Refuse conditions that contradict each other."""
        bounds = {name: moment(name, value) for name, value in self.times.items() if value is not None}
        self._bounds.update(bounds)
        since, before = bounds.get("seen_since"), bounds.get("seen_before")
        if since is not None and before is not None and since >= before:
            msg = f"seen_since ({since.isoformat()}) must be earlier than seen_before ({before.isoformat()})."
            raise HelpCrunchConfigurationError(msg)
        _, word = check_filters(self.given, self.comparison, "customers")
        if word == "OR" and (bounds or self.texts or self.tags):
            msg = (
                "With comparison OR HelpCrunch can search by filters alone: put times, email, user_id, company and "
                "tags into filters, or search twice."
            )
            raise HelpCrunchConfigurationError(msg)

    def search(self) -> tuple[list[Filter | Mapping[str, Any]], str]:
        """Return the filters that HelpCrunch applies, and the word that joins them."""
        filters: list[Filter | Mapping[str, Any]] = [
            Filter("customers.lastSeen", ">=" if name == "seen_since" else "<", bound)
            for name, bound in self._bounds.items()
        ]
        filters += [Filter(f"customers.{name}", "=", text) for name, text in self.texts.items()]
        filters += self.given
        if not self.any_tag or len(self.tags) < 2:
            return [*filters, *([Filter(_TAGS, "=", self.tags)] if self.tags else ())], self.comparison
        if filters:
            # HelpCrunch joins all filters by the same word, so "one of these tags" beside others is left to match().
            return filters, self.comparison
        return [Filter(_TAGS, "=", name) for name in self.tags], "OR"

    def match(self, customer: Mapping[str, Any]) -> bool:
        """
        Say whether a customer meets all conditions, with times compared to the fraction of a second.

        :param customer: a customer that HelpCrunch found
        :raises HelpCrunchResponseError: a field needed for this is unreadable, or the customer contradicts a user's
            filter
        """
        refuse_contradiction(self.given, self.comparison, customer, "customers")
        return (
            all(self._in_time(name, bound, customer) for name, bound in self._bounds.items())
            and all(_has_text(name, text, customer) for name, text in self.texts.items())
            and (not self.tags or self._has_tags(customer))
        )

    def _in_time(self, name: str, bound: datetime, customer: Mapping[str, Any]) -> bool:
        raw = _value("lastSeen", object, customer)
        if raw in (None, ""):
            return False
        if (found := parse_timestamp(raw)) is None:
            raise _unreadable(customer, "lastSeen")
        return found >= bound if name == "seen_since" else found < bound

    def _has_tags(self, customer: Mapping[str, Any]) -> bool:
        wanted = {name.casefold() for name in self.tags}
        there = tag_names(_value("tags", list, customer))
        return not wanted.isdisjoint(there) if self.any_tag else wanted <= there


def _has_text(name: str, wanted: str, customer: Mapping[str, Any]) -> bool:
    """Compare a text without regard to case: HelpCrunch does not document how it compares."""
    found = _value(name, str, customer)
    return found is not None and found.strip().casefold() == wanted.casefold()


def _value(name: str, kind: type, customer: Mapping[str, Any]) -> Any:
    """Return a field, which may be ``None``, but must be there."""
    if name not in customer or not isinstance(customer[name], (kind, type(None))):
        raise _unreadable(customer, name)
    return customer[name]


def _unreadable(customer: Mapping[str, Any], name: str) -> HelpCrunchResponseError:
    msg = f"HelpCrunch sent the customer {customer.get('id')} without a readable {name}."
    return HelpCrunchResponseError(msg)
