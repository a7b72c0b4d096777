"""``BudgetTrigger`` alone, and under Airflow's ``dag.test()`` with an operator that waits for its budget."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from airflow.triggers.base import TriggerEvent
from airflow_process import run

from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.triggers.budget import BudgetTrigger

STATE: dict[str, Any] = {
    "outcomes": [[4410001, "assignee", 1001, 1002, "changed", None]],
    "earlier": 0,
    "place": {"sources": [1001, None], "names": [[1001, "Zoë"]], "drain": None},
    "requests": 3,
    "waited": 1.5,
}


def again(trigger: BudgetTrigger) -> BudgetTrigger:
    """Make the trigger again from what Airflow keeps of it."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))


def events(trigger: BudgetTrigger) -> list[TriggerEvent]:
    async def collect() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    return asyncio.run(asyncio.wait_for(collect(), 10))


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let nothing sleep; return the seconds that each sleep was to take."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return taken


class TestSerialized:
    def test_is_the_same_trigger(self) -> None:
        trigger = BudgetTrigger(1_900_000_000.25, STATE)
        copy = again(trigger)
        assert type(copy) is BudgetTrigger
        assert copy.serialize() == trigger.serialize()
        assert (copy.until, copy.state) == (1_900_000_000.25, STATE)

    def test_a_copy_of_a_copy_waits_for_the_same_moment(self, sleeps: list[float]) -> None:
        now = time.time()
        trigger = BudgetTrigger(now + 3600, STATE)
        for seconds in (60, 600):
            with mock.patch("time.time", return_value=now + seconds):
                trigger = again(trigger)
                (event,) = events(trigger)
            assert event.payload == STATE
        # The moment, not the wait, is what is kept.
        assert sleeps == pytest.approx([3540, 3000])


class TestRun:
    def test_waits_until_the_moment_and_sends_one_event(self) -> None:
        until = time.time() + 0.3
        (event,) = events(BudgetTrigger(until, STATE))
        assert time.time() >= until - 0.01
        assert isinstance(event, TriggerEvent)
        assert json.loads(json.dumps(event.payload)) == STATE

    @pytest.mark.parametrize("ago", [0.0, 0.001, 3600.0, 1e9])
    def test_a_moment_in_the_past_is_now(self, ago: float, sleeps: list[float]) -> None:
        (event,) = events(BudgetTrigger(time.time() - ago, STATE))
        assert event.payload == STATE
        assert sleeps == [0.0]

    def test_being_cancelled_is_not_swallowed(self) -> None:
        sent = []

        async def cancel() -> None:
            async def collect() -> None:
                async for event in BudgetTrigger(time.time() + 60, STATE).run():
                    sent.append(event)

            waiting = asyncio.create_task(collect())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            waiting.cancel()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(waiting, 5)

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancel())
        assert sent == []

    def test_others_run_while_it_waits(self) -> None:
        async def one(number: int) -> list[int]:
            trigger = BudgetTrigger(time.time() + 0.2, {"number": number})
            return [event.payload["number"] async for event in trigger.run()]

        async def many() -> list[list[int]]:
            return await asyncio.gather(*map(one, range(50)))

        began = time.monotonic()
        assert asyncio.run(many()) == [[number] for number in range(50)]
        assert time.monotonic() - began < 8  # one after the other, they would take 10 s


DAG_FILE = """
import json, os
from datetime import datetime

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

from airflow_provider_helpcrunch.rate_limit import limiter
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator, runner

limiter.open_rate_limiter.__kwdefaults__["period"] = 4.0
runner.BRIEF = 0.1
HERE = os.environ["AIRFLOW_HOME"]


@task
def keep(moved, closed):
    with open(f"{HERE}/results.json", "w") as file:
        json.dump({"moved": moved, "closed": closed}, file)


with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    moved = ReassignChatsOperator(
        task_id="moved", from_agents="{{ 1000 + 1 }}", to_agents=[1002, 1003], deferrable=True
    )
    closed = UpdateChatsOperator(
        task_id="closed",
        plan=[{"id": chat, "status": "closed"} for chat in json.loads(os.environ["CHATS"])],
        deferrable=True,
    )
    moved >> closed
    keep(moved.output, closed.output)

if __name__ == "__main__":
    run = dag.test()
    with open(f"{HERE}/state.json", "w") as file:
        json.dump(str(run.state), file)
"""


@pytest.mark.long
def test_under_dag_test(tmp_path: Path) -> None:
    with Sandbox(agents=4, chats=0, rate_limit=8, window=3.8) as server:
        chats = [chat["id"] for chat in server.insert_chats(12, assignee=1001)]
        output = run(
            DAG_FILE,
            tmp_path,
            AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection(requests_per_minute=8),
            CHATS=json.dumps(chats[:6]),
        )
        assert "success" in json.loads((tmp_path / "state.json").read_text()), output[-5000:]
        results = json.loads((tmp_path / "results.json").read_text())
        assert (results["moved"]["changed"], results["closed"]["changed"]) == (12, 6)
        moves = server.requests("/v1/chats/assignee")
        assert [request.chat for request in moves] == chats
        assert [request.body["assignee"] for request in moves] == [1002, 1003] * 6
        assert [request.chat for request in server.requests("/v1/chats/status")] == chats[:6]
        assert server.chats_of(1001) == []
        assert {server.chat(chat)["status"] for chat in chats[:6]} == {"closed"}
        assert results["moved"]["requests"] + results["closed"]["requests"] == len(server.journal)
        assert server.count(429) == 0
        assert output.count("without a worker slot") >= 2
