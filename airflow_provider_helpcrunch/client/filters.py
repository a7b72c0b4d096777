"""Search filters, checked before they are sent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from airflow_provider_helpcrunch.client.ids import integer_from
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted

FieldType: TypeAlias = Literal["integer", "date", "string", "tags"]
Comparison: TypeAlias = Literal["AND", "OR"]

CHAT_FIELDS: dict[str, FieldType] = {
    "chats.assignee": "integer",
    "chats.agents": "integer",
    "chats.department": "integer",
    "chats.createdAt": "date",
    "chats.closedAt": "date",
    "chats.updatedAt": "date",  # in older documentation only
    "chats.status": "string",
    "chats.rating": "string",
    "chats.customer": "integer",
    "chats.customer.email": "string",
    "chats.customer.userId": "string",
    "chats.customer.tagsData": "tags",
}

CUSTOMER_FIELDS: dict[str, FieldType] = {
    "customers.id": "integer",
    **{
        f"customers.{name}": "string"
        for name in ("name", "email", "company", "phone", "userId", "countryCode", "regionCode", "city")
    },
    **{
        f"customers.{channel}Id": "string"
        for channel in ("telegram", "facebook", "instagram", "viber", "whatsapp")
    },
    "customers.lastSeen": "date",
    "customers.createdAt": "date",  # in one sentence of the documentation only
    "customers.tagsData": "tags",
}

Resource: TypeAlias = Literal["chats", "customers"]

FIELDS: dict[Resource, dict[str, FieldType]] = {"chats": CHAT_FIELDS, "customers": CUSTOMER_FIELDS}

OPERATORS: dict[FieldType, tuple[str, ...]] = {
    "integer": ("=", "!=", ">", "<", ">=", "<="),
    "date": ("=", "!=", ">", "<", ">=", "<="),
    "string": ("=", "!=", "~", "!~"),
    "tags": ("=",),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """
    One condition of a search.

    .. code-block:: python

        Filter("chats.department", "=", 12)
        Filter("chats.createdAt", ">=", "2026-01-31")
        Filter("chats.customer.tagsData", "=", ["vip", "trial"])  # has all of these tags

    :param field: the field to compare, such as ``chats.assignee``; one of :data:`CHAT_FIELDS`, or for a
        search of customers of :data:`CUSTOMER_FIELDS`
    :param operator: ``=``, ``!=``, ``>``, ``<``, ``>=``, ``<=``; for texts ``=``, ``!=``, ``~`` (contains) and ``!~``;
        for tags ``=``
    :param value: an integer, a text, a list of tags, or for a date anything that
        :func:`~airflow_provider_helpcrunch.client.timestamps.moment` reads

    API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
    """

    field: str
    operator: str
    value: Any

    @classmethod
    def of(cls, given: Any) -> Filter:
        """
        Return a filter that is given as one or as ``{"field", "operator", "value"}``.

        :param given: the filter
        :raises HelpCrunchConfigurationError: it is neither
        """
        if isinstance(given, Filter):
            return given
        if not isinstance(given, Mapping) or set(given) != {"field", "operator", "value"}:
            msg = f"A filter is an object with field, operator and value, not {quoted(given)}."
            raise HelpCrunchConfigurationError(msg)
        return cls(given["field"], given["operator"], given["value"])

    def written(self, resource: Resource = "chats") -> dict[str, Any]:
        """
        Return the filter as it is sent.

        :param resource: the records that are searched, ``chats`` or ``customers`` (``chats``)
        :raises HelpCrunchConfigurationError: the field, the operator or the value is not allowed; the message names
            those that are
        """
        fields, noun = FIELDS[resource], resource.capitalize()
        kind = fields.get(str(self.field))
        if kind is None:
            msg = f"{noun} cannot be searched by {quoted(self.field)}; fields are {', '.join(fields)}."
            raise HelpCrunchConfigurationError(msg)
        if self.operator not in OPERATORS[kind]:
            allowed = " ".join(OPERATORS[kind])
            msg = f"{self.field} cannot be compared by {quoted(self.operator)}; its operators are {allowed}."
            raise HelpCrunchConfigurationError(msg)
        return {"field": self.field, "operator": self.operator, "value": self._value(kind)}

    def _value(self, kind: FieldType) -> Any:
        value = self.value
        if kind == "date":
            seconds = moment(self.field, value).timestamp()
            # HelpCrunch compares whole seconds: round so that no chat that matches is left out.
            if self.operator in ("<", "<="):
                return math.ceil(seconds)
            return math.floor(seconds) - (self.operator == ">" and not seconds.is_integer())
        if kind == "tags":
            return self._tags()
        if kind == "integer":
            is_digits = isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value)
            number = int(value) if is_digits else integer_from(value)
            value = value if number is None else number
        fits = isinstance(value, {"integer": int, "string": str}[kind]) and not isinstance(value, bool)
        if not fits or value == "":
            msg = f"{self.field} is compared with {_EXPECTED[kind]}, not with {quoted(value)}."
            raise HelpCrunchConfigurationError(msg)
        return value

    def _tags(self) -> list[dict[str, str]]:
        given = [self.value] if isinstance(self.value, str) else self.value
        names = [tag.get("name") if isinstance(tag, Mapping) else tag for tag in _listed(given)]
        if not names or not all(isinstance(name, str) and name for name in names):
            msg = f"{self.field} is compared with {_EXPECTED['tags']}, not with {quoted(self.value)}."
            raise HelpCrunchConfigurationError(msg)
        return [{"name": name} for name in cast("list[str]", names)]


_EXPECTED: dict[FieldType, str] = {
    "integer": "a whole number",
    "date": "a time",
    "string": "a text",
    "tags": "a list of tag names",
}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def check_filters(
    filters: Iterable[Filter | Mapping[str, Any]], comparison: str = "AND", resource: Resource = "chats"
) -> tuple[list[dict[str, Any]], Comparison]:
    """
    Return filters as they are sent, and the word that joins them.

    :param filters: the conditions
    :param comparison: ``AND`` (all must hold) or ``OR`` (at least one must); HelpCrunch cannot nest them (``AND``)
    :param resource: the records that are searched, ``chats`` or ``customers`` (``chats``)
    :raises HelpCrunchConfigurationError: one of them is wrong
    """
    word = str(comparison).upper()
    if word not in ("AND", "OR"):
        msg = f"comparison must be AND or OR, not {quoted(comparison)}."
        raise HelpCrunchConfigurationError(msg)
    return [Filter.of(given).written(resource) for given in filters], cast("Comparison", word)
