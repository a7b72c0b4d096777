"""Changes that a customer needs to be as a row wants: pure functions, without values that are there already."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.client.customer_fields import FLAGS, TIMES, tag_names, whole
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_IN_LOCATION = ("city", "regionCode", "countryCode")
"""Fields that only older documentation lets a request set. Newer documentation has them in ``location``, read-only."""


def different_fields(fields: Mapping[str, Any], customer: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields in which a customer differs from what is wanted, as ``update_customer`` takes them.

    Custom attributes go with all others that the customer has: HelpCrunch does not document whether those that are
    left out keep their values.

    :param fields: the wanted fields, as requests write them
    :param customer: the customer, as HelpCrunch sent it. A field that it lacks differs
    """
    changes: dict[str, Any] = {}
    for name, wanted in fields.items():
        found = _found(name, customer)
        if name == "customData":
            if changed := _different_attributes(wanted, found):
                changes[name] = changed
        elif _plain(name, found) != _plain(name, wanted):
            changes[name] = wanted
    return changes


class NotKept(NamedTuple):
    """
    Fields that HelpCrunch accepted, and shows with another value than the one that was sent.

    :param names: all of them
    :param untouched: those that it left as they were; it writes the others its own way
    """

    names: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()


def fields_not_kept(sent: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> NotKept:
    """
    Return the fields that HelpCrunch did not keep.

    :param sent: the fields that were sent, as requests write them
    :param before: the customer, as it was; empty for one who was created
    :param after: the customer that HelpCrunch sent back
    """
    names = tuple(different_fields(sent, after))
    untouched = (
        name for name in names if _plain(name, _found(name, after)) == _plain(name, _found(name, before))
    )
    return NotKept(names, tuple(untouched))


def may_be_ignored(name: str, customer: Mapping[str, Any]) -> bool:
    """
    Say whether an account may ignore a field: one that it does not show, or that is documented as read-only too.

    :param name: its name
    :param customer: the customer, as HelpCrunch sent it
    """
    return name in _IN_LOCATION or name not in customer


def missing_tags(tags: Iterable[Mapping[str, Any]], customer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """
    Return the tags that a customer does not have. Upper and lower case make no difference.

    :param tags: objects with ``name``
    :param customer: the customer, as HelpCrunch sent it
    """
    there = tag_names(customer.get("tags"))
    return [tag for tag in tags if not tag_names([tag]) & there]


def present_tags(tags: Iterable[Mapping[str, Any]], customer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return the tags of a customer that are among these, spelled as the customer has them.

    :param tags: objects with ``name``
    :param customer: the customer, as HelpCrunch sent it
    """
    unwanted = tag_names(tags)
    return [{"name": tag["name"]} for tag in customer.get("tags") or () if tag_names([tag]) & unwanted]


def _found(name: str, customer: Mapping[str, Any]) -> Any:
    if name in _IN_LOCATION:
        return (customer.get("location") or {}).get(name)
    return customer.get(name)


def _different_attributes(wanted: Any, found: Any) -> list[dict[str, Any]]:
    """Return all custom attributes of a customer as they should be, in the shape of a request; none if they are."""
    there = dict(found or {})
    changed = {
        pair["property"]: pair["value"]
        for pair in wanted or ()
        if _text(there.get(pair["property"])) != _text(pair["value"])
    }
    kept = {name: value for name, value in there.items() if isinstance(value, str | int | float)}
    whole = {**kept, **changed} if changed else {}
    return [{"property": name, "value": value} for name, value in whole.items()]


def _plain(name: str, value: Any) -> str:
    """Return a value as it is compared: HelpCrunch may trim a text, write an address small, or a number its own way."""
    if name in TIMES:
        seen = parse_timestamp(value)
        return "" if seen is None else str(int(seen.timestamp()))
    if name in FLAGS:
        return _text(bool(value))
    if name == "customData":
        return str(dict(value or {}))
    text = _text(value)
    if name == "email":
        return text.casefold()
    return re.sub(r"\D", "", text) or text if name == "phone" else text


def _text(value: Any) -> str:
    """Return a value as text; a date attribute is sent as digits and comes back as a number."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(whole(value)).strip()
