"""Fields and tags of a customer, as requests write them, and whether a response shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from airflow_provider_helpcrunch.client.ids import check_id, integer_from
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchUnconfirmedError
from airflow_provider_helpcrunch.plurals import quoted

Fields = Mapping[str, Any]
Tags = Iterable[str | Mapping[str, Any]]

LARGEST_BATCH = 10
"""Most customers in one request."""

TEXTS = (
    *(
        "name",
        "email",
        "userId",
        "company",
        "phone",
        "source",
        "locale",
        "notes",
        "createdFrom",
        "integrationId",
    ),
    *("referer", "lastPage"),
    *("city", "regionCode", "countryCode"),  # in older documentation only
)
TIMES = ("firstSeen", "lastSeen")
FLAGS = ("unsubscribed", "blocked")
UPDATE_FIELDS = (*TEXTS, *TIMES, *FLAGS, "tags", "customData")
CREATE_FIELDS = tuple(
    name
    for name in UPDATE_FIELDS
    if name not in ("lastSeen", *FLAGS, "referer", "lastPage", "city", "regionCode", "countryCode")
)

LARGEST_EXACT = 2**53
"""From here on, a float does not hold every integer."""

SHOWN = ("name", "email", "userId", "company", "notes", *FLAGS)
"""Fields that a response must repeat. HelpCrunch may rewrite the others: a phone number, the colour of a tag."""


def written_fields(fields: Any, allowed: tuple[str, ...] = UPDATE_FIELDS) -> dict[str, Any]:
    """
    Return the fields of a customer as a request writes them.

    :param fields: values by their names in the API; ``None`` clears a field. ``firstSeen`` and ``lastSeen`` may be
        anything that :func:`~.timestamps.moment` reads; ``tags`` names, or objects with ``name`` and ``color``;
        ``customData`` a dictionary, or the API's array of ``property`` and ``value``; ``None`` in it empties an
        attribute, and is sent as an empty text
    :param allowed: the fields that the request may have. Default: those of an update
    :raises HelpCrunchConfigurationError: a field does not exist, or its value does not fit
    """
    if not isinstance(fields, Mapping):
        msg = f"The fields of a customer are an object, not {quoted(fields)}."
        raise HelpCrunchConfigurationError(msg)
    if unknown := [name for name in fields if name not in allowed]:
        msg = f"A customer has no field {quoted(unknown[0])} that can be set here; fields are {', '.join(allowed)}."
        raise HelpCrunchConfigurationError(msg)
    return {name: None if value is None else _written(name, value) for name, value in fields.items()}


def written_change(fields: Any) -> dict[str, Any]:
    """
    Return the fields of a change, which must have at least one.

    :param fields: as for :func:`written_fields`
    :raises HelpCrunchConfigurationError: there is none, one does not exist, or its value does not fit
    """
    written = written_fields(fields)
    if not written:
        msg = "The change of a customer must set at least one field."
        raise HelpCrunchConfigurationError(msg)
    return written


def written_batches(changes: Iterable[Any]) -> list[dict[int, dict[str, Any]]]:
    """
    Return changes of many customers in batches, each with the fields of up to ten customers by their ids.

    :param changes: objects with ``customer`` (the id) and the fields to set
    :raises HelpCrunchConfigurationError: one of them is wrong, or a customer is named twice
    """
    written: dict[int, dict[str, Any]] = {}
    for change in changes:
        if not isinstance(change, Mapping):
            msg = f"A change is an object with customer and fields, not {quoted(change)}."
            raise HelpCrunchConfigurationError(msg)
        number = check_id("customer", change.get("customer"))
        if number in written:
            msg = f"The customer {number} is to be changed twice."
            raise HelpCrunchConfigurationError(msg)
        written[number] = written_change({name: change[name] for name in change if name != "customer"})
    rows = list(written.items())
    return [dict(rows[start : start + LARGEST_BATCH]) for start in range(0, len(rows), LARGEST_BATCH)]


def written_tags(tags: Any) -> list[dict[str, Any]]:
    """
    Return tags as a request writes them.

    :param tags: names, or objects with ``name`` and ``color``
    :raises HelpCrunchConfigurationError: one of them has no name
    """
    given = [tags] if isinstance(tags, str | Mapping) else tags
    rows = [dict(tag) if isinstance(tag, Mapping) else {"name": tag} for tag in _listed("tags", given)]
    for row in rows:
        if not isinstance(row.get("name"), str) or not row["name"] or not row.keys() <= {"name", "color"}:
            msg = f"A tag is a name, or an object with name and color, not {quoted(row)}."
            raise HelpCrunchConfigurationError(msg)
    return rows


def some_tags(tags: Any) -> list[dict[str, Any]]:
    """
    Return tags as a request writes them; there must be at least one.

    :param tags: as for :func:`written_tags`
    :raises HelpCrunchConfigurationError: there is none, or one of them has no name
    """
    if not (rows := written_tags(tags)):
        msg = "tags must name at least one tag."
        raise HelpCrunchConfigurationError(msg)
    return rows


def unshown_field(written: Fields, customer: Mapping[str, Any]) -> str | None:
    """
    Return the name of a field that contradicts a change.

    :param written: the fields that were sent
    :param customer: the customer that HelpCrunch sent back; a field that it lacks contradicts nothing
    """
    return next(
        (
            name
            for name in SHOWN
            if name in written and name in customer and _plain(customer[name]) != _plain(written[name])
        ),
        None,
    )


def whole(value: Any) -> Any:
    """
    Return the integer of a float without a fraction, such as data frames make of a column of integers with gaps.

    :param value: any value
    :return: the integer; the value itself if it is no such float, or so large that a float may have lost digits of it
    """
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_EXACT
    return int(value) if is_whole else value


def text_from(value: Any) -> str | None:
    """
    Return the text of a field that holds one, which may have become a number on its way, as ``userId`` may.

    :param value: what was given
    :return: the text, the digits of a whole number, or the text of a UUID; ``None`` for everything else
    """
    if isinstance(value, str | UUID):
        return str(value)
    number = integer_from(whole(value))
    return None if number is None else str(number)


def unconfirmed(
    customer_id: int, names: Iterable[str], *, created: bool = False
) -> HelpCrunchUnconfirmedError:
    """
    Return the error for a customer that HelpCrunch sent back with other values than those that were sent.

    :param customer_id: the customer
    :param names: the names of these fields. Their values stay out of the message: they are personal data
    :param created: whether the customer is new (``False``: it was changed)
    """
    done = "created" if created else "accepted a change of"
    msg = (
        f"HelpCrunch {done} the customer {customer_id}, but the customer that it sent back shows other "
        f"{', '.join(names)}."
    )
    return HelpCrunchUnconfirmedError(msg)


def tag_names(tags: Any) -> set[str]:
    """
    Return the names of tags in small letters.

    :param tags: objects with ``name``
    """
    return {
        str(tag["name"]).strip().casefold()
        for tag in tags or ()
        if isinstance(tag, Mapping) and "name" in tag
    }


def _written(name: str, value: Any) -> Any:
    if name in TIMES:
        return str(int(moment(name, value).timestamp()))
    if name == "tags":
        return written_tags(value)
    if name == "customData":
        return _pairs(value)
    if name in FLAGS:
        if isinstance(value, bool):
            return value
    elif (text := text_from(value)) is not None:
        return text
    msg = (
        f"{name} of a customer must be {'true or false' if name in FLAGS else 'a text'}, not {quoted(value)}."
    )
    raise HelpCrunchConfigurationError(msg)


def _pairs(data: Any) -> list[dict[str, Any]]:
    """Return custom attributes as requests write them: an array, although responses have an object."""
    if isinstance(data, Mapping):
        data = [{"property": name, "value": value} for name, value in data.items()]
    rows = _listed("customData", data)
    for row in rows:
        fits = isinstance(row, Mapping) and row.keys() == {"property", "value"}
        if not fits or not isinstance(row["property"], str) or not _is_scalar(row["value"]):
            msg = f"customData sets a text, a number, true, false or None for each name, not {quoted(row)}."
            raise HelpCrunchConfigurationError(msg)
    # HelpCrunch documents texts, numbers, true and false here, and no null.
    return [{**row, "value": "" if row["value"] is None else row["value"]} for row in rows]


def _is_scalar(value: Any) -> bool:
    return (
        value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )


def _listed(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        msg = f"{name} must be a list, not {quoted(value)}."
        raise HelpCrunchConfigurationError(msg)
    return list(value)


def _plain(value: Any) -> str:
    """
    Return a value as it is compared.

    HelpCrunch may trim a text, write an address in small letters, and show a field that was cleared as ``null``, as
    an empty text or, for a flag, as ``false``.
    """
    return str(value or "").strip().casefold()
