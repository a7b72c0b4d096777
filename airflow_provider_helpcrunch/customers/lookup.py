"""
Lookup of customers by their keys, many with each request.

A search by many keys joins its conditions with ``OR``. Nothing guarantees that an account honours that, and a search
that finds nobody would make the engine create everybody twice. So each such search also asks for a customer who is
known to exist, the witness: without the witness in the result it proves nothing, and the customers are looked up one by
one.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.retry import FAULTS
from airflow_provider_helpcrunch.customers.rows import Row, UnfitError, key_in
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.models import Customer

Found: TypeAlias = "dict[Any, list[Customer]]"
"""The customers that were found, by key."""

AT_ONCE = 50
"""Customers looked up with one request. A page holds 100, which leaves room for customers who share a key."""


class Lookup:
    """
    Finds customers by one key.

    :param key: ``id``, ``userId`` or ``email``
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._witness: int | None = None

    def of(self, client: HelpCrunchClient, rows: Sequence[Row]) -> Found | None:
        """
        Find the customers of many rows. One request, and one more the first time.

        :param client: the account
        :param rows: up to :data:`AT_ONCE` rows with a key
        :return: the customers by key; ``None`` if they have to be looked up one by one
        :raises HelpCrunchError: an error that concerns more than these rows, such as the rate limit or a wrong key
        """
        if not rows:
            return {}
        try:
            if self._witness is None:
                self._witness = _any_customer(client)
            if self._witness is None:
                return None
            filters = [self._filter(value) for row in rows for value in self._spellings(row)]
            # Last, so that it is lost with the others where only some of the conditions are looked at.
            filters.append(Filter("customers.id", "=", self._witness))
            found, ids = self._searched(client, filters, rows)
        # One of the keys may be one that HelpCrunch cannot take: each alone shows which.
        except (HelpCrunchBadRequestError, *FAULTS):
            return None
        if self._witness in ids:
            return found
        self._witness = None
        return None

    def of_one(self, client: HelpCrunchClient, row: Row) -> list[Customer]:
        """
        Find the customers of one row. One request, or two for an email address with capital letters.

        :param client: the account
        :param row: the row
        :raises HelpCrunchError: the lookup failed
        """
        if self._key == "id":
            try:
                return [client.get_customer(row.key)]
            except HelpCrunchNotFoundError:
                return []
        # Each spelling alone: this is the way without trust in OR.
        found = {
            customer["id"]: customer
            for value in self._spellings(row)
            for customer in self._searched(client, [self._filter(value)], [row])[0][row.key]
        }
        return list(found.values())

    def _filter(self, value: Any) -> Filter:
        return Filter(f"customers.{self._key}", "=", value)

    def _spellings(self, row: Row) -> list[Any]:
        """Return the values to search for: whether HelpCrunch regards upper and lower case is not documented."""
        if self._key != "email":
            return [row.key]
        return list(dict.fromkeys((str(row.fields["email"]).strip(), row.key)))

    def _searched(
        self, client: HelpCrunchClient, filters: Sequence[Filter], rows: Sequence[Row]
    ) -> tuple[Found, set[int]]:
        """Return the customers by key, and the ids of all that HelpCrunch sent."""
        found: Found = {row.key: [] for row in rows}
        ids: set[int] = set()
        small = {str(row.key).casefold() for row in rows}
        with contextlib.closing(client.iter_search_customers(filters, comparison="OR")) as customers:
            for customer in customers:
                key = self._key_of(customer)
                ids.add(customer["id"])
                if key in found:
                    found[key].append(customer)
                elif customer["id"] != self._witness and str(key).casefold() not in small:
                    msg = (
                        f"HelpCrunch ignored a search condition: it sent the customer {customer['id']}, whose "
                        f"{self._key} was not searched for."
                    )
                    raise HelpCrunchResponseError(msg)
        return found, ids

    def _key_of(self, customer: Customer) -> Any:
        try:
            return key_in(customer, self._key)
        except UnfitError:
            return None


def _any_customer(client: HelpCrunchClient) -> int | None:
    """Return the id of a customer of the account; ``None`` if there is none. One request."""
    ids = client.search_customers_page(limit=1).ids
    return ids[0] if ids else None
