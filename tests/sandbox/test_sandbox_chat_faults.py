from __future__ import annotations

import http.client
import json
import random
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox, server
from airflow_provider_helpcrunch.sandbox.faults import INSTEAD_KINDS, PAYLOAD_KINDS, WIRE_KINDS

OPENED = {"field": "chats.status", "operator": "=", "value": "opened"}


def call(
    sandbox: Sandbox, method: str, path: str, body: Any = None, timeout: float = 60
) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    return requests.request(
        method, sandbox.url + path, json=body, headers=headers, timeout=timeout, allow_redirects=False
    )


def assign(sandbox: Sandbox, chat: int, agent: int | None, timeout: float = 60) -> requests.Response:
    return call(sandbox, "PUT", "/chats/assignee", {"id": chat, "assignee": agent}, timeout)


def assign_and_leave(sandbox: Sandbox, chat: int, agent: int) -> None:
    """Send the request, and close the connection once it has arrived: before any answer."""
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port)
    headers = {"Authorization": f"Bearer {sandbox.key}", "Content-Type": "application/json"}
    connection.request(
        "PUT", "/v1/chats/assignee", json.dumps({"id": chat, "assignee": agent}), headers=headers
    )
    deadline = time.monotonic() + 60
    while not sandbox.journal and time.monotonic() < deadline:
        time.sleep(0.005)
    connection.close()


def search(sandbox: Sandbox, **body: Any) -> Any:
    return call(sandbox, "POST", "/chats/search", {"order": "asc", **body}).json()


def assignee(sandbox: Sandbox, chat: int) -> int | None:
    part = sandbox.chat(chat)["assignee"]
    return part and part["id"]


def setting(*faults: Fault, **settings: Any) -> tuple[Sandbox, int]:
    """Return a sandbox and a chat that nobody has."""
    sandbox = Sandbox(agents=5, chats=40, faults=faults, **settings)
    return sandbox, sandbox.insert_chats(1)[0]["id"]


@pytest.mark.parametrize("kind", INSTEAD_KINDS)
def test_what_stands_in_place_of_the_answer_keeps_the_write_from_happening(kind):
    sandbox, chat = setting(Fault(kind, method="PUT"))
    with sandbox:
        assign(sandbox, chat, 1002)
        assert assignee(sandbox, chat) is None
        assert (sandbox.writes(), sandbox.journal[0].applied) == ([], False)
        assert assign(sandbox, chat, 1002).json() == sandbox.chat(chat)
        assert sandbox.writes() == sandbox.journal[1:]


@pytest.mark.parametrize("kind", WIRE_KINDS)
def test_a_lost_answer_is_that_of_a_write_that_happened(kind):
    sandbox, chat = setting(Fault(kind, seconds=600))
    with sandbox:
        if kind in ("hang", "drip"):
            assign_and_leave(sandbox, chat, 1002)
        else:
            with pytest.raises(requests.RequestException):
                assign(sandbox, chat, 1002)
        assert assignee(sandbox, chat) == 1002
        assert [(entry.chat, entry.status, entry.fault) for entry in sandbox.writes()] == [(chat, None, kind)]
        assert sandbox.writes(chat) == sandbox.writes()
        assert sandbox.writes(chat + 1) == []


@pytest.mark.parametrize("kind", PAYLOAD_KINDS)
def test_faults_of_rows_leave_writes_alone(kind):
    sandbox, chat = setting(Fault(kind))
    with sandbox:
        assert assign(sandbox, chat, 1002).json() == sandbox.chat(chat)
        assert assignee(sandbox, chat) == 1002


def test_a_late_write_happens_even_if_the_client_gives_up():
    sandbox, chat = setting(Fault("latency", seconds=600))
    with sandbox:
        assign_and_leave(sandbox, chat, 1002)
        assert assignee(sandbox, chat) == 1002
        assert [entry.status for entry in sandbox.writes()] == [None]


def test_a_late_search_tells_what_is_true_when_it_answers(monkeypatch):
    sandbox, _ = setting(Fault("latency", seconds=600))

    async def late(seconds: float) -> None:
        if seconds == 600:
            sandbox.insert_chats(1)

    with sandbox:
        monkeypatch.setattr(server, "asyncio", SimpleNamespace(sleep=late))
        assert search(sandbox)["total"] == 42
        monkeypatch.undo()


def test_an_ignored_write_looks_like_one_that_happened():
    sandbox, chat = setting(Fault("ignore_write"))
    with sandbox:
        before = sandbox.chat(chat)
        answer = assign(sandbox, chat, 1002)
        assert (answer.status_code, answer.json(), sandbox.chat(chat)) == (200, before, before)
        assert (sandbox.count(200), sandbox.writes()) == (1, [])
        assert assign(sandbox, chat, 1002).json()["assignee"]["id"] == 1002


def test_a_wrong_write_is_refused_even_if_it_would_be_ignored():
    sandbox, _ = setting(Fault("ignore_write"))
    with sandbox:
        assert assign(sandbox, 1, 1002).status_code == 404


def test_an_ignored_filter_finds_everything_but_is_still_checked():
    sandbox, _ = setting(Fault("ignore_filter", times=2))
    with sandbox:
        answer = search(sandbox, filter=[OPENED])
        assert (answer["data"], answer["total"]) == (sandbox.chats, 41)
        assert "errors" in search(sandbox, filter=[{}])
        assert {chat["status"] for chat in search(sandbox, filter=[OPENED])["data"]} == {"opened"}


def test_a_fault_can_be_about_one_chat():
    chat, other = 4410007, 4410008
    with Sandbox(agents=5, faults=[Fault("status", status=503, chat=chat, times=0)]) as sandbox:
        assert [assign(sandbox, each, 1002).status_code for each in (other, chat, str(chat))] == [
            200,
            503,
            503,
        ]
        assert [call(sandbox, "GET", f"/chats/{each}").status_code for each in (other, chat)] == [200, 503]
        assert call(sandbox, "GET", "/chats").status_code == 200
        assert call(sandbox, "POST", "/chats/search").status_code == 200
        assert [entry.chat for entry in sandbox.journal] == [other, chat, chat, other, chat, None, None]


def test_the_offset_of_a_search_picks_the_page():
    with Sandbox(chats=250, faults=[Fault("status", offset=100)]) as sandbox:
        statuses = [
            call(sandbox, "POST", "/chats/search", {"offset": offset}).status_code
            for offset in (0, 200, "100", 100)
        ]
        assert statuses == [200, 200, 500, 200]


@pytest.mark.parametrize("at", ["front", "end"])
def test_persons_take_chats_of_one_agent(at):
    fault = Fault("take", rows=3, agent=1001, by=1004, at=at, method="PUT")
    with Sandbox(agents=5, faults=[fault]) as sandbox:
        before = sandbox.chats_of(1001)
        gone = before[:3] if at == "front" else before[-3:]
        nobodys = sandbox.chats_of(None)[0]["id"]
        assert search(sandbox)["total"] == 300
        assert sandbox.taken == []
        assert assign(sandbox, nobodys, 1002).status_code == 200
        assert sandbox.taken == [(chat["id"], 1004) for chat in gone]
        assert sandbox.chats_of(1001) == [chat for chat in before if chat not in gone]
        assert {assignee(sandbox, chat["id"]) for chat in gone} == {1004}
        assert [entry.chat for entry in sandbox.writes()] == [nobodys]


def test_persons_take_any_chat_for_the_last_agent():
    with Sandbox(agents=5, chats=100, faults=[Fault("take", at="random", times=0)]) as sandbox:
        open_ = {chat["id"] for chat in sandbox.chats if chat["status"] not in ("closed", "empty")}
        wanted = open_ - {chat["id"] for chat in sandbox.chats_of(1005)}
        for _ in range(len(wanted) + 2):
            search(sandbox, limit=1)
        chats = [chat for chat, _ in sandbox.taken]
        assert (set(chats), len(chats)) == (wanted, len(wanted))
        assert {agent for _, agent in sandbox.taken} == {1005}
        assert chats != sorted(chats)
        assert {chat["id"] for chat in sandbox.chats_of(1005)} == open_


def test_a_chat_is_taken_before_the_write_about_it():
    sandbox, chat = setting(Fault("take", agent=1002, by=1003, method="PUT", nth=2))
    for each in sandbox.chats_of(1002):
        sandbox.update_chat(each["id"], assignee=1001)
    with sandbox:
        assign(sandbox, chat, 1002)
        answer = call(sandbox, "PUT", "/chats/status", {"id": chat, "status": "pending"})
        assert (answer.json()["assignee"]["id"], sandbox.taken) == (1003, [(chat, 1003)])


def test_nobody_is_there_to_take():
    with Sandbox(agents=0, chats=20, faults=[Fault("take", rows=5)]) as sandbox:
        assert search(sandbox)["total"] == 20
        assert sandbox.taken == []


def test_an_agent_vanishes_just_before_a_write():
    sandbox, chat = setting(Fault("vanish", agent=1002, nth=2))
    with sandbox:
        answers = [assign(sandbox, chat, agent).status_code for agent in (1002, 1002, 1003)]
        assert answers == [200, 404, 200]
        assert 1002 not in [agent["id"] for agent in sandbox.agents]
        assert len(sandbox.writes(chat)) == 2


def test_new_chats_arrive_between_two_pages():
    with Sandbox(agents=3, chats=150, faults=[Fault("arrive", rows=2, agent=1002, offset=100)]) as sandbox:
        assert search(sandbox)["total"] == 150
        answer = search(sandbox, offset=100)
        assert (answer["total"], len(answer["data"])) == (152, 52)
        assert [(chat["status"], chat["assignee"]["id"]) for chat in answer["data"][-2:]] == [
            ("new", 1002)
        ] * 2


def test_faults_of_rows_work_on_searches():
    with Sandbox(chats=120) as sandbox:
        whole = search(sandbox)["data"]
        expected = {
            "no_data": {"total": 120},
            "data_null": {"data": None, "total": 120},
            "data_object": {"data": {str(n): chat for n, chat in enumerate(whole)}, "total": 120},
            "no_ids": {
                "data": [{k: v for k, v in chat.items() if k != "id"} for chat in whole],
                "total": 120,
            },
            "empty_page": {"data": [], "total": 120},
            "short_page": {"data": whole[:50], "total": 120},
            "duplicate_rows": {"data": [chat for chat in whole for _ in range(2)], "total": 120},
        }
        for kind, answer in expected.items():
            sandbox.add_fault(Fault(kind))
            assert search(sandbox) == answer, kind
        sandbox.add_fault(Fault("ignore_offset"))
        assert search(sandbox, offset=100)["data"] == whole
        sandbox.add_fault(Fault("shuffle"))
        mixed = search(sandbox)["data"]
        assert mixed != whole
        assert len({chat["id"] for chat in mixed}) == 100


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("take,rows=2,agent=1001,by=1003,at=end", Fault("take", rows=2, agent=1001, by=1003, at="end")),
        ("vanish,agent=1001,chat=4410001", Fault("vanish", agent=1001, chat=4410001)),
        ("ignore_write,times=0", Fault("ignore_write", times=0)),
    ],
)
def test_a_fault_of_chats_on_a_command_line(text, fault):
    assert Fault.parse(text) == fault


@pytest.mark.parametrize("text", ["vanish", "take,agent=Ada", "take,by=", "status,chat=x", "take,at=middle"])
def test_a_wrong_fault_of_chats_is_refused(text):
    with pytest.raises(ValueError, match="must be"):
        Fault.parse(text)


def test_the_rows_of_a_fault_depend_on_its_kind():
    rows = {kind: Fault(kind).number for kind in ("insert", "delete", "short_page", "take", "arrive")}
    assert rows == {"insert": 50, "delete": 50, "short_page": 50, "take": 1, "arrive": 1}
    assert Fault("take", rows=0).number == 0


def test_the_journal_over_http_tells_which_writes_happened():
    sandbox, chat = setting(Fault("status"))
    with sandbox:
        assign(sandbox, chat, 1002)
        assign(sandbox, chat, 1002)
        journal = requests.get(sandbox.url.replace("/v1", "/_sandbox/journal"), timeout=60).json()
        assert [entry["applied"] for entry in journal] == [False, True]


def test_pages_stay_whole_while_persons_work():
    done = threading.Event()
    chance = random.Random(1)
    with Sandbox(agents=6, chats=400, rate_limit=None) as sandbox:
        agents, ids = [agent["id"] for agent in sandbox.agents], [chat["id"] for chat in sandbox.chats]

        def work() -> None:
            while not done.is_set():
                sandbox.update_chat(chance.choice(ids), assignee=chance.choice(agents))
                if chance.random() < 0.1:
                    sandbox.insert_chats(1, assignee=chance.choice(agents))
                time.sleep(0.0005)

        working = threading.Thread(target=work)
        working.start()
        try:
            for _ in range(30):
                mine = [{"field": "chats.assignee", "operator": "=", "value": 1001}]
                answer = search(sandbox, filter=mine)
                assert {chat["assignee"]["id"] for chat in answer["data"]} == {1001}
                found = [chat["id"] for chat in answer["data"]]
                assert found == sorted(set(found))
                assert len(found) == min(100, answer["total"])
                assert sandbox.chats_of(1001) != []
        finally:
            done.set()
            working.join()
