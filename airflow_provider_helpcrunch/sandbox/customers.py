"""The customers of the account, which several threads may read and change, and what a request may say of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.sandbox.chat_data import FIRST_CUSTOMER_ID, Cast
from airflow_provider_helpcrunch.sandbox.chat_fields import wanted_time
from airflow_provider_helpcrunch.sandbox.complaints import ARRAY, BLANK, BOOL, INVALID, NUMERIC, STRING
from airflow_provider_helpcrunch.sandbox.customer_data import (
    ATTRIBUTES,
    DEFAULT_COLOUR,
    TAGS,
    Customer,
    customer,
)
from airflow_provider_helpcrunch.sandbox.table import Table

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from airflow_provider_helpcrunch.sandbox.clock import Clock
    from airflow_provider_helpcrunch.sandbox.shape import Shape

LONGEST = 255
TOO_LONG = f"This value is too long. It should have {LONGEST} characters or less."


class Customers(Table[Customer]):
    """
    All customers, in the order of their ids.

    :param cast: how many there are at the start
    :param clock: the account's clock
    :param shape: how a customer is sent
    :param lock: the account's lock
    """

    def __init__(self, cast: Cast, clock: Clock, shape: Shape, lock: threading.RLock) -> None:
        first = range(FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + cast.customers)
        super().__init__(first, self._born, shape.customer, lock, cast.seed)
        self._cast = cast
        self._clock = clock
        self._colours = dict(TAGS)

    def _born(self, customer_id: int) -> Customer:
        return customer(self._cast, customer_id - FIRST_CUSTOMER_ID)

    def create(self, **values: Any) -> int:
        """Add a customer who is seen now for the first time, unless told otherwise, and return the id."""
        with self._lock:
            made = Customer(self._next, **values)
            if made.first_seen is None:
                made = made._replace(first_seen=self._clock.tick())
            self._add(made)
            return made.id

    def arrive(self) -> int:
        """Add a customer with personal data drawn from the seed, and return the id."""
        with self._lock:
            drawn = self._born(self._next)._asdict()
            del drawn["id"]
            now = self._clock.tick()
            return self.create(**{**drawn, "first_seen": now, "last_seen": now})

    def change(self, customer_id: int, **values: Any) -> None:
        """
        Change fields of one customer.

        :raises KeyError: there is none
        """
        with self._lock:
            self._clock.tick()
            self._replace(self._there(customer_id), **values)

    def delete(self, customer_id: int) -> None:
        """
        Remove a customer.

        :raises KeyError: there is none
        """
        with self._lock:
            self._clock.tick()
            self._there(customer_id)
            self._remove(customer_id)

    def with_user_id(self, user_id: str) -> int | None:
        """Return who has a ``userId``, if anybody."""
        with self._lock:
            return next((each.id for each in self._all().values() if each.user_id == user_id), None)

    def coloured(self, tags: list[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
        """Return tags with their colours; a tag the account does not have yet gets the one given, or the usual."""
        return tuple(
            (each["name"], self._colours.setdefault(each["name"], each.get("color") or DEFAULT_COLOUR))
            for each in {tag["name"]: tag for tag in tags}.values()
        )

    def _there(self, customer_id: int) -> Customer:
        there = self.get(customer_id)
        if there is None:
            raise KeyError(customer_id)
        return there


class Field(NamedTuple):
    """
    One field that a request may set.

    :param field: its name in :class:`Customer`
    :param wrong: the complaints about a value, by the end of the path: empty for the whole
    :param read: the meaning of an accepted value
    :param empty: the meaning of null and, in a ``PUT``, of no value
    :param new: a new customer may have it
    """

    field: str
    wrong: Callable[[Any], dict[str, str]]
    read: Callable[[Any], Any]
    empty: Any = None
    new: bool = True


def _text(value: Any) -> dict[str, str]:
    return {} if isinstance(value, str) else {"": STRING}


def _short_text(value: Any) -> dict[str, str]:
    return {"": TOO_LONG} if isinstance(value, str) and len(value) > LONGEST else _text(value)


def _time(value: Any) -> dict[str, str]:
    try:
        wanted_time(value)
    except ValueError:
        return {"": NUMERIC}
    return {}


def _flag(value: Any) -> dict[str, str]:
    return {} if isinstance(value, bool) else {"": BOOL}


def wrong_tags(value: Any) -> dict[str, str]:
    """Return what is wrong with ``tags``, by the end of the path."""
    if not isinstance(value, list):
        return {"": ARRAY}
    named = [isinstance(each, dict) and each.get("name") for each in value]
    return {
        f"[{place}].name": STRING if name else BLANK for place, name in enumerate(named) if not _is_name(name)
    }


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name)


def _wrong_data(value: Any) -> dict[str, str]:
    if not isinstance(value, list):
        return {"": ARRAY}
    wrong = {}
    for place, each in enumerate(value):
        if not isinstance(each, dict) or each.get("property") not in ATTRIBUTES:
            wrong[f"[{place}].property"] = INVALID
        elif not isinstance(each.get("value"), str | int | float):
            wrong[f"[{place}].value"] = INVALID
        elif isinstance(each["value"], str) and len(each["value"]) > LONGEST:
            wrong[f"[{place}].value"] = TOO_LONG
    return wrong


def _data(value: Any) -> tuple[tuple[str, Any], ...]:
    return tuple({each["property"]: each["value"] for each in value}.items())


FIELDS = {
    **{name: Field(name, _text, str) for name in ("name", "email", "company", "phone", "source", "locale")},
    "userId": Field("user_id", _text, str),
    "firstSeen": Field("first_seen", _time, wanted_time),
    "notes": Field("notes", _short_text, str),
    "createdFrom": Field("created_from", _text, str),
    "integrationId": Field("integration_id", _text, str),
    "tags": Field("tags", wrong_tags, list, ()),
    "customData": Field("custom_data", _wrong_data, _data, ()),
    "lastSeen": Field("last_seen", _time, wanted_time, new=False),
    "referer": Field("referer", _text, str, new=False),
    "lastPage": Field("last_page", _text, str, new=False),
    "unsubscribed": Field("unsubscribed", _flag, bool, False, new=False),
    "blocked": Field("blocked", _flag, bool, False, new=False),
}
"""The fields of a customer that a request may set, by their names in the API."""
