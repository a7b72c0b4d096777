"""``ChatsEventTrigger`` in Airflow's own runner: what is missed or repeated, and what it costs, by the account."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest
from in_process import answer_404_for_nothing, client_of

pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow shares streams since 3.3")

from airflow.sdk import Asset
from airflow.sdk.execution_time.context import AssetStateStoreAccessors
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome
from triggerer import AssetStore, Database, Gate, Triggerer, gate, until

from airflow_provider_helpcrunch.chats.watching import OVERLAP
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.triggers.events import EVENTS, ChatsEventTrigger
from airflow_provider_helpcrunch.triggers.stream import ChatsStream, Poll


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(agents=5, departments=3, chats=40, rate_limit=None)


@pytest.fixture
def polls(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return gate(monkeypatch, lambda conn_id: client_of(account))


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 300))


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


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("total", [1, 5, "exact"])
def test_an_account_without_chats_that_says_so_in_its_own_way(
    event: str, total: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    account, database = Sandbox(agents=5, chats=0, rate_limit=None, total=total), Database()
    polls = gate(monkeypatch, lambda _: client_of(account))
    if total == "exact":
        answer_404_for_nothing(monkeypatch)

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger(event)}) as triggerer:
            await polls.settled()
            await polls.poll()
            mine = ids(account.insert_chats(2))
            if event == "closed":
                for chat in mine:
                    account.update_chat(chat, status="closed")
            await polls.poll()
            await triggerer.sync()
            assert database.chats(1) == mine
            assert "poll" not in caplog.text

    run(story())


def test_a_poll_goes_back_no_further_than_the_watchers_need(account: Sandbox, polls: Gate) -> None:
    async def story() -> None:
        async with Triggerer(
            Database(), {1: ChatsEventTrigger("new"), 2: ChatsEventTrigger("new", department=101)}
        ):
            await polls.settled()
            account.night(86_400)
            latest = float(account.insert_chats(1)[0]["createdAt"])
            await polls.poll()
            await polls.poll()
            assert account.journal[-1].body["filter"][0]["value"] == latest - OVERLAP

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
def test_five_watchers_cost_one_poll_and_each_sees_its_own(event: str, account: Sandbox, polls: Gate) -> None:
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
    monkeypatch.setattr("airflow_provider_helpcrunch.triggers.stream.SETTLING", 0.5)
    missed: list[int] = []
    many = {n: ChatsEventTrigger("new", poll_interval=3600) for n in range(5)}

    async def story() -> None:
        async with Triggerer(database, many):
            await until(lambda: len(database.states.get("asset", ())) == 1)
        missed.extend(ids(account.insert_chats(2)))
        account.night(86_400)
        monkeypatch.setattr("airflow_provider_helpcrunch.triggers.stream.FIRST_REACH", -86_400.0)
        before = len(account.journal)
        async with Triggerer(database, many) as triggerer:
            await until(lambda: len(triggerer.runner.events) == 5)
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


class Lives:
    """
    Several lives of a triggerer, one after the other, while people work.

    :param seed: the same seed gives the same lives
    """

    def __init__(self, seed: int, account: Sandbox, polls: Gate) -> None:
        self.database = Database()
        self.watchers = {n: ChatsEventTrigger(event) for n, event in enumerate(EVENTS)}
        self.expected: dict[int, set[int]] = {n: set() for n in self.watchers}
        self.in_doubt: set[int] = set()
        self._chance = random.Random(seed)
        self._account = account
        self._polls = polls

    def happen(self) -> None:
        for _ in range(self._chance.randrange(4)):
            status, agent = self._chance.choice(["closed", "opened"]), self._chance.choice([None, 1001])
            chat = self._account.insert_chats(1, status=status, assignee=agent)[0]["id"]
            is_event = (True, status == "closed", status == "opened" and agent is None)
            for number, applies in enumerate(is_event):
                self.expected[number].update([chat] if applies else [])

    async def live(self) -> None:
        async with Triggerer(self.database, self.watchers) as triggerer:
            for _ in range(self._chance.randrange(4)):
                self.happen()
                await self._polls.poll()
                await triggerer.sync()
            self.happen()
            await self._polls.poll()
            self._end(triggerer)

    def _end(self, triggerer: Triggerer) -> None:
        end = self._chance.choice(["stopped", "killed", "stored, then killed"])
        if end == "stored, then killed":
            for number in self.watchers:
                fired = [e.event.payload for e in triggerer.runner.events if e.trigger_id == number]
                self.in_doubt.update(chat for payload in fired for chat in payload["chats"])
            triggerer.store_events()
        if end != "stopped":
            triggerer.kill()


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_every_chat_is_an_event(seed: int, account: Sandbox, polls: Gate) -> None:
    lives = Lives(seed, account, polls)
    polls.streams = 3

    async def story() -> None:
        async with Triggerer(lives.database, lives.watchers):
            await polls.poll()
        for _ in range(6):
            await lives.live()
            lives.happen()
        async with Triggerer(lives.database, lives.watchers) as triggerer:
            await polls.poll()
            await triggerer.sync()

    run(story())
    for number, chats in lives.expected.items():
        found = Counter(lives.database.chats(number))
        assert set(found) == chats
        assert {chat for chat, times in found.items() if times > 1} <= lives.in_doubt


def test_a_watch_outlives_failures_and_polls_less_often(
    account: Sandbox, polls: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database()

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger("new")}) as triggerer:
            await polls.settled()
            for status in (401, 503, 404):
                account.add_fault(Fault("status", status=status, times=0))
                await polls.poll()
                account.clear_faults()
            mine = ids(account.insert_chats(2))
            await polls.poll()
            await triggerer.sync()
            assert database.chats(1) == mine

    run(story())
    pauses = re.findall(r"failed, (\d) in a row; the next one is in (\d+ min):", caplog.text)
    assert pauses == [("1", "2 min"), ("2", "4 min"), ("3", "8 min")]


@pytest.mark.parametrize("event", EVENTS)
def test_two_intervals_on_one_asset_miss_no_event_of_the_asset(
    event: str, account: Sandbox, polls: Gate
) -> None:
    database, mine = Database(), []
    watchers = {1: ChatsEventTrigger(event, poll_interval=10), 2: ChatsEventTrigger(event, poll_interval=300)}
    polls.streams = 2

    def happen() -> None:
        mine.extend(ids(account.insert_chats(2, status="closed" if event == "closed" else "opened")))

    async def story() -> None:
        async with Triggerer(database, watchers) as triggerer:
            await polls.settled()
            await triggerer.sync()
            for interval in (10, 10, 300, 10):
                happen()
                await polls.poll(interval)
                await triggerer.sync()
            # Reported by the first alone, whose cursor is kept; the second has not polled since.
            triggerer.kill()
        happen()
        async with Triggerer(database, watchers) as triggerer:
            await polls.settled()
            await triggerer.sync()
            happen()
            await polls.poll()
            await triggerer.sync()

    run(story())
    assert set(database.chats(1)) | set(database.chats(2)) == set(mine)
    for watcher in watchers:
        assert max(Counter(database.chats(watcher)).values()) == 1


def test_without_a_state_store_it_begins_anew(account: Sandbox, polls: Gate) -> None:
    database = Database()

    async def story() -> None:
        for _ in range(2):
            async with Triggerer(database, {1: ChatsEventTrigger("unassigned")}, asset=None) as triggerer:
                await polls.settled()
                await triggerer.sync()
            account.insert_chats(2)

    run(story())
    assert database.events == {}


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        *(
            ("new", kept)
            for kept in ({}, [], "text", 7, {"since": "x", "recent": []}, {"since": 0, "recent": 7})
        ),
        *(("unassigned", kept) for kept in ({}, {"known": ["x"], "floor": 0}, {"known": [], "floor": None})),
    ],
)
def test_a_cursor_that_cannot_be_read_begins_anew(
    event: str, kept: Any, account: Sandbox, polls: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database()
    database.states["asset"] = {f"helpcrunch_helpcrunch_default_{event}_all": json.dumps(kept)}

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger(event)}) as triggerer:
            await polls.settled()
            fresh = ids(account.insert_chats(1))
            await polls.poll()
            await triggerer.sync()
            assert database.chats(1) == fresh

    run(story())
    assert "The watch begins anew, and events since it last ran are missed" in capsys.readouterr().out


def test_a_trigger_of_several_assets_says_that_its_cursor_is_not_kept(
    account: Sandbox, polls: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = ChatsEventTrigger("new")
    trigger.asset_state_store = AssetStateStoreAccessors([Asset("one"), Asset("two")])

    async def story() -> None:
        events = trigger.run()
        waiting = asyncio.ensure_future(anext(aiter(events)))
        await polls.settled()
        account.insert_chats(1)
        polls.open()
        assert (await waiting).payload["count"] == 1
        await events.aclose()  # type: ignore[attr-defined]

    run(story())
    assert "watches for several assets" in capsys.readouterr().out


def test_a_store_that_fails_is_written_to_again_with_the_next_poll(
    account: Sandbox, polls: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, works, aset = Database(), [False], AssetStore.aset

    async def sometimes(store: AssetStore, key: str, value: Any) -> None:
        if not works[0]:
            message = "the API server is away"
            raise RuntimeError(message)
        await aset(store, key, value)

    monkeypatch.setattr(AssetStore, "aset", sometimes)

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger("unassigned")}) as triggerer:
            await polls.settled()
            account.insert_chats(1)
            await polls.poll()
            await triggerer.sync()
            assert database.states["asset"] == {}
            works[0] = True
            await polls.poll()
            await triggerer.sync()
        async with Triggerer(database, {1: ChatsEventTrigger("unassigned")}) as triggerer:
            await polls.settled()
            await triggerer.sync()
        assert len(database.chats(1)) == 1

    run(story())


def test_an_event_has_ids_alone_and_at_most_a_thousand(
    account: Sandbox, polls: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_helpcrunch.triggers.events.MOST_CHATS", 4)
    database = Database()

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger("new", department=102)}) as triggerer:
            await polls.settled()
            mine = ids(account.insert_chats(10, department=102))
            await polls.poll()
            await triggerer.sync()
            assert [event["chats"] for event in database.events[1]] == [mine[:4], mine[4:8], mine[8:]]
            assert all(
                set(event) == {"event", "department", "chats", "count"} for event in database.events[1]
            )
            assert json.loads(next(iter(database.states["asset"].values())))

    run(story())


def test_an_empty_answer_by_mistake_makes_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Sandbox(agents=5, chats=40, rate_limit=None, total="missing")
    polls = gate(monkeypatch, lambda conn_id: client_of(account))
    database = Database()
    assert account.chats_of(None)

    async def story() -> None:
        async with Triggerer(database, {1: ChatsEventTrigger("unassigned")}) as triggerer:
            await polls.settled()
            for kind in ("empty_page", "short_page", "garbage", "no_data"):
                account.add_fault(Fault(kind, path="/v1/chats/search"))
                await polls.poll()
                await polls.poll()
            await triggerer.sync()

    run(story())
    assert database.events == {}


@pytest.mark.parametrize(("outcome", "kept"), [((2, 0), 1), ((1, 1), 0), ((0, 1), 0), ((0, 0), 0)])
def test_cursors_are_kept_only_if_every_watcher_is_done(outcome: tuple[int, int], kept: int) -> None:
    calls = []

    async def keep() -> None:
        calls.append(None)

    async def story() -> None:
        chats = ChatsStream("helpcrunch_default", "new", 60.0)
        poll = Poll(0.0, [], chats)
        poll.is_read(0.0, keep)
        await chats.advance([AdvanceItem(poll, AdvanceOutcome(*outcome))])

    run(story())
    assert len(calls) == kept
