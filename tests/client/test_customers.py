"""Customers: reading them, what a change sends, and what is checked in the response."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import Filter, HelpCrunchClient
from airflow_provider_helpcrunch.client.models import customer_of
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]
Change = Callable[[HelpCrunchClient, int], Any]


def plain(customers: Any) -> list[Any]:
    return [customer_of(customer) for customer in customers]


@pytest.mark.parametrize("custom_data", ["object", "array"])
def test_all_customers_come_once_with_one_shape_of_custom_data(
    sandbox: Start, client: Connect, custom_data: str
) -> None:
    account = sandbox(chats=300, custom_data=custom_data)
    got = client(account).list_customers(page_size=50)
    assert sorted(customer["id"] for customer in got) == sorted(
        customer["id"] for customer in account.customers
    )
    assert all(isinstance(customer["customData"], dict) for customer in got)
    assert any(customer["customData"] for customer in got)
    assert {(request.query["sort"], request.query["order"]) for request in account.journal} == {
        ("customers.firstSeen", "asc")
    }
    assert client(account).get_customer(got[0]["id"]) == got[0]


def test_a_search_of_customers(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=60)
    wanted = account.customers[7]
    connected = client(account)
    assert connected.search_customers([Filter("customers.id", "=", wanted["id"])]) == plain([wanted])
    assert len(connected.search_customers()) == len(account.customers)
    page = connected.search_customers_page(limit=5, offset=5)
    assert (len(page), page.total) == (5, len(account.customers))
    assert account.journal[0].body["sort"] == "customers.firstSeen"


def test_a_search_of_customers_refuses_fields_of_chats(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3)
    with pytest.raises(HelpCrunchConfigurationError, match="Customers cannot be searched by 'chats.status'"):
        client(account).search_customers([Filter("chats.status", "=", "new")])
    assert account.journal == []


def test_a_search_that_is_answered_404_is_empty_where_other_searches_work(client: Connect) -> None:
    def answer(asked: Asked) -> Any:
        if asked.body["filter"][0]["field"] == "customers.email":
            return 404, {"errors": [{"code": "not_found", "message": "Customer not found"}]}
        return {"data": [{"id": 1}], "total": 1}

    with AnsweringServer(answer) as server:
        assert client(server).search_customers([Filter("customers.email", "=", "nobody@x.example")]) == []
    assert {asked.path for asked in server.asked} == {"/v1/customers/search"}


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"name": "Kim", "phone": None}, {"name": "Kim", "phone": None}),
    ({"userId": 77}, {"userId": "77"}),
    ({"lastSeen": datetime(2024, 5, 1, tzinfo=UTC)}, {"lastSeen": "1714521600"}),
    ({"firstSeen": "2024-05-01T00:00:00Z"}, {"firstSeen": "1714521600"}),
    (
        {"tags": ["vip", {"name": "old", "color": "red"}]},
        {"tags": [{"name": "vip"}, {"name": "old", "color": "red"}]},
    ),
    (
        {"customData": {"plan": "gold", "orders": 4}},
        {"customData": [{"property": "plan", "value": "gold"}, {"property": "orders", "value": 4}]},
    ),
    (
        {"customData": [{"property": "plan", "value": "x"}]},
        {"customData": [{"property": "plan", "value": "x"}]},
    ),
    ({"blocked": True, "unsubscribed": False}, {"blocked": True, "unsubscribed": False}),
    ({"blocked": None, "email": None}, {"blocked": None, "email": None}),
    ({"name": " Kim "}, {"name": " Kim "}),
]


@pytest.mark.parametrize(("given", "sent"), FIELDS)
def test_the_fields_of_an_update(
    sandbox: Start, client: Connect, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    account = sandbox(chats=3)
    customer = account.customers[0]["id"]
    shown = client(account).update_customer(customer, given)
    assert [(request.method, request.body) for request in account.journal] == [("PATCH", sent)]
    assert shown == client(account).get_customer(customer)


def test_patch_keeps_and_put_clears_fields_that_are_left_out(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=60)
    before = next(customer for customer in account.customers if customer["email"])
    connected = client(account)
    assert connected.update_customer(before["id"], {"name": "Kim"})["email"] == before["email"]
    assert connected.replace_customer(before["id"], {"name": "Kim"})["email"] is None


WRONG: list[tuple[Any, str]] = [
    ({}, "must set at least one field"),
    ("name", "The fields of a customer are an object"),
    ({"id": 5}, "A customer has no field 'id'"),
    ({"name": ["Kim"]}, "name of a customer must be a text"),
    ({"blocked": "yes"}, "blocked of a customer must be true or false"),
    ({"lastSeen": "soon"}, "lastSeen must be a time"),
    ({"tags": [""]}, "A tag is a name"),
    ({"tags": "vip and more", "name": 1.5}, "name of a customer must be a text"),
    ({"customData": {"plan": ["gold"]}}, "customData sets a text"),
    ({"customData": {"plan": float("nan")}}, "customData sets a text"),
    ({"customData": "gold"}, "customData must be a list"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_fields_are_refused(sandbox: Start, client: Connect, fields: Any, message: str) -> None:
    account = sandbox(chats=3)
    with pytest.raises(HelpCrunchConfigurationError, match=message):
        client(account).update_customer(account.customers[0]["id"], fields)
    assert account.journal == []


def test_a_new_customer(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3)
    made = client(account).create_customer({"name": "Kim", "userId": "u-new", "customData": {"plan": "gold"}})
    assert (made["name"], made["customData"]) == ("Kim", {"plan": "gold"})
    assert plain(account.customers)[-1] == made
    with pytest.raises(HelpCrunchBadRequestError, match="userId"):
        client(account).create_customer({"userId": "u-new"})
    with pytest.raises(HelpCrunchConfigurationError, match="no field 'blocked'"):
        client(account).create_customer({"blocked": True})


def test_a_batch_is_split_by_ten_and_keeps_its_order(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=60)
    wanted = [customer["id"] for customer in account.customers[:23]][::-1]
    changed = client(account).update_customers(
        {"customer": number, "name": f"N{number}"} for number in wanted
    )
    assert [(customer["id"], customer["name"]) for customer in changed] == [(n, f"N{n}") for n in wanted]
    assert [(request.path, len(request.body)) for request in account.journal] == [
        ("/v1/customers/batch", 10),
        ("/v1/customers/batch", 10),
        ("/v1/customers/batch", 3),
    ]
    assert client(account).update_customers([]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [{"customer": 1, "name": "A"}, {"customer": "1", "name": "B"}],
            "The customer 1 is to be changed twice",
        ),
        ([{"name": "A"}], "customer must be a HelpCrunch id"),
        ([{"customer": 1}], "must set at least one field"),
        ([7], "A change is an object"),
    ],
)
def test_a_wrong_batch_is_refused(sandbox: Start, client: Connect, changes: Any, message: str) -> None:
    account = sandbox(chats=3)
    with pytest.raises(HelpCrunchConfigurationError, match=message):
        client(account).update_customers(changes)
    assert account.journal == []


@pytest.mark.parametrize(
    "change",
    [
        lambda client, customer: client.update_customer(customer, {"name": "Someone else"}),
        lambda client, customer: client.replace_customer(customer, {"name": "Someone else"}),
        lambda client, customer: client.update_customers([{"customer": customer, "name": "Someone else"}]),
        lambda client, customer: client.add_customer_tags(customer, ["brand new"]),
    ],
    ids=["patch", "put", "batch", "tags"],
)
def test_a_change_that_the_response_does_not_show_is_loud(
    sandbox: Start, client: Connect, change: Change
) -> None:
    account = sandbox(chats=3, faults=[Fault("ignore_write", times=0)])
    with pytest.raises(HelpCrunchUnconfirmedError, match="sent back shows other (name|tags)"):
        change(client(account), account.customers[0]["id"])


def test_tags_are_added_and_removed_by_name(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3)
    customer, connected = account.customers[0]["id"], client(account)
    before = [tag["name"] for tag in account.customers[0]["tags"]]
    shown = connected.add_customer_tags(customer, ["one", {"name": "two", "color": "red"}])
    assert [tag["name"] for tag in shown["tags"]] == [*before, "one", "two"]
    shown = connected.remove_customer_tags(customer, [{"name": "two", "color": "red"}])
    assert [tag["name"] for tag in shown["tags"]] == [*before, "one"]
    removal = account.journal[-1]
    assert (removal.method, removal.body) == ("DELETE", {"tags": [{"name": "two"}]})
    with pytest.raises(HelpCrunchConfigurationError, match="tags must name at least one tag"):
        connected.add_customer_tags(customer, [])


@pytest.mark.parametrize("ok", ["json", "text"])
def test_a_deleted_customer_is_gone(sandbox: Start, client: Connect, ok: str) -> None:
    account = sandbox(chats=3, ok=ok)
    customer, connected = account.customers[0]["id"], client(account)
    connected.delete_customer(customer)
    assert customer not in [each["id"] for each in account.customers]
    with pytest.raises(HelpCrunchNotFoundError):
        connected.delete_customer(customer)


def test_a_deletion_whose_response_was_lost_succeeds_on_the_retry(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3, faults=[Fault("close", times=1)])
    customer = account.customers[0]["id"]
    client(account).delete_customer(customer)
    assert customer not in [each["id"] for each in account.customers]
    assert [request.method for request in account.journal] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    ("change", "requests"),
    [
        (lambda client, customer: client.create_customer({"name": "Kim"}), 1),
        (lambda client, customer: client.create_event(customer, "paid", {"sum": 3}), 1),
        (lambda client, customer: client.update_customer(customer, {"name": "Kim"}), 2),
        (lambda client, customer: client.add_customer_tags(customer, ["one"]), 2),
    ],
    ids=["create", "event", "update", "tags"],
)
def test_which_changes_are_sent_again_after_a_fault(
    sandbox: Start, client: Connect, change: Change, requests: int
) -> None:
    account = sandbox(chats=3, faults=[Fault("status", status=503, times=1)])
    connected, customer = client(account), account.customers[0]["id"]
    if requests == 1:
        with pytest.raises(HelpCrunchServerError):
            change(connected, customer)
    else:
        change(connected, customer)
    assert len(account.journal) == requests


def test_an_event_is_recorded(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3)
    event = client(account).create_event(account.customers[0]["id"], "paid", {"sum": 3})
    assert (event["name"], event["data"]) == ("paid", {"sum": 3})
    assert [recorded["id"] for recorded in account.events] == [event["id"]]
    with pytest.raises(HelpCrunchConfigurationError, match="JSON can express"):
        client(account).create_event(1, "paid", {"at": datetime(2024, 5, 1, tzinfo=UTC)})


SHAPES: dict[str, Callable[[list[Any]], Any]] = {
    "list": lambda rows: rows,
    "data": lambda rows: {"data": rows},
    "one": lambda rows: rows[0],
    "none": lambda rows: None,
    "ok": lambda rows: "Ok",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_response_to_a_batch_is_completed_by_reading_again(client: Connect, shape: str) -> None:
    rows = [{"id": number, "name": "Kim"} for number in (1, 2, 3)]

    def answer(asked: Asked) -> Any:
        if asked.method == "GET":
            return rows[int(asked.path.rsplit("/", 1)[1]) - 1]
        return 200, SHAPES[shape](rows)

    with AnsweringServer(answer) as server:
        changed = client(server).update_customers({"customer": row["id"], "name": "Kim"} for row in rows)
    assert changed == rows
    assert len(server.asked) == 1 + {"list": 0, "data": 0, "one": 2}.get(shape, 3)


def test_a_creation_that_the_response_does_not_show_says_so(client: Connect) -> None:
    with (
        AnsweringServer(lambda asked: (201, {"id": 7, "name": None, "email": "kim@mail.example"})) as server,
        pytest.raises(
            HelpCrunchUnconfirmedError,
            match=r"^HelpCrunch created the customer 7, but the customer that it sent back shows other name\.$",
        ),
    ):
        client(server).create_customer({"name": "Kim", "email": "kim@mail.example"})


def test_a_batch_of_which_one_customer_was_not_changed_is_loud(client: Connect) -> None:
    rows = [{"id": 1, "name": "Kim"}, {"id": 2, "name": "as before"}]
    with (
        AnsweringServer(lambda asked: (200, rows)) as server,
        pytest.raises(HelpCrunchUnconfirmedError, match="change of the customer 2, but .* shows other name"),
    ):
        client(server).update_customers({"customer": row["id"], "name": "Kim"} for row in rows)
