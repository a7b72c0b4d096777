"""Airflow's triggerer in process: its own runner and shared streams, with a stand-in for the supervisor behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from airflow.jobs.triggerer_job_runner import TriggerRunner

from airflow_provider_helpcrunch.triggers import stream
from airflow_provider_helpcrunch.triggers.events import ChatsEventTrigger


class Database:
    """What survives a triggerer: the events that it stored, by watcher, and the state stores of the assets."""

    def __init__(self) -> None:
        self.events: dict[int, list[dict[str, Any]]] = {}
        self.states: dict[str, dict[str, str]] = {}

    def chats(self, watcher: int) -> list[int]:
        """Return the chats of all events of a watcher, in order."""
        return [chat for event in self.events.get(watcher, ()) for chat in event["chats"]]


class AssetStore:
    """Stands for ``asset_state_store``: JSON alone survives, and nothing is written once the triggerer is dead."""

    def __init__(self, triggerer: Triggerer, asset: str) -> None:
        self._triggerer = triggerer
        self._kept = triggerer.database.states.setdefault(asset, {})

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self._kept[key]) if key in self._kept else default

    async def aset(self, key: str, value: Any) -> None:
        if self._triggerer.is_dead:
            message = "nobody is there to write it"
            raise RuntimeError(message)
        self._kept[key] = json.dumps(value)


class Quiet:
    """Stands for the runner's log, which writes in a thread: a test could not tell when it is done."""

    async def ainfo(self, *_: object, **__: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self.ainfo if name.startswith("a") else lambda *_, **__: None


class Triggerer:
    """
    One life of a triggerer.

    :param database: what is left of those before
    :param watchers: the triggers, by number
    :param asset: the asset whose watchers they are; ``None``: Airflow has no state store
    """

    def __init__(
        self, database: Database, watchers: dict[int, ChatsEventTrigger], asset: str | None = "asset"
    ) -> None:
        self.database = database
        self.is_dead = False
        self.runner = TriggerRunner()
        self.runner.log = Quiet()  # type: ignore[assignment]
        self._watchers = watchers
        self._asset = asset
        self._seqs: list[int] = []

    async def __aenter__(self) -> Triggerer:
        for number, trigger in self._watchers.items():
            path, arguments = trigger.serialize()
            # As Airflow does: what the DAG file has is not what runs.
            again = self.runner.get_trigger_by_classpath(path)(**json.loads(json.dumps(arguments)))
            again.trigger_id = number
            if self._asset is not None:
                again.asset_state_store = AssetStore(self, self._asset)
            task = self.runner.run_trigger(number, again)
            self.runner.triggers[number] = {"name": str(number), "events": 0, "is_watcher": True}
            self.runner.triggers[number]["task"] = asyncio.create_task(task)
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [details["task"] for details in self.runner.triggers.values()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.runner._shared_streams.stop_all()

    def store_events(self) -> None:
        """Write what the watchers have fired, as the supervisor does with a message of the runner."""
        while self.runner.events:
            entry = self.runner.events.popleft()
            payload = json.loads(json.dumps(entry.event.payload))
            self.database.events.setdefault(entry.trigger_id, []).append(payload)
            self._seqs.append(entry.persist_seq)

    async def confirm(self) -> None:
        """Tell the runner that the events are stored, as the supervisor does with its next message."""
        self.runner._shared_streams.confirm_persisted([seq for seq in self._seqs if seq is not None])
        self._seqs.clear()
        await idle()

    async def sync(self) -> None:
        """Store and confirm."""
        self.store_events()
        await self.confirm()

    def kill(self) -> None:
        """Die by SIGKILL: from now on nothing is stored, whatever the code still does."""
        self.is_dead = True
        self.runner.events.clear()


class Gate:
    """
    Lets polls happen one by one, when a test says so, instead of by the clock.

    :param streams: how many streams there are
    """

    def __init__(self, streams: int = 1) -> None:
        self.streams = streams
        self._waiting: list[tuple[Any, asyncio.Future[None]]] = []

    async def pause(self, polls: Any) -> None:
        polls._at_once.clear()
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((polls, future))
        await future

    async def settled(self) -> None:
        """Wait until every stream has polled, and its watchers have seen the poll."""
        await until(lambda: sum(not future.done() for _, future in self._waiting) >= self.streams)
        await idle()

    async def poll(self, interval: float | None = None) -> None:
        """Let every stream poll once more, or those with an interval alone."""
        await self.settled()
        self.open(interval)
        await self.settled()

    def open(self, interval: float | None = None) -> None:
        """Let every stream that waits go on, or those with an interval alone."""
        opened = [each for each in self._waiting if interval in (None, each[0]._interval)]
        self._waiting = [each for each in self._waiting if each not in opened]
        for _, future in opened:
            if not future.done():
                future.set_result(None)


def gate(monkeypatch: Any, connect: Callable[[str], Any]) -> Gate:
    """Let polls go to an account in process, and wait at a gate before each but the first."""
    found = Gate()
    monkeypatch.setattr(stream, "SETTLING", 0.0)
    monkeypatch.setattr(stream.ChatsStream, "_pause", lambda polls: found.pause(polls))
    monkeypatch.setattr("airflow_provider_helpcrunch.triggers.polling.connect", connect)
    return found


async def idle() -> None:
    """Let everything that can run now do so."""
    for _ in range(30):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(300):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
