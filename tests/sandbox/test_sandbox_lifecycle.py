from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from hand_clock import Clock

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox


def get(sandbox: Sandbox, path: str = "/agents", **query: int) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    return requests.get(sandbox.url + path, params=query, headers=headers, timeout=60)


def sandbox_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "helpcrunch-sandbox"]


def test_the_window_refuses_what_is_over_the_limit():
    with Sandbox(rate_limit=5) as sandbox:
        answers = [get(sandbox) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert answers[-1].json()["errors"][1] == {
            "code": "too_many_requests",
            "message": "Too many requests",
        }
        assert "Retry-After" not in answers[-1].headers
        assert (sandbox.count(200), sandbox.count(429)) == (5, 3)
        assert sandbox.busiest_window(60) == 5


def test_the_window_slides():
    clock = Clock()
    with Sandbox(rate_limit=2, window=0.4, clock=clock) as sandbox:
        assert get(sandbox).status_code == 200
        clock.now += 0.2
        assert [get(sandbox).status_code for _ in range(2)] == [200, 429]
        clock.now += 0.25  # the first has left the window, the second has not
        assert [get(sandbox).status_code for _ in range(2)] == [200, 429]


def test_refused_requests_do_not_spend():
    clock = Clock()
    with Sandbox(rate_limit=1, window=0.3, clock=clock) as sandbox:
        for _ in range(5):
            requests.get(sandbox.url + "/agents", timeout=60)
        assert get(sandbox).status_code == 200
        for _ in range(5):
            clock.now += 0.05
            assert get(sandbox).status_code == 429
        clock.now += 0.06
        assert get(sandbox).status_code == 200


def test_retry_after_is_whole_seconds_rounded_up():
    with Sandbox(rate_limit=1, window=2.5, retry_after=True, errors="old", clock=Clock()) as sandbox:
        get(sandbox)
        answer = get(sandbox)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
        assert answer.json()["errors"] == [
            {"code": "too_many_requests", "message": "You have exceeded your requests limit"}
        ]


def test_many_threads_never_get_more_than_the_limit():
    clock = Clock()

    def ask(_: int) -> None:
        get(sandbox)
        clock.now += 0.01

    # All of them take 1.2 s by this clock, which is four windows.
    with Sandbox(rate_limit=20, window=0.3, clock=clock) as sandbox, ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(120)))
        assert 20 <= sandbox.count(429) < 100
        assert sandbox.busiest_window(0.3) <= 20


def test_the_journal_tells_what_reached_the_server():
    with Sandbox(faults=[Fault("html", nth=2)]) as sandbox:
        before = time.monotonic()
        with requests.Session() as session:
            session.headers.update({"Authorization": f"Bearer {sandbox.key}", "User-Agent": "me/1"})
            session.get(sandbox.url + "/agents", params={"offset": 5, "limit": 2}, timeout=60)
            session.get(sandbox.url + "/departments", timeout=60)
        requests.put(sandbox.url + "/chats", data="no json", timeout=60)
        first, second, third = sandbox.journal
        assert before < first.at < second.at < third.at < time.monotonic()
        assert (first.method, first.path, first.query) == ("GET", "/v1/agents", {"offset": "5", "limit": "2"})
        assert (first.status, first.authorized, first.user_agent, first.body) == (200, True, "me/1", None)
        assert (first.fault, second.fault, second.status) == (None, "html", 200)
        assert first.peer == second.peer != third.peer
        assert (third.authorized, third.status, third.body) == (False, 401, "no json")
        assert sandbox.requests("/v1/agents") == [first]
        assert sandbox.requests(method="PUT") == [third]
        assert sandbox.requests() == [first, second, third]
        assert sandbox.key not in repr(sandbox.journal)


def test_every_answer_a_client_holds_is_in_the_journal_already():
    with Sandbox(rate_limit=None) as sandbox, ThreadPoolExecutor(8) as pool:

        def answered(page: int) -> bool:
            get(sandbox, offset=page)
            return [e.status for e in sandbox.requests() if e.query == {"offset": str(page)}] == [200]

        assert all(pool.map(answered, range(100)))


def test_inserting_and_deleting_keeps_the_order_of_the_others():
    sandbox = Sandbox(agents=10)
    before = sandbox.agents
    front, end, middle = (
        sandbox.insert_agents(2),
        sandbox.insert_agents(2, "end"),
        sandbox.insert_agents(2, 5),
    )
    assert sandbox.agents == front + before[:3] + middle + before[3:] + end
    scattered = sandbox.insert_agents(5, at="random")
    assert [agent for agent in sandbox.agents if agent not in scattered] == (
        front + before[:3] + middle + before[3:] + end
    )
    ids = [agent["id"] for agent in sandbox.agents]
    assert len(set(ids)) == len(ids) == 21
    assert sandbox.delete_agents(5, at="random") != []
    left = sandbox.agents
    assert sandbox.delete_agents(1) + sandbox.delete_agents(1, at=3) + sandbox.delete_agents(1, at="end") == [
        left[0],
        left[4],
        left[-1],
    ]
    assert len(sandbox.delete_agents(1000)) == 13
    assert sandbox.agents == []
    assert sandbox.insert_agents(1)[0]["id"] not in ids


def test_pages_stay_whole_while_the_account_churns():
    done = threading.Event()
    chance = random.Random(1)
    with Sandbox(agents=500, rate_limit=None) as sandbox:

        def churn() -> None:
            while not done.is_set():
                change = chance.choice([sandbox.insert_agents, sandbox.delete_agents])
                change(chance.randint(1, 5), at=chance.choice(["front", "end", "random"]))
                time.sleep(0.0005)

        churner = threading.Thread(target=churn)
        churner.start()
        try:
            for _ in range(50):
                page = get(sandbox, limit=100).json()
                ids = [agent["id"] for agent in page["data"]]
                assert len(ids) == len(set(ids)) == min(100, page["meta"]["total"])
        finally:
            done.set()
            churner.join()


def test_reset_goes_back_to_the_start():
    with Sandbox(agents=30, rate_limit=2, faults=[Fault("status")]) as sandbox:
        before = sandbox.agents
        assert [get(sandbox).status_code for _ in range(3)] == [500, 200, 429]
        sandbox.insert_agents(3)
        sandbox.add_fault(Fault("hang", times=0))
        sandbox.reset()
        assert (sandbox.agents, sandbox.journal) == (before, [])
        assert [get(sandbox).status_code for _ in range(3)] == [500, 200, 429]


@pytest.mark.parametrize(
    "fault", [Fault("hang"), Fault("drip", seconds=60), Fault("latency", seconds=60)], ids=lambda f: f.kind
)
def test_stop_is_prompt_and_leaves_nothing_behind(fault):
    sandbox = Sandbox(faults=[fault]).start()
    connection = socket.create_connection(("127.0.0.1", sandbox.port), timeout=60)
    connection.sendall(b"GET /v1/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox-key\r\n\r\n")
    while not sandbox.journal:
        time.sleep(0.01)
    started = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - started < 30
    connection.close()
    assert sandbox_threads() == []
    assert sandbox.journal[0].status is None
    with pytest.raises(requests.ConnectionError):
        get(sandbox)


def test_stop_with_an_idle_connection_is_prompt():
    with requests.Session() as session:
        with Sandbox() as sandbox:
            session.get(sandbox.url + "/agents", timeout=60)
            started = time.monotonic()
        assert time.monotonic() - started < 30


def test_it_can_be_started_and_stopped_again_and_again():
    sandbox = Sandbox(agents=3)
    for _ in range(3):
        assert sandbox.start() is sandbox
        port = sandbox.start().port
        assert get(sandbox).status_code == 200
        assert sandbox.port == port
        sandbox.stop()
        sandbox.stop()
    assert sandbox.count(200) == 3


def test_it_works_inside_a_running_event_loop():
    async def inside() -> int:
        with Sandbox() as sandbox:
            return (await asyncio.to_thread(get, sandbox)).status_code

    assert asyncio.run(inside()) == 200


def test_there_is_no_url_before_it_starts():
    with pytest.raises(RuntimeError, match="start"):
        _ = Sandbox().url


def test_a_taken_port_is_the_callers_error():
    with Sandbox() as first, pytest.raises(OSError, match="address"):
        Sandbox(port=first.port).start()
    assert sandbox_threads() == []


def test_the_connection_is_what_airflow_reads():
    with Sandbox(key='k"1') as sandbox:
        plain = {"conn_type": "helpcrunch", "password": 'k"1', "host": sandbox.url}
        assert json.loads(sandbox.connection()) == plain
        assert json.loads(sandbox.connection(requests_per_minute=60)) == {
            **plain,
            "extra": {"requests_per_minute": 60},
        }
