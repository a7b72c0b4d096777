"""``ChatsEventTrigger`` in Airflow's own runner: what is missed or repeated, and what it costs, by the account."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from in_process import client_of

pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow shares streams since 3.3")

from triggerer import Database, Gate, Triggerer, gate

from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.triggers.events import ChatsEventTrigger


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(agents=5, departments=3, chats=40, rate_limit=None)


@pytest.fixture
def polls(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return gate(monkeypatch, lambda conn_id: client_of(account))


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 60))


def ids(chats: list[dict[str, Any]]) -> list[int]:
    return [chat["id"] for chat in chats]


def test_new_chats_once_and_none_that_was_there_before(account: Sandbox, polls: Gate) -> None:
    database = Database()

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger("new")}) as triggerer:
            await polls.settled()
            first = ids(account.insert_chats(3))
            await polls.poll()
            await triggerer.sync()
            assert database.events[1] == [{"event": "new", "department": None, "chats": first, "count": 3}]
            await polls.poll()
            second = ids(account.insert_chats(150, status="empty"))
            await polls.poll()
            await triggerer.sync()
            assert database.chats(1) == first + second

    run(story())


def test_closed_chats_once_for_each_time(account: Sandbox, polls: Gate) -> None:
    database = Database()

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger("closed")}) as triggerer:
            await polls.settled()
            chat = account.insert_chats(2)[0]["id"]
            for _ in range(2):
                account.update_chat(chat, status="closed")
                await polls.poll()
                account.update_chat(chat, status="opened")
                await polls.poll()
            await triggerer.sync()
            assert database.chats(1) == [chat, chat]

    run(story())


def test_chats_that_lose_their_agent_or_come_without_one(account: Sandbox, polls: Gate) -> None:
    database = Database()
    assert account.chats_of(None)

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger("unassigned")}) as triggerer:
            await polls.settled()
            taken = account.insert_chats(2, assignee=1001)[0]["id"]
            await polls.poll()
            account.update_chat(taken, assignee=None)
            fresh = account.insert_chats(1)[0]["id"]
            account.insert_chats(1, status="closed")
            account.insert_chats(1, status="empty")
            await polls.poll()
            account.update_chat(taken, assignee=1002)
            await polls.poll()
            account.update_chat(taken, assignee=None)
            await polls.poll()
            await triggerer.sync()
            assert database.chats(1) == [taken, fresh, taken]

    run(story())


@pytest.mark.parametrize("event", ["new", "closed", "unassigned"])
def test_five_watchers_cost_one_poll_and_each_sees_its_own(
    event: str, account: Sandbox, polls: Gate
) -> None:
    departments = [department["id"] for department in account.departments]
    database = Database()
    watchers = {n: ChatsEventTrigger(event, department=d) for n, d in enumerate([None, None, *departments])}

    async def story() -> None:
        async with Triggerer(database, watchers) as triggerer:
            await polls.settled()
            assert len(account.journal) == 1
            status = "closed" if event == "closed" else "opened"
            of = {d: ids(account.insert_chats(4, department=d, status=status)) for d in departments}
            await polls.poll()
            assert len(account.journal) == 2
            await triggerer.sync()
            every = [chat for chats in of.values() for chat in chats]
            assert [database.chats(n) for n in range(5)] == [every, every, *of.values()]

    run(story())


def test_all_polls_are_read_in_one_thread_that_is_not_the_loops(
    account: Sandbox, polls: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    def connect(conn_id: str) -> Any:
        client = client_of(account)
        search = client.search_chats_page
        client.search_chats_page = lambda *given, **named: (  # type: ignore[method-assign]
            threads.add(threading.current_thread().name),
            search(*given, **named),
        )[1]
        return client

    monkeypatch.setattr("airflow_provider_helpcrunch.triggers.polling.connect", connect)

    async def story() -> None:
        watchers = {n: ChatsEventTrigger(event) for n, event in enumerate(("new", "closed", "unassigned"))}
        async with Triggerer(Database(), watchers):
            await polls.settled()
            await polls.poll()

    run(story())
    (name,) = threads
    assert name.startswith("helpcrunch-poll")


@pytest.mark.parametrize("event", ["new", "closed", "unassigned"])
@pytest.mark.parametrize("gone", [0.0, 3 * 86_400.0])
def test_what_happens_while_the_triggerer_is_down_is_an_event_afterwards(
    event: str, gone: float, account: Sandbox, polls: Gate
) -> None:
    database, status = Database(), "closed" if event == "closed" else "opened"
    watchers = {1: ChatsEventTrigger(event), 2: ChatsEventTrigger(event, department=101)}
    seen: list[int] = []

    async def story() -> None:
        for _ in range(3):
            async with Triggerer(database, watchers) as triggerer:
                await polls.settled()
                await polls.poll()
                seen.extend(ids(account.insert_chats(2, status=status, department=101)))
                await polls.poll()
                await triggerer.sync()
            seen.extend(ids(account.insert_chats(120, status=status, department=101)))
            account.night(gone)
        async with Triggerer(database, watchers) as triggerer:
            await polls.settled()
            await polls.poll()
            await triggerer.sync()
        assert database.chats(1) == database.chats(2) == seen

    run(story())


def test_a_watcher_that_has_to_go_back_further_gets_a_poll_at_once(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database()
    monkeypatch.setattr("airflow_provider_helpcrunch.triggers.polling.connect", lambda _: client_of(account))
    monkeypatch.setattr("airflow_provider_helpcrunch.triggers.stream.SETTLING", 0.05)
    missed: list[int] = []
    many = {n: ChatsEventTrigger("new", poll_interval=3600) for n in range(5)}

    async def story() -> None:
        async with Triggerer(database, many):
            while "asset" not in database.states or not database.states["asset"]:
                await asyncio.sleep(0.01)
        missed.extend(ids(account.insert_chats(2)))
        account.night(86_400)
        monkeypatch.setattr("airflow_provider_helpcrunch.triggers.stream.FIRST_REACH", -86_400.0)
        before = len(account.journal)
        async with Triggerer(database, many) as triggerer:
            while not triggerer.runner.events:
                await asyncio.sleep(0.01)
            triggerer.store_events()
        assert [database.chats(n) for n in range(5)] == [missed] * 5
        assert len(account.journal) - before == 2

    run(story())


MOMENTS = ("before the poll", "events not stored", "stored", "confirmed")


@pytest.mark.parametrize("event", ["new", "closed", "unassigned"])
@pytest.mark.parametrize("dies", MOMENTS)
def test_killed_at_any_moment_nothing_is_missed_and_only_one_moment_repeats(
    dies: str, event: str, account: Sandbox, polls: Gate
) -> None:
    database, status = Database(), "closed" if event == "closed" else "opened"
    watcher = {1: ChatsEventTrigger(event)}
    chats: list[int] = []

    async def story() -> None:
        async with Triggerer(database, watcher) as triggerer:
            await polls.settled()
            await polls.poll()
            chats.extend(ids(account.insert_chats(3, status=status)))
            for moment, step in zip(
                MOMENTS, (None, polls.poll, triggerer.store_events, triggerer.confirm), strict=True
            ):
                if step and asyncio.iscoroutine(done := step()):
                    await done
                if moment == dies:
                    triggerer.kill()
                    break
        chats.extend(ids(account.insert_chats(2, status=status)))
        async with Triggerer(database, watcher) as triggerer:
            await polls.poll()
            await triggerer.sync()

    run(story())
    # Airflow has no way to store an event and a cursor together, nor to ask for the events of an asset.
    repeated = chats[:3] if dies == "stored" else []
    assert Counter(database.chats(1)) == Counter(chats + repeated)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_chat_is_an_event(seed: int, account: Sandbox, polls: Gate) -> None:
    chance, database = random.Random(seed), Database()
    watchers = {n: ChatsEventTrigger(event) for n, event in enumerate(("new", "closed", "unassigned"))}
    expected: dict[int, list[int]] = {n: [] for n in watchers}
    in_doubt: set[int] = set()
    polls.streams = 3

    def happen() -> None:
        for _ in range(chance.randrange(4)):
            status, agent = chance.choice(["closed", "opened"]), chance.choice([None, 1001])
            chat = account.insert_chats(1, status=status, assignee=agent)[0]["id"]
            expected[0].append(chat)
            if status == "closed":
                expected[1].append(chat)
            elif agent is None:
                expected[2].append(chat)

    async def live() -> None:
        async with Triggerer(database, watchers) as triggerer:
            for _ in range(chance.randrange(4)):
                happen()
                await polls.poll()
                await triggerer.sync()
            happen()
            await polls.poll()
            end = chance.choice(["stops", "killed", "stored, then killed"])
            if end != "stops":
                if end != "killed":
                    stored = {n: len(database.chats(n)) for n in watchers}
                    triggerer.store_events()
                    in_doubt.update(chat for n in watchers for chat in database.chats(n)[stored[n] :])
                triggerer.kill()

    async def story() -> None:
        async with Triggerer(database, watchers):
            await polls.poll()
        for _ in range(6):
            await live()
            happen()
        async with Triggerer(database, watchers) as triggerer:
            await polls.poll()
            await triggerer.sync()

    run(story())
    for number, chats in expected.items():
        found = Counter(database.chats(number))
        assert set(found) == set(chats)
        assert {chat for chat, times in found.items() if times > 1} <= in_doubt
