"""Nights, the truth and the canary: what a test of an export needs beside the endpoints."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from airflow_provider_helpcrunch.sandbox import Fault, Happening, Sandbox
from airflow_provider_helpcrunch.sandbox.night import KINDS

NOW = 1_769_846_400
BUSY = dict.fromkeys(KINDS, 12)


def tables(sandbox: Sandbox) -> dict[str, dict[int, Any]]:
    return {
        name: {each["id"]: each for each in sandbox.truth(name)}
        for name in ("chats", "customers", "messages")
    }


def fresh(**settings: Any) -> Sandbox:
    return Sandbox(agents=6, chats=200, now=NOW, **settings)


def test_the_same_night_does_the_same():
    one, same, other = fresh(), fresh(), fresh(seed=2)
    assert one.night(**BUSY) == same.night(**BUSY) == one.happenings
    assert tables(one) == tables(same)
    assert other.night(**BUSY) != one.happenings
    assert one.night(**BUSY) == same.night(**BUSY) != one.happenings[:120]
    one.reset()
    assert (one.happenings, tables(one)) == ([], tables(fresh()))


def test_a_night_does_what_it_is_told_and_time_passes():
    sandbox = fresh()
    done = sandbox.night(3600, **BUSY)
    assert Counter(each.kind for each in done) == BUSY
    moments = [each.at for each in done]
    assert moments == sorted(moments)
    assert moments[0] >= NOW
    assert moments[-1] <= NOW + 3600 + len(done)
    assert int(sandbox.insert_chats(1)[0]["createdAt"]) >= NOW + 3600
    assert sandbox.journal == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_what_was_done_tells_all_that_changed(kind):
    sandbox = fresh()
    before = tables(sandbox)
    done = sandbox.night(**{kind: 15})
    after = tables(sandbox)
    assert len(done) == 15
    expected: dict[str, set[int]] = {"chats": set(), "customers": set(), "messages": set()}
    for each in done:
        expected[each.resource].add(each.id)
        expected["chats"].update(each.gone)
        if each.chat is not None and kind in ("messages", "late_messages"):
            expected["chats"].add(each.chat)
    for name, ids in expected.items():
        changed = {
            key for key in {*before[name], *after[name]} if before[name].get(key) != after[name].get(key)
        }
        if kind in ("customer_edits", "deletions", "lost_chats", "chats") and name != done[0].resource:
            continue
        assert changed <= ids, name
        assert name != done[0].resource or changed == ids
    for each in done:
        if each.fields:
            old, new = before[each.resource][each.id], after[each.resource][each.id]
            others = {name for name in new if new[name] != old[name]}
            assert others & set(each.fields) or sum(e.id == each.id for e in done) > 1


def test_a_late_message_has_a_high_id_and_an_early_time():
    sandbox = fresh()
    highest = max(each["id"] for each in sandbox.truth("messages"))
    for each in sandbox.night(late_messages=20):
        said = sandbox.messages(each.chat or 0)
        late = next(message for message in said if message["id"] == each.id)
        assert late["id"] > highest
        assert float(late["createdAt"]) < float(sandbox.chat(each.chat or 0)["lastMessageAt"])
        assert sandbox.chat(each.chat or 0)["lastMessageId"] != each.id


def test_an_edit_leaves_no_trace_in_the_chat():
    sandbox = fresh()
    before = sandbox.truth("chats")
    done = sandbox.night(message_edits=20)
    assert sandbox.truth("chats") == before
    messages = {each["id"]: each for each in sandbox.truth("messages")}
    assert all(messages[each.id]["edited"] and messages[each.id]["updatedAt"] for each in done)


def test_chats_fit_their_messages_after_a_night():
    sandbox = fresh()
    sandbox.night(**BUSY)
    for chat in sandbox.chats:
        said = [each for each in sandbox.messages(chat["id"]) if each["type"] not in ("private", "tech")]
        assert chat["lastMessageId"] == (said[-1]["id"] if said else None)
        assert chat["lastMessageText"] == (said[-1]["text"] if said else None)
        customers = [each["createdAt"] for each in said if each["from"] == "customer"]
        assert chat["lastCustomerMessageAt"] == (customers[-1].partition(".")[0] if customers else None)


def test_a_clock_that_runs_goes_ahead():
    clock = [1000.0]
    sandbox = Sandbox(chats=20, now=NOW, clock=lambda: clock[0])
    sandbox.night(600)
    clock[0] += 60
    assert sandbox.insert_chats(1)[0]["createdAt"] == str(NOW + 660)
    assert sandbox.night(chats=1)[0].at >= NOW + 660


@pytest.mark.parametrize(
    "wrong", [{"seconds": -1}, {"silent": -1}, {"silent": True}, {"deletions": "2"}], ids=str
)
def test_an_impossible_night_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fresh().night(**wrong)


def test_an_empty_account_sleeps():
    assert Sandbox(chats=0, agents=0, departments=0).night(silent=3, messages=3, lost_chats=3) == []


def test_faults_let_things_happen_between_two_pages(caller):
    sandbox = fresh(faults=[Fault("silent", rows=5, offset=100), Fault("erase", offset=100)])
    call = caller(sandbox)
    total = call("GET", "/customers").json()["total"]
    assert call("GET", "/customers", offset=100).json()["total"] == total - 1
    assert Counter(each.kind for each in sandbox.happenings) == {"silent": 5, "deletions": 1}


def test_the_truth_is_what_the_endpoints_send(caller):
    sandbox = fresh(rate_limit=None)
    sandbox.night(**BUSY)
    call = caller(sandbox)
    for name, sort in (("chats", "chats.createdAt"), ("customers", "customers.firstSeen")):
        pages = [call("GET", f"/{name}", sort=sort, offset=n).json()["data"] for n in (0, 100, 200)]
        rows = sorted((each for page in pages for each in page), key=lambda each: each["id"])
        assert rows == sandbox.truth(name)
    for name in ("agents", "departments", "applications"):
        assert call("GET", f"/{name}").json()["data"] == sandbox.truth(name)
    messages = []
    for chat in sandbox.chats:
        answer = call("GET", f"/chats/{chat['id']}/messages").json()
        rest = call("GET", f"/chats/{chat['id']}/messages", offset=100).json()["data"]
        messages += [*answer["data"], *rest][::-1]
    assert messages == sandbox.truth("messages")
    with pytest.raises(ValueError, match="customers"):
        sandbox.truth("contacts")


def test_nights_and_the_truth_over_http(caller):
    sandbox, twin = fresh(), fresh()
    call = caller(sandbox)
    done = call("POST", "/_sandbox/night", {"messages": 3, "silent": 2}).json()
    assert done == json.loads(json.dumps([dict_of(each) for each in twin.night(messages=3, silent=2)]))
    assert call("GET", "/_sandbox/happenings").json() == done
    assert call("GET", "/_sandbox/truth/chats").json() == sandbox.truth("chats") == twin.truth("chats")
    assert call("GET", "/_sandbox/truth/messages/4410007").json() == sandbox.messages(4410007)
    for path in ("truth/contacts", "truth/messages/1", "truth/messages/x"):
        assert call("GET", f"/_sandbox/{path}").status_code == 404
    for body in ({"parties": 1}, [1], {"seconds": "long"}):
        assert call("POST", "/_sandbox/night", body).status_code == 400
    assert sandbox.journal == []


def dict_of(happening: Happening) -> dict[str, Any]:
    return {name: getattr(happening, name) for name in Happening.__slots__}


def test_a_canary_is_in_every_personal_field():
    sandbox, word = fresh(canary="zq7canary"), "zq7canary"
    sandbox.night(chats=5, messages=20, customers=5, message_edits=5, customer_edits=20)
    personal = (
        "name",
        "email",
        "userId",
        "company",
        "phone",
        "source",
        "referer",
        "lastPage",
        "integrationId",
        "notes",
    )
    for each in sandbox.truth("customers"):
        assert all(word in each[name] for name in (*personal, "notes")), each
        assert word in each["location"]["city"]
        assert word in json.dumps(each["device"])
        assert word in json.dumps(each["customData"])
    for each in sandbox.truth("messages"):
        assert each["type"] == "tech" or word in each["text"]
        assert not each["agent"] or word in each["agent"]["email"]
    for each in sandbox.truth("agents"):
        assert word in each["name"]
        assert word in each["email"]
    for each in sandbox.truth("chats"):
        assert all(word in each["customer"][name] for name in ("name", "email", "userId"))
        assert each["lastMessageText"] is None or word in each["lastMessageText"]
    assert len({each["userId"] for each in sandbox.customers}) == len(sandbox.customers)
    assert word not in json.dumps([fresh().truth("customers"), fresh().truth("messages")])
