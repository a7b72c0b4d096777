"""Customers in the sandbox: every endpoint with its success, its errors and the account afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

FIRST = {"code": "invalid_request", "message": "Invalid request"}
FIELDS = {
    *("id", "name", "email", "userId", "company", "phone", "firstSeen", "lastSeen", "location", "device"),
    *("unsubscribed", "blocked", "source", "referer", "lastPage", "locale", "createdFrom", "integrationId"),
    *("notes", "tags", "customData"),
}
NOW = "2026-01-31T08:00"
UPDATES = [("PUT", "/customers/1"), ("PATCH", "/customers/1"), ("DELETE", "/customers/1")]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(agents=3, chats=60, now=NOW)


@pytest.fixture
def call(sandbox, caller):
    return caller(sandbox)


def codes(response) -> list[str]:
    return [each["code"] for each in response.json()["errors"]]


def test_customers_have_the_documented_shape(sandbox):
    for each in sandbox.customers:
        assert set(each) == FIELDS
        assert each["firstSeen"].isdigit()
        assert int(each["firstSeen"]) <= int(each["lastSeen"]) <= 1_769_846_400
        assert isinstance(each["customData"], dict)
        assert set(each["location"]) == {"regionCode", "countryCode", "city"}
    for field in FIELDS - {"id", "firstSeen", "lastSeen", "location", "tags", "customData"}:
        values = {str(each[field]) for each in Sandbox(chats=900).customers}
        assert len(values) > 1, field


def test_they_come_by_the_page_with_the_total_at_the_root(sandbox, call):
    rows = call("GET", "/customers", sort="customers.lastSeen", order="asc", limit=20).json()
    assert rows["total"] == 50
    assert (
        rows["data"] == sorted(sandbox.customers, key=lambda each: (int(each["lastSeen"]), each["id"]))[:20]
    )
    newest = call("GET", "/customers").json()["data"]
    assert newest == sorted(sandbox.customers, key=lambda each: (-int(each["firstSeen"]), -each["id"]))


def test_one_customer_is_a_bare_object(sandbox, call):
    assert call("GET", "/customers/880003").json() == sandbox.customers[2]
    missing = call("GET", "/customers/1")
    assert (missing.status_code, missing.json()["errors"]) == (
        404,
        [FIRST, {"code": "not_found", "message": "Customer not found"}],
    )


@pytest.mark.parametrize(
    ("method", "path"), [*UPDATES, ("PUT", "/customers/1/tags"), ("DELETE", "/customers/1/tags")]
)
@pytest.mark.parametrize(("errors", "code"), [("new", "not_found"), ("old", "entity_not_found")])
def test_an_unknown_customer_is_404(caller, method, path, errors, code):
    response = caller(Sandbox(chats=3, errors=errors))(method, path, {"tags": []})
    assert (response.status_code, codes(response)[-1]) == (404, code)


@pytest.mark.parametrize(
    ("field", "operator", "value", "wanted"),
    [
        ("id", "<=", 880010, lambda c: c["id"] <= 880010),
        ("name", "~", "a", lambda c: "a" in (c["name"] or "").lower()),
        ("email", "!=", "x", lambda c: True),
        ("city", "=", "berlin", lambda c: c["location"]["city"] == "Berlin"),
        ("countryCode", "=", "UA", lambda c: c["location"]["countryCode"] == "UA"),
        ("lastSeen", ">", 1_760_000_000, lambda c: int(c["lastSeen"]) > 1_760_000_000),
        ("tagsData", "=", [{"name": "vip"}], lambda c: "vip" in [tag["name"] for tag in c["tags"]]),
        ("telegramId", "~", "555", lambda c: c["createdFrom"] == "telegram"),
    ],
)
def test_a_search_finds_customers(caller, field, operator, value, wanted):
    sandbox = Sandbox(chats=130, now=NOW)
    asked = {"field": f"customers.{field}", "operator": operator, "value": value}
    found = caller(sandbox)(
        "POST", "/customers/search", {"filter": [asked], "sort": "customers.firstSeen"}
    ).json()
    expected = [each["id"] for each in sandbox.customers if wanted(each)]
    assert (sorted(each["id"] for each in found["data"]), found["total"]) == (expected[:100], len(expected))
    assert expected


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"filter": [{"field": "", "operator": "=", "value": 1}]}, ["filter[0].field"]),
        ({"filter": [{"field": "customers.notes", "operator": "=", "value": "x"}]}, ["filter[0].field"]),
        ({"filter": [{"field": "customers.id", "operator": "~", "value": 1}]}, ["filter[0].operator"]),
        ({"sort": "customers.name"}, ["sort"]),
    ],
)
def test_a_wrong_search_is_400(call, body, fields):
    response = call("POST", "/customers/search", body)
    assert (response.status_code, codes(response)) == (400, ["invalid_request", *fields])


NEW = {
    "name": "Kim",
    "userId": "u-new",
    "tags": [{"name": "vip"}, {"name": "fresh"}, {"name": "red", "color": "#f00"}],
    "customData": [{"property": "plan", "value": "gold"}, {"property": "orders", "value": 3}],
}


def test_a_new_customer(sandbox, call):
    response = call("POST", "/customers", NEW)
    made = response.json()
    assert (response.status_code, made) == (201, sandbox.customers[-1])
    assert (made["name"], made["userId"], made["email"]) == ("Kim", "u-new", None)
    assert made["tags"] == [
        {"name": "vip", "color": "#ff8800"},
        {"name": "fresh", "color": "#c377e0"},
        {"name": "red", "color": "#f00"},
    ]
    assert (made["customData"], made["firstSeen"], made["lastSeen"]) == (
        {"plan": "gold", "orders": 3},
        "1769846401",
        None,
    )
    chat = call("POST", "/chats", {"customer": made["id"], "application": 2}).json()
    assert chat["customer"] == {"id": made["id"], "name": "Kim", "email": None, "userId": "u-new"}


@pytest.mark.parametrize("errors", ["new", "old"])
def test_a_user_id_is_unique(caller, errors):
    sandbox = Sandbox(chats=30, errors=errors)
    call = caller(sandbox)
    other = next(each for each in sandbox.customers if each["userId"])
    target = next(each["id"] for each in sandbox.customers if each["id"] != other["id"])
    before = sandbox.customers
    for method, path in (("POST", "/customers"), *((m, f"/customers/{target}") for m in ("PUT", "PATCH"))):
        response = call(method, path, {"userId": other["userId"]})
        assert (response.status_code, codes(response)) == (400, ["invalid_userId_value"])
    assert sandbox.customers == before
    assert call("PATCH", f"/customers/{other['id']}", {"userId": other["userId"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": 5}, ["name"]),
        ({"firstSeen": "yesterday"}, ["firstSeen"]),
        ({"notes": "x" * 256}, ["notes"]),
        ({"tags": "vip"}, ["tags"]),
        ({"tags": [{"color": "red"}]}, ["tags[0].name"]),
        ({"customData": {"plan": "gold"}}, ["customData"]),
        ({"customData": [{"property": "shoe", "value": 1}]}, ["customData[0].property"]),
        ({"customData": [{"property": "plan", "value": "x" * 256}]}, ["customData[0].value"]),
        ({"customData": [{"property": "plan", "value": None}]}, ["customData[0].value"]),
    ],
)
def test_a_wrong_value_is_400_and_named(sandbox, call, body, fields):
    before = sandbox.customers
    for method, path in (
        ("POST", "/customers"),
        ("PUT", "/customers/880001"),
        ("PATCH", "/customers/880001"),
    ):
        response = call(method, path, body)
        assert (response.status_code, codes(response)) == (400, ["invalid_request", *fields])
    assert sandbox.customers == before


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/customers", {"name": 5}, "invalid_name_value"),
        ("/customers/search", {"filter": [{}]}, "invalid_filter_value"),
        ("/events", {}, "invalid_customer_value"),
    ],
)
def test_the_old_code_names_the_field(caller, path, body, code):
    response = caller(Sandbox(chats=3, errors="old"))("POST", path, body)
    assert (response.status_code, codes(response)) == (400, [code])


def test_put_replaces_and_patch_merges(sandbox, call):
    before = next(each for each in sandbox.customers if each["email"] and each["phone"])
    path = f"/customers/{before['id']}"
    merged = call("PATCH", path, {"name": "Kim", "email": None, "blocked": True}).json()
    assert merged == {**before, "name": "Kim", "email": None, "blocked": True}
    replaced = call("PUT", path, {"name": "Bo"}).json()
    kept = {name: before[name] for name in ("id", "location", "device")}
    empty = {
        **dict.fromkeys(before),
        **kept,
        "unsubscribed": False,
        "blocked": False,
        "tags": [],
        "customData": {},
    }
    assert replaced == {**empty, "name": "Bo"} == call("GET", path).json()
    assert [entry.applied for entry in sandbox.journal] == [True, True, False]
    assert sandbox.writes() == []


def test_chats_show_a_change_of_their_customer_at_once(sandbox, call):
    chat = sandbox.chats[5]
    call("GET", f"/chats/{chat['id']}")
    call("PATCH", f"/customers/{chat['customer']['id']}", {"name": "Somebody Else"})
    assert call("GET", f"/chats/{chat['id']}").json()["customer"]["name"] == "Somebody Else"


def test_a_batch_replaces_all_or_none(sandbox, call):
    bodies = [{"customer": number, "name": f"N {number}"} for number in range(880001, 880011)]
    response = call("PUT", "/customers/batch", bodies)
    assert (response.status_code, response.json()) == (200, sandbox.customers[:10])
    assert {each["phone"] for each in sandbox.customers[:10]} == {None}
    before = sandbox.customers
    wrong: dict[str, Any] = {
        "customers": [*bodies, bodies[0]],
        "[1].customer": [bodies[0], {"name": "x"}],
        "[1].name": [{"customer": 880001, "name": "y"}, {"customer": 880002, "name": 5}],
    }
    for field, body in {**wrong}.items():
        assert codes(call("PUT", "/customers/batch", body)) == ["invalid_request", field]
    assert codes(call("PUT", "/customers/batch", [])) == ["invalid_request", "customers"]
    assert call("PUT", "/customers/batch", [bodies[0], {"customer": 1}]).status_code == 404
    assert sandbox.customers == before


def test_tags_are_added_and_removed(sandbox, call):
    path = "/customers/880001/tags"
    call("PATCH", "/customers/880001", {"tags": [{"name": "vip"}]})
    added = call("PUT", path, {"tags": [{"name": "late", "color": "#123456"}, {"name": "vip"}]}).json()
    assert added["tags"] == [{"name": "vip", "color": "#ff8800"}, {"name": "late", "color": "#123456"}]
    removed = call("DELETE", path, {"tags": [{"name": "vip"}, {"name": "never"}]}).json()
    assert removed["tags"] == [{"name": "late", "color": "#123456"}] == sandbox.customers[0]["tags"]
    for body, field in (({}, "tags"), ({"tags": [{}]}, "tags[0].name")):
        assert codes(call("DELETE", path, body)) == ["invalid_request", field]


@pytest.mark.parametrize(("ok", "body"), [("json", b'"Ok"'), ("text", b"Ok")])
@pytest.mark.parametrize("keep", [False, True])
def test_a_deleted_customer_and_the_chats(caller, ok, body, keep):
    sandbox = Sandbox(chats=60, ok=ok, keep_chats=keep)
    call = caller(sandbox)
    customer = sandbox.chats[0]["customer"]["id"]
    theirs = {chat["id"] for chat in sandbox.chats if chat["customer"]["id"] == customer}
    response = call("DELETE", f"/customers/{customer}")
    assert (response.status_code, response.content) == (200, body)
    assert customer not in [each["id"] for each in sandbox.customers]
    left = {chat["id"]: chat["customer"] for chat in sandbox.chats}
    assert (theirs <= set(left)) == keep
    assert len(left) == (60 if keep else 60 - len(theirs))
    gone = {"id": customer, "name": None, "email": None, "userId": None}
    assert all(left[each] == gone for each in theirs & set(left))
    assert call("DELETE", f"/customers/{customer}").status_code == 404
    assert call("GET", "/chats").json()["meta"]["total"] == len(left)


@pytest.mark.parametrize("shape", ["new", "old"])
def test_an_event(caller, shape):
    sandbox = Sandbox(chats=3, now=NOW, shape=shape)
    call = caller(sandbox)
    asked = {"customer": 880001, "name": "paid", "data": {"sum": 5}}
    made = {"id": 1, "name": "paid", "data": {"sum": 5}, "createdAt": "1769846401"}
    response = call("POST", "/events", asked)
    assert (response.status_code, response.json()) == (
        200,
        made if shape == "new" else {**made, "customer": 880001},
    )
    assert sandbox.events == [{**made, "customer": 880001}]
    assert codes(call("POST", "/events", {})) == ["invalid_request", "customer", "name", "data"]
    assert codes(call("POST", "/events", {**asked, "data": {}})) == ["invalid_request", "data"]
    assert call("POST", "/events", {**asked, "customer": 1}).status_code == 404
    assert len(sandbox.events) == 1


def test_switches_of_the_shape():
    old = Sandbox(chats=9, shape="old", custom_data="array", timestamps="integer").customers
    assert set(old[0]) == FIELDS - {"createdFrom", "integrationId"}
    assert {type(each["firstSeen"]) for each in old} == {int}
    assert {type(each["customData"]) for each in old} == {list}
    assert {"property", "value"} in [set(pair) for each in old for pair in each["customData"]]


@pytest.mark.parametrize("fault", ["status", "reset", "ignore_write"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/customers/880001", {"name": "Kim"}),
        ("PUT", "/customers/880001", {"name": "Kim"}),
        ("PUT", "/customers/batch", [{"customer": 880001, "name": "Kim"}]),
        ("PUT", "/customers/880001/tags", {"tags": [{"name": "unheard"}]}),
        ("DELETE", "/customers/880001", None),
        ("GET", "/agents/1001/unsubscribe", None),
    ],
)
def test_faults_hit_writes(caller, fault, method, path, body):
    sandbox = Sandbox(chats=9, faults=[Fault(fault)], now=NOW)
    before = sandbox.customers, sandbox.unsubscribed
    try:
        status = caller(sandbox)(method, path, body).status_code
    except OSError:
        status = None
    after = sandbox.customers, sandbox.unsubscribed
    assert (status, after == before) == {
        "status": (500, True),
        "reset": (None, False),
        "ignore_write": (200, True),
    }[fault]
    assert sandbox.journal[0].applied == (fault == "reset")


@pytest.mark.parametrize(
    "kind", ["no_data", "data_null", "data_object", "no_ids", "empty_page", "duplicate_rows"]
)
def test_faults_of_rows_leave_other_responses_alone(caller, kind):
    sandbox = Sandbox(chats=9, ok="text", faults=[Fault(kind, times=0)])
    call = caller(sandbox)
    assert call("DELETE", "/customers/880001").text == "Ok"
    assert call("POST", "/events", {"customer": 880002, "name": "n", "data": {"a": 1}}).json()["data"] == {
        "a": 1
    }
    assert len(call("PUT", "/customers/batch", [{"customer": 880002}]).json()) == 1
    assert call("GET", "/customers").json() != call("GET", "/agents").json()


def test_agents_are_unsubscribed_by_a_get(sandbox, call):
    assert call("GET", "/agents/1002/unsubscribe").json() == "Ok"
    assert sandbox.unsubscribed == {1002}
    missing = call("GET", "/agents/1/unsubscribe")
    assert (missing.status_code, missing.json()["errors"][-1]["message"]) == (404, "Agent not found")


def test_applications_come_without_a_total(sandbox, call):
    response = call("GET", "/applications").json()
    assert response == {"data": sandbox.truth("applications")}
    assert set(response["data"][0]) == {"id", "name", "displayName", "active", "type"}
    known = {each["id"] for each in response["data"]}
    assert {chat["applicationId"] for chat in sandbox.chats} <= known
    assert codes(call("POST", "/chats", {"customer": 880001, "application": 99})) == [
        "invalid_request",
        "application",
    ]
