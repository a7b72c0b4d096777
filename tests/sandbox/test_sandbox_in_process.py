"""The sandbox in process: a client gets what it would get over a socket, without one and without waiting."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_helpcrunch.client import Filter, HelpCrunchClient, RetryPolicy
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchConnectionError,
    HelpCrunchRateLimitError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.fault_kinds import KINDS

NOW = "2026-01-31T08:00"
AT_ONCE = RetryPolicy(first_pause=0.0)


class Waits:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def connect() -> Iterator[Callable[..., HelpCrunchClient]]:
    clients = []

    def connected(sandbox: Sandbox, adapter: Any = None, **arguments: Any) -> HelpCrunchClient:
        budget = RateLimiter(MemoryStore(10_000, 1.0), 10_000, 1.0)
        given = {
            "budget": budget,
            "retry": AT_ONCE,
            "http_adapter": adapter or sandbox.adapter(),
            **arguments,
        }
        clients.append(HelpCrunchClient(given.pop("key", sandbox.key), **given))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


def session(sandbox: Sandbox, adapter: Any = None) -> requests.Session:
    made = requests.Session()
    made.headers["Authorization"] = f"Bearer {sandbox.key}"
    if adapter:
        made.mount("http://", adapter)
    return made


def outcome(made: requests.Session, url: str, timeout: float) -> Any:
    """Return what a plain caller of requests sees: the response, or the kind of error."""
    try:
        with made.get(
            url + "/agents", params={"limit": 5}, timeout=timeout, allow_redirects=False
        ) as response:
            location = response.headers.get("Location", "").rpartition("/")[2]
            return response.status_code, response.headers.get("Content-Type"), location, response.content
    except requests.RequestException as error:
        return type(error)


class TestTheSameAsOverASocket:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_fault(self, kind: str) -> None:
        settings: dict[str, Any] = {"agents": 8, "now": NOW}
        endless = kind in ("drip", "hang")
        timeout = 0.4 if endless else 60
        fault = Fault(kind, agent=1001, rows=3, seconds=600 if endless else 0.05)
        with Sandbox(**settings, faults=[fault]) as served, session(served) as made:
            expected = outcome(made, served.url, timeout)
            while not served.journal:  # a request that was given up is read all the same
                time.sleep(0.005)
            rest = served.agents, [(entry.fault, entry.status) for entry in served.journal]
        local, clock = Sandbox(**settings, faults=[fault]), Waits()
        with session(local, local.adapter(sleep=clock.sleep)) as made:
            assert outcome(made, "http://sandbox.example/v1", timeout) == expected
        assert (local.agents, [(entry.fault, entry.status) for entry in local.journal]) == rest

    def test_a_drip_that_is_fast_enough_arrives(self) -> None:
        local, clock = Sandbox(agents=3, faults=[Fault("drip", seconds=0.2)]), Waits()
        with session(local, local.adapter(sleep=clock.sleep)) as made:
            status, _, _, body = outcome(made, "http://sandbox.example/v1", 0.4)
        assert status == 200
        assert clock.now == pytest.approx(1000 + 0.2 * len(body))

    def test_the_paths_of_the_sandbox_itself(self) -> None:
        local = Sandbox(agents=3)
        with session(local, local.adapter()) as made:
            assert outcome(made, "http://sandbox.example/v1", 0.4)[0] == 200
            assert made.get("http://sandbox.example/_sandbox/summary").json()["requests"] == 1

    def test_the_key_is_checked(self, connect: Callable[..., HelpCrunchClient]) -> None:
        local = Sandbox()
        with pytest.raises(HelpCrunchAuthError):
            connect(local, key="another-key").list_agents()
        assert local.count(401) == 1


class TestClient:
    def test_lists_searches_and_changes(self, connect: Callable[..., HelpCrunchClient]) -> None:
        local = Sandbox(agents=250, chats=120, rate_limit=None, now=NOW)
        client = connect(local)
        assert client.list_agents() == local.agents
        assert [chat["id"] for chat in client.list_chats()] == [chat["id"] for chat in local.chats]
        found = client.search_chats([Filter("chats.assignee", "=", 1001)])
        assert {chat["id"] for chat in found} == {
            chat["id"] for chat in local.chats_of(1001, open_only=False)
        }
        assert client.get_organization()["domain"] == "shop.example"
        chat = local.insert_chats(1, assignee=1001)[0]["id"]
        assert client.update_chat_assignee(chat, 1002)["assignee"]["id"] == 1002
        assert [write.chat for write in local.writes()] == [chat]

    @pytest.mark.parametrize("kind", ["reset", "close", "truncate", "html", "garbage", "status", "no_ids"])
    def test_survives_a_fault(self, kind: str, connect: Callable[..., HelpCrunchClient]) -> None:
        local = Sandbox(agents=250, rate_limit=None, faults=[Fault(kind, nth=2)])
        client = connect(local)
        assert client.list_agents() == local.agents
        assert client.usage.retries == 1

    @pytest.mark.parametrize(
        ("kind", "error"), [("reset", HelpCrunchConnectionError), ("status", HelpCrunchServerError)]
    )
    def test_is_loud_when_a_fault_lasts(
        self, kind: str, error: type[Exception], connect: Callable[..., HelpCrunchClient]
    ) -> None:
        local = Sandbox(rate_limit=None, faults=[Fault(kind, times=0)])
        with pytest.raises(error):
            connect(local).list_agents()
        assert len(local.journal) == AT_ONCE.max_attempts

    def test_a_write_whose_answer_is_lost_was_made(self, connect: Callable[..., HelpCrunchClient]) -> None:
        local = Sandbox(agents=5, chats=0, faults=[Fault("close", method="PUT")])
        chat = local.insert_chats(1, assignee=1001)[0]["id"]
        connect(local).update_chat_assignee(chat, 1002)
        assert [write.status for write in local.writes(chat)] == [None, 200]

    def test_the_adapter_survives_a_closed_client(self, connect: Callable[..., HelpCrunchClient]) -> None:
        local = Sandbox(agents=5)
        adapter = local.adapter()
        for _ in range(2):
            with connect(local, adapter) as client:
                assert len(client.list_agents()) == 5


class TestClock:
    def test_the_rate_limit_and_its_window(self, connect: Callable[..., HelpCrunchClient]) -> None:
        clock = Waits()
        local = Sandbox(rate_limit=3, window=60.0, clock=clock)
        impatient = RetryPolicy(patience=0.0)
        client = connect(local, retry=impatient)
        for _ in range(3):
            client.get_organization()
        clock.sleep(59.9)
        with pytest.raises(HelpCrunchRateLimitError):
            client.get_organization()
        clock.sleep(0.1)
        assert connect(local).get_organization()
        assert [entry.at for entry in local.journal] == [1000.0, 1000.0, 1000.0, 1059.9, 1060.0]

    def test_latency_and_timeouts(self, connect: Callable[..., HelpCrunchClient]) -> None:
        clock = Waits()
        local = Sandbox(latency=2.5, clock=clock, faults=[Fault("hang", nth=2)])
        client = connect(local, local.adapter(sleep=clock.sleep), read_timeout=20)
        client.get_organization()
        assert clock.now == 1002.5
        client.get_organization()
        assert clock.now == 1025.0
        assert [entry.status for entry in local.journal] == [200, None, 200]

    def test_the_account_lives_by_it(self) -> None:
        clock = Waits()
        local = Sandbox(chats=0, agents=3, now=1_769_846_400, clock=clock)
        clock.sleep(90)
        first, second = local.insert_chats(2)
        assert first["createdAt"] == second["createdAt"] == "1769846490"
        local.reset()
        assert local.insert_chats(1)[0]["createdAt"] == "1769846490"

    def test_a_read_shows_the_account_after_its_delay(self) -> None:
        clock = Waits()
        local = Sandbox(agents=3, latency=5.0, clock=clock)

        def sleep(seconds: float) -> None:
            local.insert_agents(1)
            clock.sleep(seconds)

        with session(local, local.adapter(sleep=sleep)) as made:
            answer = made.get("http://sandbox.example/v1/agents", timeout=60).json()
        assert answer["meta"]["total"] == 4


def test_it_starts_no_thread_and_needs_no_aiohttp() -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from airflow_provider_helpcrunch.sandbox import Sandbox\n"
        "assert 'requests' not in sys.modules\n"
        "import requests, threading\n"
        "sandbox = Sandbox()\n"
        "with requests.Session() as session:\n"
        "    session.mount('http://', sandbox.adapter())\n"
        "    headers = {'Authorization': f'Bearer {sandbox.key}'}\n"
        "    print(session.get('http://here/v1/agents', headers=headers).status_code, threading.active_count())\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["200", "1"]
