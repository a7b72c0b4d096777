"""``ChatsTrigger`` alone, and under Airflow's ``dag.test()`` with the sensor that defers to it."""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from airflow_process import run
from in_process import client_of

from airflow_provider_helpcrunch.chats.criteria import Criteria
from airflow_provider_helpcrunch.chats.waiting import Condition
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.triggers.chats import MOST_FAILURES, ChatsTrigger

NO_TIMES = dict.fromkeys(("created_since", "created_before", "closed_since", "closed_before"))
PLAIN: dict[str, Any] = {
    "given": (),
    "comparison": "AND",
    "times": NO_TIMES,
    "statuses": None,
    "unassigned": False,
    "assignee": None,
    "department": None,
}
FULL: dict[str, Any] = {
    "given": (
        Filter("chats.createdAt", ">", "2026-01-31T08:00:00.5"),
        {"field": "chats.customer.tagsData", "operator": "=", "value": ["vip"]},
    ),
    "comparison": "and",
    "times": {**NO_TIMES, "created_since": "2026-01-31", "created_before": 1_800_000_000.25},
    "statuses": frozenset({"new", "opened"}),
    "unassigned": True,
    "assignee": None,
    "department": 101,
}


def trigger(at_least: int = 1, **criteria: Any) -> ChatsTrigger:
    condition = Condition(Criteria(**{**PLAIN, **criteria}), at_least)
    return ChatsTrigger("helpcrunch_default", json.loads(json.dumps(condition.to_json())), 0.01)


def events(trigger: ChatsTrigger) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        return [json.loads(json.dumps(event.payload)) async for event in trigger.run()]

    return asyncio.run(asyncio.wait_for(collect(), 300))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    account = Sandbox(agents=5, chats=0, rate_limit=None)
    monkeypatch.setattr("airflow_provider_helpcrunch.triggers.polling.connect", lambda _: client_of(account))
    return account


def test_it_is_rebuilt_from_what_airflow_keeps() -> None:
    condition = Condition(Criteria(**FULL), 3, older_than=60.0, waiting_for=900.5)
    written = json.loads(json.dumps(condition.to_json()))
    path, arguments = ChatsTrigger("mine", written, 30.0).serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert (again.helpcrunch_conn_id, again.poll_interval) == ("mine", 30.0)
    assert Condition.from_json(again.condition).to_json() == written


def test_waits_until_enough_chats_match(account: Sandbox) -> None:
    account.insert_chats(1)
    account.add_fault(Fault("arrive", path="/v1/chats/search", nth=3, rows=2))
    (event,) = events(trigger(at_least=3))
    assert event == {"status": "success", "chats": [chat["id"] for chat in account.chats]}
    assert len(account.journal) == 3


def test_a_wrong_key_ends_the_wait_at_once(account: Sandbox) -> None:
    account.add_fault(Fault("status", status=401, times=0))
    (event,) = events(trigger())
    assert (event["status"], event["error"], event["details"]["status_code"]) == (
        "error",
        "HelpCrunchAuthError",
        401,
    )
    assert len(account.journal) == 1


def test_a_number_of_failures_in_a_row_ends_it_and_success_starts_the_count_anew(account: Sandbox) -> None:
    attempts = 6
    account.insert_chats(1)  # so that a poll that works is one request
    account.add_fault(Fault("status", status=503, times=attempts * (MOST_FAILURES - 1)))
    account.add_fault(Fault("status", status=503, nth=attempts * (MOST_FAILURES - 1) + 2, times=0))
    (event,) = events(trigger(at_least=5))
    assert event["error"] == "HelpCrunchServerError"
    assert sum(entry.status == 503 for entry in account.journal) == attempts * (2 * MOST_FAILURES - 1)


def test_a_limit_that_is_used_up_is_no_failure(account: Sandbox) -> None:
    (chat,) = account.insert_chats(1)
    account.add_fault(Fault("status", status=429, times=MOST_FAILURES + 5))
    assert events(trigger()) == [{"status": "success", "chats": [chat["id"]]}]
    assert account.count(429) == MOST_FAILURES + 5


def test_being_cancelled_is_not_swallowed(account: Sandbox) -> None:
    async def cancel() -> None:
        waiting = asyncio.create_task(anext(trigger(at_least=5).run()))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        waiting.cancel()
        await waiting

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())


DAG_FILE = """
import json, os
from datetime import datetime, timedelta

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

from airflow_provider_helpcrunch.sensors.chats import ChatsSensor

HERE = os.environ["AIRFLOW_HOME"]


@task
def keep(chats):
    with open(f"{HERE}/chats.json", "w") as file:
        json.dump(chats, file)


with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    sensor = ChatsSensor(
        task_id="wait", assignee="unassigned", at_least=3, poke_interval=timedelta(seconds=1), deferrable=True
    )
    keep(sensor.output)

if __name__ == "__main__":
    run = dag.test()
    print("state:", run.state)
"""


@pytest.mark.long
def test_under_dag_test(tmp_path: Path) -> None:
    with Sandbox(agents=4, chats=0, rate_limit=None) as server:
        server.insert_chats(2)
        server.add_fault(Fault("arrive", path="/v1/chats/search", nth=3))
        output = run(DAG_FILE, tmp_path, AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection())
        assert "success" in output.split("state:")[-1], output[-5000:]
        assert json.loads((tmp_path / "chats.json").read_text()) == [chat["id"] for chat in server.chats]
        assert len(server.journal) == 3
