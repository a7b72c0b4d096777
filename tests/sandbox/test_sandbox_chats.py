from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Sandbox

FIELDS = {
    *("id", "status", "closedBy", "closedAt", "createdAt", "lastMessageAt", "lastCustomerMessageAt"),
    *("lastMessageText", "lastMessageId", "lastCommunicatedAgentId", "rating", "readByAgent"),
    *("readByCustomer", "createdWith", "snoozedUntil", "applicationId", "agents", "customer"),
    *("assignee", "department"),
}
STATUSES = {"new", "opened", "pending", "onhold", "no communication", "closed", "empty"}
FIRST = {"code": "invalid_request", "message": "Invalid request"}
BLANK = "This value should not be blank."
NUMERIC = "This value should be of type numeric."
CHOICE = "The value you selected is not a valid choice."


def call(sandbox: Sandbox, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    return requests.request(method, sandbox.url + path, json=body, params=query, headers=headers, timeout=60)


def put(sandbox: Sandbox, what: str, **body: Any) -> requests.Response:
    return call(sandbox, "PUT", f"/chats/{what}", body)


def first(sandbox: Sandbox, status: str) -> dict[str, Any]:
    return next(chat for chat in sandbox.chats if chat["status"] == status)


def test_chats_have_the_documented_shape():
    sandbox = Sandbox(agents=12)
    agents = {agent["id"]: agent for agent in sandbox.agents}
    departments = {each["id"]: each["name"] for each in sandbox.departments}
    customers = {each["id"]: each for each in sandbox.customers}
    for chat in sandbox.chats:
        assert set(chat) == FIELDS
        assert chat["createdAt"].isdigit()
        assert chat["closedAt"] is None or chat["closedAt"][-4] == "."
        assert (
            (chat["status"] == "closed") == (chat["closedAt"] is not None) == (chat["closedBy"] is not None)
        )
        assert chat["assignee"] is None or chat["assignee"] == agents[chat["assignee"]["id"]]
        assert all(agent == agents[agent["id"]] for agent in chat["agents"])
        assert (
            chat["department"] is None or chat["department"]["name"] == departments[chat["department"]["id"]]
        )
        assert customers[chat["customer"]["id"]].items() >= chat["customer"].items()
        assert chat["lastMessageAt"] is None or chat["lastMessageAt"] >= chat["createdAt"]


def test_the_chats_of_an_account_are_a_realistic_mix():
    chats = Sandbox(agents=10, chats=5000).chats
    shares = {status: n / 5000 for status, n in Counter(chat["status"] for chat in chats).items()}
    assert set(shares) == STATUSES
    assert shares["closed"] == pytest.approx(0.5, abs=0.03)
    assert shares["empty"] == pytest.approx(0.03, abs=0.01)
    left = [chat for chat in chats if chat["status"] != "closed"]
    unassigned = [chat for chat in left if chat["assignee"] is None]
    assert len(unassigned) / len(left) == pytest.approx(1 / 8, abs=0.03)
    for field in ("lastMessageAt", "lastCustomerMessageAt", "department", "rating", "snoozedUntil"):
        assert 0 < sum(chat[field] is None for chat in chats) < 5000
    for field in ("name", "email", "userId"):
        assert 0 < sum(chat["customer"][field] is None for chat in chats) < 5000


def test_chats_are_created_in_the_order_of_their_ids_and_some_in_one_second():
    chats = Sandbox().chats
    ids, times = [chat["id"] for chat in chats], [int(chat["createdAt"]) for chat in chats]
    assert (len(ids), ids, times) == (300, sorted(set(ids)), sorted(times))
    assert max(Counter(times).values()) == 3


def test_the_same_seed_gives_the_same_chats():
    one, same, other = (Sandbox(chats=50, seed=seed, now="2026-01-31").chats for seed in (7, 7, 8))
    assert one == same != other


def test_an_account_without_chats_agents_and_departments():
    with Sandbox(chats=0, agents=0, departments=0) as empty, Sandbox(chats=20, agents=0) as alone:
        assert call(empty, "GET", "/chats").json() == {"data": [], "meta": {"total": 0}}
        assert call(empty, "POST", "/chats/search", {}).json() == {"data": [], "total": 0}
        assert len(alone.chats_of(None, open_only=False)) == 20


def test_a_large_account_serves_full_pages():
    with Sandbox(chats=20_000, rate_limit=None) as sandbox, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {sandbox.key}"
        body = {"filter": [{"field": "chats.status", "operator": "!=", "value": "closed"}]}
        for page in range(50):
            response = session.post(
                f"{sandbox.url}/chats/search", json={**body, "offset": page * 100}, timeout=60
            )
            assert len(response.json()["data"]) == 100


def test_chats_come_by_the_page_newest_first():
    with Sandbox(chats=250) as sandbox:
        pages = [call(sandbox, "GET", "/chats", offset=offset).json() for offset in (0, 100, 200, 300)]
        assert [chat for page in pages for chat in page["data"]] == sandbox.chats[::-1]
        assert {page["meta"]["total"] for page in pages} == {250}
        assert call(sandbox, "GET", "/chats/", limit=7).json()["data"] == sandbox.chats[:-8:-1]


@pytest.mark.parametrize("prefix", ["chats.", ""])
@pytest.mark.parametrize("key", ["createdAt", "lastCustomerMessageAt", "lastMessageAt", "closedAt"])
def test_chats_are_sorted_by_a_time_and_then_by_id_with_nulls_first(prefix, key):
    with Sandbox(chats=90) as sandbox:
        wanted = sorted(sandbox.chats, key=lambda chat: (float(chat[key] or 0), chat["id"]))
        for order, expected in (("asc", wanted), ("DESC", wanted[::-1])):
            query = {"sort": prefix + key, "order": order}
            assert call(sandbox, "GET", "/chats", **query).json()["data"] == expected
            assert call(sandbox, "POST", "/chats/search", query).json()["data"] == expected


def test_an_order_follows_the_changes():
    with Sandbox(chats=40) as sandbox:
        query = {"sort": "chats.closedAt", "order": "desc", "limit": 1}
        before = call(sandbox, "GET", "/chats", **query).json()["data"][0]
        chat = sandbox.insert_chats(1)[0]
        put(sandbox, "status", id=chat["id"], status="closed")
        after = call(sandbox, "GET", "/chats", **query).json()["data"][0]
        assert (after["id"], after["status"]) == (chat["id"], "closed")
        assert float(after["closedAt"]) > float(before["closedAt"])


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"sort": "chats.id"}, ["sort"]),
        ({"sort": ""}, ["sort"]),
        ({"order": "up"}, ["order"]),
        ({"sort": "x", "order": "x", "offset": "-1", "limit": 101}, ["sort", "order", "offset", "limit"]),
    ],
)
def test_a_bad_sort_order_or_page_is_400_and_named(query, fields):
    with Sandbox(chats=1) as sandbox:
        for answer in (
            call(sandbox, "GET", "/chats", **query),
            call(sandbox, "POST", "/chats/search", query),
        ):
            assert answer.status_code == 400
            assert [each["code"] for each in answer.json()["errors"]] == ["invalid_request", *fields]


def test_one_chat_is_a_bare_object():
    with Sandbox(chats=5) as sandbox:
        chat = sandbox.chats[3]
        assert call(sandbox, "GET", f"/chats/{chat['id']}").json() == chat == sandbox.chat(chat["id"])
        assert call(sandbox, "GET", f"/chats/{chat['id']}/").json() == chat
        missing = call(sandbox, "GET", "/chats/1")
        assert missing.status_code == 404
        assert missing.json()["errors"] == [FIRST, {"code": "not_found", "message": "Chat not found"}]
        for path in ("/chats/one", "/chats/search"):
            assert call(sandbox, "GET", path).status_code == 404


@pytest.mark.parametrize(
    ("what", "change", "shown"),
    [
        ("status", {"status": "pending"}, {"status": "pending"}),
        ("status", {"status": "on hold"}, {"status": "onhold"}),
        ("status", {"status": "on-hold"}, {"status": "onhold"}),
        ("status", {"status": "open"}, {"status": "opened"}),
        ("status", {"status": "no communication"}, {"status": "no communication"}),
        ("assignee", {"assignee": None}, {"assignee": None}),
        ("snooze", {"snoozedUntil": None}, {"snoozedUntil": None}),
        ("snooze", {"snoozedUntil": 1714550400}, {"snoozedUntil": "1714550400"}),
        ("snooze", {"snoozedUntil": "1714550400"}, {"snoozedUntil": "1714550400"}),
        ("snooze", {"snoozedUntil": 1714550400.5}, {"snoozedUntil": "1714550400"}),
        ("snooze", {"snoozedUntil": "1714550400.913"}, {"snoozedUntil": "1714550400"}),
        ("readByAgent", {"read": True}, {"readByAgent": True}),
        ("readByCustomer", {"read": False}, {"readByCustomer": False}),
    ],
)
def test_an_update_changes_its_field_alone_and_returns_the_bare_chat(what, change, shown):
    with Sandbox() as sandbox:
        before = first(sandbox, "opened")
        answer = put(sandbox, what, id=before["id"], **change)
        assert (answer.status_code, answer.json()) == (200, {**before, **shown})
        assert sandbox.chat(before["id"]) == answer.json()


def test_agents_and_departments_are_assigned_by_id():
    with Sandbox(agents=3) as sandbox:
        before, agent, department = sandbox.chats[0], sandbox.agents[2], sandbox.departments[1]
        department.pop("agents")
        answer = put(sandbox, "assignee", id=str(before["id"]), assignee=str(agent["id"]))
        assert answer.json() == {**before, "assignee": agent}
        answer = put(sandbox, "department", id=before["id"], department=department["id"])
        assert answer.json() == {**before, "assignee": agent, "department": department}


def test_closing_and_opening_again():
    with Sandbox() as sandbox:
        before = first(sandbox, "opened")
        closed = put(sandbox, "status", id=before["id"], status="closed").json()
        assert closed == {**before, "status": "closed", "closedBy": "agent", "closedAt": closed["closedAt"]}
        assert float(closed["closedAt"]) > float(before["createdAt"])
        assert put(sandbox, "status", id=before["id"], status="closed").json() == closed
        assert put(sandbox, "status", id=before["id"], status="opened").json() == before


@pytest.mark.parametrize(
    ("what", "body", "complaints"),
    [
        ("status", None, {"id": BLANK, "status": BLANK}),
        ("status", "closed", {"id": BLANK, "status": BLANK}),
        ("status", {"id": "x", "status": "closed"}, {"id": NUMERIC}),
        ("status", {"id": 4410001, "status": "done"}, {"status": CHOICE}),
        ("status", {"id": 4410001, "status": "empty"}, {"status": CHOICE}),
        ("status", {"id": 4410001, "status": 5}, {"status": "This value should be of type string."}),
        ("assignee", {"id": 4410001}, {"assignee": BLANK}),
        ("assignee", {"id": 4410001, "assignee": "Ada"}, {"assignee": NUMERIC}),
        ("assignee", {"id": True, "assignee": None}, {"id": NUMERIC}),
        ("department", {"id": 4410001, "department": None}, {"department": BLANK}),
        ("snooze", {"id": 4410001}, {"snoozedUntil": BLANK}),
        ("snooze", {"id": 4410001, "snoozedUntil": "tomorrow"}, {"snoozedUntil": NUMERIC}),
        ("snooze", {"id": 4410001, "snoozedUntil": True}, {"snoozedUntil": NUMERIC}),
        ("rate", {"id": 4410001, "rating": "superb"}, {"rating": CHOICE}),
        ("readByAgent", {"id": 4410001, "read": "yes"}, {"read": "This value should be of type bool."}),
        ("readByCustomer", {"id": 4410001}, {"read": BLANK}),
    ],
)
def test_a_wrong_update_is_400_and_names_the_fields(what, body, complaints):
    with Sandbox(chats=1) as sandbox:
        before = sandbox.chats
        answer = call(sandbox, "PUT", f"/chats/{what}", body)
        named = [{"code": code, "message": message} for code, message in complaints.items()]
        assert (answer.status_code, answer.json()) == (400, {"errors": [FIRST, *named]})
        assert (sandbox.chats, sandbox.writes()) == (before, [])


@pytest.mark.parametrize(
    ("errors", "what", "body", "status", "last"),
    [
        ("new", "status", {"id": 1, "status": "closed"}, 404, ("not_found", "Chat not found")),
        ("new", "readByAgent", {"id": 1, "read": True}, 404, ("not_fount", 'Chat for ID "1" was not found')),
        ("new", "assignee", {"id": 4410001, "assignee": 1}, 404, ("not_found", "Agent not found")),
        ("new", "department", {"id": 4410001, "department": 1}, 404, ("not_found", "Department not found")),
        ("old", "status", {"id": 1, "status": "closed"}, 404, ("chat_not_found", "Chat is missing")),
        ("old", "assignee", {"id": 4410001, "assignee": 1}, 404, ("entity_not_found", "Agent not found")),
        (
            "old",
            "department",
            {"id": 4410001, "department": 1},
            404,
            ("entity_not_found", "Department not found"),
        ),
        (
            "old",
            "status",
            {"id": 4410001, "status": "x"},
            400,
            ("invalid_chat_value", "status value is invalid"),
        ),
        ("old", "assignee", {"id": "x", "assignee": 1}, 400, ("invalid_chat_value", "Invalid chat ID")),
    ],
)
def test_errors_of_both_generations(errors, what, body, status, last):
    with Sandbox(chats=1, errors=errors) as sandbox:
        answer = call(sandbox, "PUT", f"/chats/{what}", body)
        assert answer.status_code == status
        expected = [{"code": last[0], "message": last[1]}]
        assert answer.json()["errors"] == ([FIRST, *expected] if errors == "new" else expected)


def test_a_chat_is_rated_once_when_closed_and_answered():
    with Sandbox() as sandbox:
        chat = sandbox.insert_chats(1, assignee=sandbox.agents[0]["id"])[0]
        silent = sandbox.insert_chats(1, status="closed")[0]
        answers = [put(sandbox, "rate", id=chat["id"], rating="very poor")]
        put(sandbox, "status", id=chat["id"], status="closed")
        answers += [
            put(sandbox, "rate", id=each, rating="great") for each in (chat["id"], chat["id"], silent["id"])
        ]
        assert [answer.status_code for answer in answers] == [400, 200, 400, 400]
        assert answers[1].json()["rating"] == "great"
        wrong = [answers[n].json()["errors"] for n in (0, 2, 3)]
        assert [[each["code"] for each in errors] for errors in wrong] == [["invalid_request"]] * 3
        assert wrong[0][0]["message"].startswith("Chat must me closed to rat")
        assert len({errors[0]["message"] for errors in wrong}) == 3


def test_a_created_chat_is_empty():
    with Sandbox(chats=3, agents=2) as sandbox:
        customer = {name: sandbox.customers[5][name] for name in ("id", "name", "email", "userId")}
        answer = call(sandbox, "POST", "/chats", {"customer": customer["id"], "application": 3})
        chat = answer.json()
        assert (answer.status_code, chat["status"], chat["customer"]) == (201, "empty", customer)
        assert (chat["applicationId"], chat["agents"], chat["assignee"]) == (3, [], None)
        assert {field for field in chat if chat[field] is None} == {
            *("closedBy", "closedAt", "rating", "lastMessageAt", "lastCustomerMessageAt", "lastMessageText"),
            *("lastMessageId", "lastCommunicatedAgentId", "snoozedUntil", "assignee", "department"),
        }
        assert sandbox.chats[-1] == chat
        agent, department = sandbox.agents[1]["id"], sandbox.departments[0]["id"]
        body = {"customer": customer["id"], "application": 1, "assignee": agent, "department": department}
        given = call(sandbox, "POST", "/chats", body).json()
        assert (given["assignee"]["id"], given["department"]["id"]) == (agent, department)
        assert [entry.applied for entry in sandbox.journal] == [True, True]
        assert sandbox.writes() == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["customer", "application"]),
        ({"customer": 880001}, ["application"]),
        ({"customer": "Kim", "application": 1}, ["customer"]),
        ({"customer": 1, "application": 1}, ["customer"]),
        ({"customer": 880001, "application": 1, "assignee": 1, "department": 1}, ["assignee", "department"]),
    ],
)
def test_a_wrong_new_chat_is_400(body, fields):
    with Sandbox(chats=3) as sandbox:
        answer = call(sandbox, "POST", "/chats", body)
        assert answer.status_code == 400
        assert [each["code"] for each in answer.json()["errors"]] == ["invalid_request", *fields]
        assert len(sandbox.chats) == 3


def test_inserted_chats_are_the_newest_and_as_told():
    with Sandbox(chats=10, now="2026-01-31") as sandbox:
        agent, customer = sandbox.agents[4], sandbox.customers[0]["id"]
        department = sandbox.departments[2]["id"]
        before = sandbox.chats
        added = sandbox.insert_chats(
            2, assignee=agent["id"], status="on hold", department=department, customer=customer
        )
        assert sandbox.chats == before + added
        assert {(chat["status"], chat["customer"]["id"], chat["department"]["id"]) for chat in added} == {
            ("onhold", customer, department)
        }
        assert [chat for chat in sandbox.chats_of(agent["id"]) if chat in added] == added
        assert int(before[-1]["createdAt"]) < int(added[0]["createdAt"]) < int(added[1]["createdAt"])
        assert call(sandbox, "GET", "/chats", limit=2).json()["data"] == added[::-1]


def test_a_person_changes_a_chat_behind_the_journal():
    with Sandbox(chats=10, agents=5) as sandbox:
        chat = sandbox.chats[0]["id"]
        agent = sandbox.agents[3]
        call(sandbox, "GET", f"/chats/{chat}")
        changed = sandbox.update_chat(chat, assignee=agent["id"], status="on-hold", snoozedUntil=1714550400)
        assert (changed["assignee"], changed["status"]) == (agent, "onhold")
        assert call(sandbox, "GET", f"/chats/{chat}").json() == changed
        assert sandbox.update_chat(chat, assignee=None, department=None)["assignee"] is None
        assert (len(sandbox.journal), sandbox.writes()) == (2, [])


@pytest.mark.parametrize(
    "wrong",
    [{"status": "done"}, {"assignee": 5}, {"department": 5}, {"colour": "red"}, {"snoozedUntil": "x"}],
)
def test_an_impossible_change_is_refused(wrong):
    sandbox = Sandbox(chats=1)
    with pytest.raises(ValueError, match=r"no |UNIX"):
        sandbox.update_chat(4410001, **wrong)
    with pytest.raises(KeyError):
        sandbox.update_chat(1, status="closed")
    with pytest.raises(KeyError):
        sandbox.chat(1)
    with pytest.raises(ValueError, match="customer"):
        sandbox.insert_chats(1, customer=1)


def test_chats_of_an_agent_and_of_nobody():
    sandbox = Sandbox(agents=4)
    for agent in (None, *(each["id"] for each in sandbox.agents)):
        every = [chat for chat in sandbox.chats if (chat["assignee"] or {"id": None})["id"] == agent]
        assert sandbox.chats_of(agent, open_only=False) == every
        open_ = [chat for chat in every if chat["status"] not in ("closed", "empty")]
        assert sandbox.chats_of(agent) == open_ != []


def test_an_agent_who_leaves_keeps_their_chats_and_gets_no_new_ones():
    with Sandbox(agents=4) as sandbox:
        agent = sandbox.agents[0]["id"]
        before = sandbox.chats_of(agent)
        sandbox.remove_agent(agent)
        assert agent not in [each["id"] for each in sandbox.agents]
        assert sandbox.chats_of(agent) == before != []
        assert put(sandbox, "assignee", id=before[0]["id"], assignee=agent).status_code == 404
        assert put(sandbox, "status", id=before[0]["id"], status="pending").json()["assignee"]["id"] == agent
        with pytest.raises(KeyError):
            sandbox.remove_agent(agent)


def test_reset_brings_the_first_chats_back():
    with Sandbox(chats=20, agents=3) as sandbox:
        before = sandbox.chats
        sandbox.insert_chats(3)
        put(sandbox, "status", id=before[0]["id"], status="pending")
        sandbox.reset()
        assert (sandbox.chats, sandbox.taken, sandbox.writes()) == (before, [], [])


def test_timestamps_in_three_styles():
    shown = {}
    for style in ("string", "integer", "fractional"):
        chats = Sandbox(timestamps=style, now=1_750_000_000).chats
        chat = next(chat for chat in chats if chat["status"] == "closed" and chat["lastMessageAt"])
        shown[style] = [chat[field] for field in ("createdAt", "lastMessageAt", "closedAt")]
    created, last, closed = shown["integer"]
    assert {type(value) for value in shown["integer"]} == {int}
    assert shown["fractional"][:2] == [f"{created}.000", f"{last}.000"]
    assert shown["string"] == [str(created), str(last), shown["fractional"][2]]
    assert shown["fractional"][2].startswith(f"{closed}.")


@pytest.mark.parametrize("spelling", ["onhold", "on hold", "on-hold"])
def test_on_hold_in_three_spellings(spelling):
    with Sandbox(chats=5, on_hold=spelling) as sandbox:
        for sent in ("onhold", "on hold", "on-hold"):
            assert put(sandbox, "status", id=4410001, status=sent).json()["status"] == spelling
        assert sandbox.chat(4410001)["status"] == spelling


def test_the_old_shape_lacks_what_newer_pages_added():
    chat = Sandbox(shape="old").chats[0]
    assert FIELDS - set(chat) == {"createdWith", "applicationId", "readByAgent", "readByCustomer"}
    assert set(chat) < FIELDS


@pytest.mark.parametrize(
    "wrong",
    [{"chats": -1}, {"search_total": "x"}, {"on_hold": "hold"}, {"timestamps": "iso"}, {"shape": "x"}],
)
def test_impossible_switches_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sandbox(**wrong)
