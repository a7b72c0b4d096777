from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Sandbox

BLANK = "This value should not be blank."
NUMERIC = "This value should be of type numeric."
CHOICE = "The value you selected is not a valid choice."
STRING = "This value should be of type string."
ARRAY = "This value should be of type array."
NOW = 1_700_090_000
MIDDLE = NOW - 150 * 300


def post(sandbox: Sandbox, body: Any = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    return requests.post(sandbox.url + "/chats/search", json=body, headers=headers, timeout=60)


def condition(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": f"chats.{field}", "operator": operator, "value": value}


def found(sandbox: Sandbox, *filters: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        answer = post(sandbox, {"filter": list(filters), "order": "asc", "offset": len(rows), **more}).json()
        rows += answer["data"]
        if len(rows) >= answer["total"]:
            assert len(rows) == answer["total"]
            return rows


def those(sandbox: Sandbox, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    return [chat for chat in sandbox.chats if wanted(chat)]


def seconds(time: str | None) -> float:
    return float(time or "nan")


def id_of(part: dict[str, Any] | None) -> int | None:
    return part and part["id"]


@pytest.mark.parametrize(
    ("field", "operator", "value", "wanted"),
    [
        ("assignee", "=", 1002, lambda c: id_of(c["assignee"]) == 1002),
        ("assignee", "=", "1002", lambda c: id_of(c["assignee"]) == 1002),
        ("assignee", "!=", 1002, lambda c: id_of(c["assignee"]) != 1002),
        ("assignee", "<=", 1002, lambda c: c["assignee"] and c["assignee"]["id"] <= 1002),
        ("agents", "=", 1001, lambda c: 1001 in map(id_of, c["agents"])),
        ("agents", "!=", 1001, lambda c: 1001 not in map(id_of, c["agents"])),
        ("agents", ">", 1002, lambda c: any(agent["id"] > 1002 for agent in c["agents"])),
        ("department", "=", 103, lambda c: id_of(c["department"]) == 103),
        ("department", ">", "103", lambda c: c["department"] and c["department"]["id"] > 103),
        ("createdAt", "<", MIDDLE, lambda c: int(c["createdAt"]) < MIDDLE),
        ("createdAt", ">=", str(MIDDLE), lambda c: int(c["createdAt"]) >= MIDDLE),
        ("closedAt", ">", MIDDLE, lambda c: seconds(c["closedAt"]) > MIDDLE),
        ("closedAt", "<=", MIDDLE, lambda c: seconds(c["closedAt"]) <= MIDDLE),
        ("closedAt", "!=", MIDDLE, lambda c: True),
        ("closedAt", "=", MIDDLE, lambda c: False),
        ("status", "=", "closed", lambda c: c["status"] == "closed"),
        ("status", "!=", "Closed", lambda c: c["status"] != "closed"),
        ("status", "=", "open", lambda c: c["status"] == "opened"),
        ("status", "=", "no communication", lambda c: c["status"] == "no communication"),
        ("status", "=", "empty", lambda c: c["status"] == "empty"),
        ("status", "=", "1", lambda c: c["status"] == "new"),
        ("status", "=", "4", lambda c: c["status"] == "onhold"),
        ("status", "!=", "5", lambda c: c["status"] != "closed"),
        ("status", "=", "nonsense", lambda c: False),
        ("status", "!=", "nonsense", lambda c: True),
        ("status", "~", "on hold", lambda c: c["status"] == "onhold"),
        ("status", "!~", "e", lambda c: "e" not in c["status"]),
        ("rating", "=", "very poor", lambda c: c["rating"] == "very poor"),
        ("rating", "~", "POOR", lambda c: "poor" in (c["rating"] or "")),
        ("rating", "!~", "poor", lambda c: "poor" not in (c["rating"] or "")),
        ("rating", "!=", "great", lambda c: c["rating"] != "great"),
        ("customer", "=", 880_005, lambda c: c["customer"]["id"] == 880_005),
        ("customer", ">", 880_100, lambda c: c["customer"]["id"] > 880_100),
        ("customer.email", "~", "kovalenko", lambda c: "kovalenko" in (c["customer"]["email"] or "")),
        ("customer.email", "!~", "ada", lambda c: "ada" not in (c["customer"]["email"] or "")),
        ("customer.userId", "~", "u-8800", lambda c: "u-8800" in (c["customer"]["userId"] or "")),
        ("customer.userId", "!=", "u-1", lambda c: True),
    ],
)
def test_every_field_and_operator(field, operator, value, wanted):
    with Sandbox(agents=4, now=NOW) as sandbox:
        expected = those(sandbox, wanted)
        assert found(sandbox, condition(field, operator, value)) == expected
        assert len(expected) > 0 or value in ("nonsense", MIDDLE)


@pytest.mark.parametrize("spelling", ["onhold", "on hold", "on-hold", "ON HOLD", "4"])
@pytest.mark.parametrize("shown", ["onhold", "on-hold"])
def test_on_hold_is_found_in_every_spelling(spelling, shown):
    with Sandbox(on_hold=shown) as sandbox:
        expected = those(sandbox, lambda chat: chat["status"] == shown)
        assert found(sandbox, condition("status", "=", spelling)) == expected != []


@pytest.mark.parametrize("names", [["vip"], ["VIP"], ["vip", "trial"], ["trial", "vip", "churned"], ["none"]])
def test_several_tags_mean_all_of_them(names):
    with Sandbox(chats=600) as sandbox:
        tags = {each["id"]: {tag["name"] for tag in each["tags"]} for each in sandbox.customers}
        wanted = {name.lower() for name in names}
        expected = those(sandbox, lambda chat: wanted <= tags[chat["customer"]["id"]])
        asked = condition("customer.tagsData", "=", [{"name": name} for name in names])
        assert found(sandbox, asked) == expected
        assert bool(expected) == (names != ["none"])


@pytest.mark.parametrize(
    ("comparison", "any_of"), [({}, False), ({"comparison": "and"}, False), ({"comparison": "Or"}, True)]
)
def test_several_filters_are_joined(comparison, any_of):
    with Sandbox(agents=4) as sandbox:
        filters = condition("assignee", "=", 1001), condition("status", "=", "opened")

        def wanted(chat: dict[str, Any]) -> bool:
            passed = [id_of(chat["assignee"]) == 1001, chat["status"] == "opened"]
            return any(passed) if any_of else all(passed)

        assert found(sandbox, *filters, **comparison) == those(sandbox, wanted) != []


def test_a_window_of_time_is_half_open():
    with Sandbox() as sandbox:
        times = [int(chat["createdAt"]) for chat in sandbox.chats]
        first, last = times[37], times[78]
        filters = condition("createdAt", ">=", first), condition("createdAt", "<", last)
        assert [int(chat["createdAt"]) for chat in found(sandbox, *filters)] == [
            t for t in times if first <= t < last
        ]


@pytest.mark.parametrize("body", [None, {}, {"filter": None}, {"filter": []}])
def test_without_a_filter_all_chats_are_found_newest_first(body):
    with Sandbox(chats=120) as sandbox:
        assert post(sandbox, body).json() == {"data": sandbox.chats[:19:-1], "total": 120}


@pytest.mark.parametrize("offset", [100, "100"])
@pytest.mark.parametrize("limit", [50, "50"])
def test_offset_and_limit_are_in_the_body(offset, limit):
    with Sandbox(chats=200, page_cap=40) as sandbox:
        body = {"order": "ASC", "offset": offset, "limit": limit}
        assert post(sandbox, body).json()["data"] == sandbox.chats[100:140]


@pytest.mark.parametrize(
    ("body", "complaints"),
    [
        ({"filter": "x"}, {"filter": ARRAY}),
        ({"filter": {"field": "chats.status"}}, {"filter": ARRAY}),
        ({"filter": ["x"]}, {"filter[0]": ARRAY}),
        ({"filter": [{}]}, {"filter[0].field": BLANK}),
        ({"filter": [condition("status", "=", "new"), {"field": ""}]}, {"filter[1].field": BLANK}),
        ({"filter": [condition("snoozedUntil", "=", 1)]}, {"filter[0].field": CHOICE}),
        ({"filter": [condition("lastMessageAt", ">", 1)]}, {"filter[0].field": CHOICE}),
        ({"filter": [condition("updatedAt", ">", 1)]}, {"filter[0].field": CHOICE}),
        ({"filter": [{"field": "status", "operator": "=", "value": "new"}]}, {"filter[0].field": CHOICE}),
        ({"filter": [{"field": ["chats.status"]}]}, {"filter[0].field": CHOICE}),
        ({"filter": [condition("assignee", "~", 1)]}, {"filter[0].operator": CHOICE}),
        ({"filter": [condition("createdAt", "!~", 1)]}, {"filter[0].operator": CHOICE}),
        ({"filter": [condition("status", ">", "new")]}, {"filter[0].operator": CHOICE}),
        ({"filter": [condition("rating", "in", "great")]}, {"filter[0].operator": CHOICE}),
        (
            {"filter": [condition("customer.tagsData", "!=", [{"name": "vip"}])]},
            {"filter[0].operator": CHOICE},
        ),
        ({"filter": [{"field": "chats.status"}]}, {"filter[0].operator": BLANK, "filter[0].value": BLANK}),
        ({"filter": [condition("assignee", "=", None)]}, {"filter[0].value": BLANK}),
        ({"filter": [condition("assignee", "=", "Ada")]}, {"filter[0].value": NUMERIC}),
        ({"filter": [condition("assignee", "=", True)]}, {"filter[0].value": NUMERIC}),
        ({"filter": [condition("assignee", "=", [1])]}, {"filter[0].value": NUMERIC}),
        ({"filter": [condition("createdAt", ">", "2024-05-01")]}, {"filter[0].value": NUMERIC}),
        ({"filter": [condition("createdAt", ">", 1.5)]}, {"filter[0].value": NUMERIC}),
        ({"filter": [condition("status", "=", 3)]}, {"filter[0].value": STRING}),
        ({"filter": [condition("customer.tagsData", "=", "vip")]}, {"filter[0].value": ARRAY}),
        ({"filter": [condition("customer.tagsData", "=", ["vip"])]}, {"filter[0].value": ARRAY}),
        ({"comparison": "XOR"}, {"comparison": CHOICE}),
        ({"comparison": 1}, {"comparison": CHOICE}),
        ({"sort": "chats.id", "order": 1}, {"sort": CHOICE, "order": CHOICE}),
        ({"sort": ["chats.createdAt"]}, {"sort": CHOICE}),
        ({"limit": 0}, {"limit": "This value should be positive."}),
        ({"limit": 101}, {"limit": "This value should be less than or equal to 100."}),
        ({"limit": None}, {"limit": NUMERIC}),
        ({"limit": True}, {"limit": NUMERIC}),
        ({"offset": -1}, {"offset": "This value should be either positive or zero."}),
        ({"offset": 1.0}, {"offset": NUMERIC}),
        ([], {}),
        ("x", {}),
    ],
)
def test_a_wrong_search_is_400_and_names_the_fields(body, complaints):
    with Sandbox(chats=3) as sandbox:
        answer = post(sandbox, body)
        first = {"code": "invalid_request", "message": "Invalid request"}
        named = [{"code": code, "message": message} for code, message in complaints.items()]
        assert (answer.status_code, answer.json()) == (400, {"errors": [first, *named]})


def test_a_wrong_search_in_the_old_words():
    with Sandbox(chats=3, errors="old") as sandbox:
        assert post(sandbox, {"filter": [{}]}).json()["errors"] == [
            {"code": "invalid_chat_value", "message": "filter[0].field value is invalid"}
        ]


def test_updated_at_can_be_allowed():
    with Sandbox(updated_at=True, now=NOW) as sandbox:
        changed = sandbox.update_chat(sandbox.chats[7]["id"], assignee=None)
        assert found(sandbox, condition("updatedAt", ">", NOW)) == [changed]
        assert len(found(sandbox, condition("updatedAt", ">", NOW - 300 * 300))) == 300


@pytest.mark.parametrize(
    ("settings", "tail"),
    [
        ({}, {"total": 4}),
        ({"search_total": "meta"}, {"meta": {"total": 4}}),
        ({"total": "missing"}, {}),
        ({"total": "zero"}, {"total": 0}),
        ({"total": "string"}, {"total": "4"}),
        ({"total": 1}, {"total": 5}),
        ({"total": "high", "search_total": "meta"}, {"meta": {"total": 6}}),
        ({"total": "root", "search_total": "meta"}, {"total": 4}),
    ],
)
def test_where_a_search_tells_its_total(settings, tail):
    with Sandbox(chats=4, **settings) as sandbox:
        assert post(sandbox, {"order": "asc"}).json() == {"data": sandbox.chats, **tail}


def test_a_search_sees_every_change_at_once():
    with Sandbox(chats=50, agents=3) as sandbox:
        mine = condition("assignee", "=", 1001)
        chat = sandbox.insert_chats(1, assignee=1001)[0]
        assert found(sandbox, mine)[-1] == chat
        sandbox.update_chat(chat["id"], assignee=1002)
        assert chat["id"] not in [each["id"] for each in found(sandbox, mine)]
        sandbox.update_chat(chat["id"], assignee=1001, status="pending")
        assert found(sandbox, mine)[-1] == {**chat, "status": "pending"}
