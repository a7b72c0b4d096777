"""The endpoints of customers: lists, searches, single customers, their tags and events."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox import paging
from airflow_provider_helpcrunch.sandbox.complaints import ARRAY, BLANK, STRING, number
from airflow_provider_helpcrunch.sandbox.customers import FIELDS, wrong_tags
from airflow_provider_helpcrunch.sandbox.responses import (
    Answer,
    done,
    encode,
    entity_missing,
    invalid,
)
from airflow_provider_helpcrunch.sandbox.search import Field, Grammar, ordering, search

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.journal import Request
    from airflow_provider_helpcrunch.sandbox.settings import Settings

MOST = 10
"""Customers of one batch."""

_TEXTS = {
    **{name: name for name in ("name", "email", "company", "phone", "city")},
    **{"userId": "user_id", "countryCode": "country", "regionCode": "region"},
}
_CHANNELS = ("telegram", "facebook", "instagram", "viber", "whatsapp")
GRAMMAR = Grammar(
    "customers",
    {"firstSeen": "first_seen", "lastSeen": "last_seen"},
    {
        "customers.id": Field("int", lambda row: row.id),
        "customers.lastSeen": Field("date", lambda row: row.last_seen),
        "customers.tagsData": Field("tags", lambda row: [name for name, _ in row.tags]),
        **{
            f"customers.{name}": Field("string", partial(lambda field, row: getattr(row, field), field))
            for name, field in _TEXTS.items()
        },
        **{
            f"customers.{name}Id": Field("string", partial(lambda channel, row: row.has_id_in(channel), name))
            for name in _CHANNELS
        },
    },
)


def all_customers(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``GET /customers``."""
    query, wrong = ordering(request.query, GRAMMAR)
    window, wrong_window = paging.window(request.query, settings)
    if complaints := wrong | wrong_window:
        return invalid(settings.errors, complaints, "customer")
    return paging.page(partial(account.customers.page, query), window, settings, "root")


def one_customer(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``GET /customers/{id}``."""
    number_ = request.customer
    if number_ is None or account.customers.get(number_) is None:
        return entity_missing(settings.errors, "customer")
    return Answer(200, account.customers.encoded(number_))


def search_customers(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``POST /customers/search``; without a body it finds all customers."""
    asked = {} if request.body is None else request.body
    if not isinstance(asked, dict):
        return invalid(settings.errors, {}, "customer")
    query, wrong = search(asked, GRAMMAR, ignore_filter=settings.ignore_filter)
    window, wrong_window = paging.window(asked, settings)
    if complaints := wrong | wrong_window:
        return invalid(settings.errors, complaints, "customer")
    return paging.page(partial(account.customers.page, query), window, settings, "root")


def create(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``POST /customers``: 201 with the customer."""
    body = _object(request.body)
    refused = _refused(account, settings, body, None, new=True)
    if refused:
        return refused
    made = account.customers.create(**_values(account, body, new=True))
    return Answer(201, account.customers.encoded(made), applied=True)


def replace(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``PUT /customers/{id}``: fields that are left out become null."""
    return _update(account, settings, request, whole=True)


def merge(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``PATCH /customers/{id}``: only what is sent changes."""
    return _update(account, settings, request, whole=False)


def _update(account: Account, settings: Settings, request: Request, *, whole: bool) -> Answer:
    known, body = request.customer or 0, _object(request.body)
    if account.customers.get(known) is None:
        return entity_missing(settings.errors, "customer")
    refused = _refused(account, settings, body, known)
    if refused:
        return refused
    if not settings.ignore_write:
        account.change_customer(known, **_values(account, body, whole=whole))
    return Answer(200, account.customers.encoded(known), applied=not settings.ignore_write)


def batch(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``PUT /customers/batch``: all of up to ten customers are replaced, or none; 200 with them."""
    rows = request.body
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST:
        text = f"This collection should contain between 1 and {MOST} elements."
        return invalid(settings.errors, {"customers": text if isinstance(rows, list) else ARRAY}, "customer")
    bodies = [_object(each) for each in rows]
    wrong = {f"[{n}].customer": number(each.get("customer")) for n, each in enumerate(bodies)}
    complaints = {name: text for name, text in wrong.items() if text}
    if complaints:
        return invalid(settings.errors, complaints, "customer")
    ids = [int(each["customer"]) for each in bodies]
    if any(account.customers.get(each) is None for each in ids):
        return entity_missing(settings.errors, "customer")
    for n, (known, body) in enumerate(zip(ids, bodies, strict=True)):
        refused = _refused(account, settings, body, known, f"[{n}].")
        if refused:
            return refused
    for known, body in zip(ids, bodies, strict=True):
        if not settings.ignore_write:
            account.change_customer(known, **_values(account, body, whole=True))
    records = [account.customers.record(each) for each in ids]
    return Answer(200, encode(records), applied=not settings.ignore_write)


def add_tags(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``PUT /customers/{id}/tags``."""
    return _tags(account, settings, request, adding=True)


def remove_tags(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``DELETE /customers/{id}/tags``, which has a body."""
    return _tags(account, settings, request, adding=False)


def _tags(account: Account, settings: Settings, request: Request, *, adding: bool) -> Answer:
    there = account.customers.get(request.customer or 0)
    if there is None:
        return entity_missing(settings.errors, "customer")
    asked = _object(request.body).get("tags")
    wrong = {"": BLANK} if asked is None else wrong_tags(asked)
    if wrong or asked is None:
        return invalid(settings.errors, {f"tags{end}": text for end, text in wrong.items()}, "customer")
    if not settings.ignore_write:
        named = {each["name"] for each in asked}
        kept = tuple(tag for tag in there.tags if tag[0] not in named)
        tags = {**dict(there.tags), **dict(account.customers.coloured(asked))} if adding else dict(kept)
        account.change_customer(there.id, tags=tuple(tags.items()))
    return Answer(200, account.customers.encoded(there.id), applied=not settings.ignore_write)


def delete(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``DELETE /customers/{id}``: 200 with ``Ok``; the chats of the customer go too, unless told otherwise."""
    known = request.customer or 0
    if account.customers.get(known) is None:
        return entity_missing(settings.errors, "customer")
    if not settings.ignore_write:
        account.delete_customer(known)
    return done(settings.ok, applied=not settings.ignore_write)


def event(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``POST /events``."""
    body = _object(request.body)
    name, data = body.get("name"), body.get("data")
    wrong = {
        "customer": number(body.get("customer")),
        "name": None if isinstance(name, str) and name else STRING if name else BLANK,
        "data": BLANK if not data else None if isinstance(data, dict) else ARRAY,
    }
    complaints = {field: text for field, text in wrong.items() if text}
    if complaints:
        return invalid(settings.errors, complaints, "event")
    if account.customers.get(int(body["customer"])) is None:
        return entity_missing(settings.errors, "customer")
    return Answer(200, encode(account.record_event(body)), applied=True)


def _object(body: Any) -> dict[str, Any]:
    return body if isinstance(body, dict) else {}


def _refused(
    account: Account,
    settings: Settings,
    body: Mapping[str, Any],
    known: int | None,
    prefix: str = "",
    *,
    new: bool = False,
) -> Answer | None:
    """Return the error that a body deserves, if any: a wrong value, or the ``userId`` of somebody else."""
    complaints = {
        f"{prefix}{name}{end}": text
        for name, field in FIELDS.items()
        if body.get(name) is not None and (field.new or not new)
        for end, text in field.wrong(body[name]).items()
    }
    if complaints:
        return invalid(settings.errors, complaints, "customer")
    user_id = body.get("userId")
    if user_id is not None and account.customers.with_user_id(user_id) not in (None, known):
        element = {"code": "invalid_userId_value", "message": "userId value is invalid"}
        return Answer(400, encode({"errors": [element]}))
    return None


def _values(
    account: Account, body: Mapping[str, Any], *, whole: bool = False, new: bool = False
) -> dict[str, Any]:
    """Return what a body sets, by the names inside."""
    values: dict[str, Any] = {}
    for name, field in FIELDS.items():
        given = body.get(name)
        if given is not None and (field.new or not new):
            values[field.field] = account.customers.coloured(given) if name == "tags" else field.read(given)
        elif whole or (name in body and not new):
            values[field.field] = field.empty
    return values
