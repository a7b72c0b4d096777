"""
Killed and deferred tasks under a real Airflow: scheduler, API server, DAG processor and triggerer on 127.0.0.1.

Airflow keeps a task's state across tries from 3.3 on; what other versions do is in ``test_plan.py``.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

pytest.importorskip(
    "airflow.sdk.execution_time.context", reason="this Airflow has no state store", exc_type=ImportError
)
from airflow.sdk.execution_time import context as airflow_context

if not hasattr(airflow_context, "TaskStateStoreAccessor"):
    pytest.skip("this Airflow has no state store", allow_module_level=True)

pytestmark = pytest.mark.long

Row = Mapping[str, Any]

PATIENCE = 900
CHANGES = 200
KILL_AT = (80, 150)
"""Writes after which the task is killed; the notes of the second try begin in one chunk and end in the next."""

MESSAGES = "/v1/messages"

BUDGET = 45
PERIOD = 30.0
"""Requests that the moving task may make at once, and the seconds until it gets them back."""

DAGS = """
import time
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_helpcrunch.rate_limit import limiter
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator, runner
from airflow_provider_helpcrunch.operators.messages import SendMessageOperator

HERE = Path(__file__).parent
limiter.open_rate_limiter.__kwdefaults__["period"] = {period}
runner.BRIEF = 0.5
settings = {{"schedule": "@once", "start_date": datetime(2026, 1, 1), "catchup": False}}



def wait_for_gate(context):
    while not (HERE / "gate").exists():
        time.sleep(0.1)


with DAG("killed", **settings):
    UpdateChatsOperator(
        task_id="apply",
        plan=str(HERE / "plan.jsonl"),
        report_path=str(HERE / "report.jsonl"),
        retries={kills},
        retry_delay=timedelta(0),
    )

with DAG("message", **settings):
    SendMessageOperator(
        task_id="send",
        chat_id={chat},
        agent_id=1002,
        text="Your parcel is on its way.",
        pre_execute=wait_for_gate,
        retries=1,
        retry_delay=timedelta(0),
    )

with DAG("deferred", **settings):
    ReassignChatsOperator(
        task_id="move",
        helpcrunch_conn_id="second_account",
        from_agents=1001,
        to_agents=[1002, 1003],
        report_path=str(HERE / "moved.jsonl"),
        deferrable=True,
    )
"""


class Airflow:
    """A running Airflow, seen through its database, and the state in which each task was seen."""

    def __init__(self, home: Path, database: str, check: Callable[[], None]) -> None:
        self.home = home
        self._engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)
        self.seen: dict[str, list[str]] = {"killed": [], "deferred": [], "message": []}
        self.killed: list[int] = []
        self._check = check

    def rows(self, query: str) -> list[Row]:
        with self._engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(query)).mappings())

    def tasks(self) -> dict[str, Row]:
        found = self.rows("SELECT dag_id, state, pid, try_number FROM task_instance")
        for row in found:
            states = self.seen[row["dag_id"]]
            if not states or states[-1] != row["state"]:
                states.append(row["state"])
        return {row["dag_id"]: row for row in found}

    def kill_task_of(self, dag_id: str) -> None:
        pid = self.tasks()[dag_id]["pid"]
        os.kill(pid, signal.SIGKILL)
        self.killed.append(pid)

    def wait_until(self, ready: Callable[[dict[str, Row]], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready(self.tasks()):
            self._check()
            if time.monotonic() > deadline:
                pytest.fail(f"timed out: {what}; states seen: {self.seen}\n{self.logs()}")
            time.sleep(0.05)

    def wait_for_end(self, dag_id: str) -> None:
        self.wait_until(
            lambda tasks: dag_id in tasks and tasks[dag_id]["state"] in ("success", "failed"),
            f"the end of {dag_id}",
        )

    def result(self, dag_id: str) -> dict[str, Any]:
        rows = self.rows("SELECT dag_id, CAST(value AS TEXT) AS value FROM xcom WHERE key = 'return_value'")
        found = {row["dag_id"]: row["value"] for row in rows}
        return json.loads(found[dag_id])

    def logs(self) -> str:
        """Return the ends of all task logs."""
        logs = sorted((self.home / "logs").rglob("attempt=*.log"))
        return "\n".join(f"{log.parent.name}/{log.name}: {log.read_text()[-3000:]}" for log in logs)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None, agents=10, chats=CHANGES) as server:
        # The message is taken, and no response comes: so its worker cannot go on before it is killed.
        server.add_fault(Fault("hang", path=MESSAGES))
        for writes in KILL_AT:
            # The chat is changed, and no response comes: so the task cannot end before it is killed.
            server.add_fault(Fault("hang", path="/v1/chats/assignee", nth=writes))
        yield server


@pytest.fixture(scope="module")
def second() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=None, agents=10, chats=0, key="second-key") as server:
        server.insert_chats(60, assignee=1001)
        server.insert_chats(1, assignee=1001, status="closed")
        yield server


@pytest.fixture(scope="module")
def plan(server: Sandbox, home: Path) -> list[dict[str, Any]]:
    # No chat has its planned assignee already: a change that a killed try announced, but did not make, would turn out
    # to be in place, and no write would be needed.
    plan = [
        {"id": chat["id"], "assignee": 1001 + (chat["assignee"]["id"] if chat["assignee"] else number) % 10}
        for number, chat in enumerate(server.chats)
    ]
    (home / "dags").mkdir()
    (home / "dags" / "plan.jsonl").write_text("\n".join(map(json.dumps, plan)))
    return plan


@pytest.fixture(scope="module")
def airflow(home: Path, server: Sandbox, second: Sandbox, plan: object) -> Iterator[Airflow]:
    (home / "tmp").mkdir()
    (home / "dags" / "dags.py").write_text(
        DAGS.format(period=PERIOD, kills=len(KILL_AT), chat=server.chats[0]["id"])
    )
    import airflow_ui

    port = airflow_ui.free_port()
    # Until its task is killed, a response that does not come is waited for.
    first = server.connection(requests_per_minute=10_000, read_timeout=3600)
    own = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW_CONN_HELPCRUNCH_DEFAULT": first,
        "AIRFLOW_CONN_SECOND_ACCOUNT": second.connection(requests_per_minute=BUDGET),
    }
    with airflow_ui.parts_of_airflow(home, port, own, patience=PATIENCE) as processes:
        if processes.run("migrate", "airflow", "db", "migrate") != 0:
            raise processes.failure("migrate")
        airflow_ui.start_parts(processes, port)
        yield Airflow(home, processes.env[airflow_ui.DATABASE], processes.check)


@pytest.fixture(scope="module")
def killed(airflow: Airflow, server: Sandbox) -> Airflow:
    for writes in KILL_AT:
        airflow.wait_until(
            lambda tasks, writes=writes: (
                len(server.writes()) >= writes and tasks["killed"]["state"] == "running"
            ),
            f"{writes} writes",
        )
        airflow.kill_task_of("killed")
    airflow.wait_for_end("killed")
    return airflow


@pytest.fixture(scope="module")
def message(airflow: Airflow, server: Sandbox) -> Airflow:
    (airflow.home / "dags" / "gate").touch()
    airflow.wait_until(lambda _: server.requests(MESSAGES), "the message")
    airflow.kill_task_of("message")
    airflow.wait_for_end("message")
    return airflow


@pytest.fixture(scope="module")
def deferred(airflow: Airflow) -> Airflow:
    airflow.wait_for_end("deferred")
    return airflow


class TestKilledTask:
    def test_each_try_was_killed_and_the_last_one_finished(self, killed: Airflow) -> None:
        assert len(set(killed.killed)) == len(KILL_AT)
        task = killed.tasks()["killed"]
        assert (task["state"], task["try_number"]) == ("success", 1 + len(KILL_AT)), killed.logs()

    @pytest.mark.usefixtures("killed")
    def test_each_chat_is_written_once(self, server: Sandbox, plan: list[dict[str, Any]]) -> None:
        writes = Counter(request.chat for request in server.writes())
        assert writes.keys() == {entry["id"] for entry in plan}
        assert set(writes.values()) == {1}

    @pytest.mark.usefixtures("killed")
    def test_a_retry_goes_on_in_the_order_of_the_plan(
        self, server: Sandbox, plan: list[dict[str, Any]]
    ) -> None:
        written = list(dict.fromkeys(request.chat for request in server.writes()))
        assert written == [entry["id"] for entry in plan]

    @pytest.mark.usefixtures("killed")
    def test_every_chat_is_as_planned(self, server: Sandbox, plan: list[dict[str, Any]]) -> None:
        now = {chat["id"]: chat["assignee"]["id"] for chat in server.chats}
        assert now == {entry["id"]: entry["assignee"] for entry in plan}

    def test_the_report_covers_all_tries(self, killed: Airflow, plan: list[dict[str, Any]]) -> None:
        rows = [json.loads(line) for line in (killed.home / "dags/report.jsonl").read_text().splitlines()]
        assert [(row["id"], row["field"], row["after"], row["outcome"]) for row in rows] == [
            (entry["id"], "assignee", entry["assignee"], "changed") for entry in plan
        ]
        result = killed.result("killed")
        assert (result["changed"], len(result["chats"])) == (CHANGES, CHANGES)
        assert result["requests"] < CHANGES  # those of the last try

    def test_nothing_is_left_in_the_store(self, killed: Airflow) -> None:
        assert killed.rows("SELECT key FROM task_state_store WHERE task_id = 'apply'") == []


class TestMessage:
    def test_one_whose_worker_was_killed_is_found_by_the_retry(
        self, message: Airflow, server: Sandbox
    ) -> None:
        task = message.tasks()["message"]
        assert (task["state"], task["try_number"]) == ("success", 2), message.logs()
        assert len(server.requests(MESSAGES)) == 1
        assert message.result("message")["sent"] is False


class TestDeferredTask:
    def test_it_was_deferred_and_came_back_in_the_same_try(self, deferred: Airflow) -> None:
        task = deferred.tasks()["deferred"]
        assert (task["state"], task["try_number"]) == ("success", 1), deferred.logs()
        assert "deferred" in deferred.seen["deferred"]

    @pytest.mark.usefixtures("deferred")
    def test_all_open_chats_were_moved_once(self, second: Sandbox) -> None:
        assert second.chats_of(1001) == []
        assert Counter(Counter(request.chat for request in second.writes()).values()) == {1: 60}
        assert [len(second.chats_of(agent)) for agent in (1002, 1003)] == [30, 30]

    @pytest.mark.usefixtures("deferred")
    def test_the_budget_was_kept(self, second: Sandbox) -> None:
        assert second.busiest_window(PERIOD) <= BUDGET
        assert second.count(429) == 0

    def test_the_report_covers_what_was_done_before_the_deferral(
        self, deferred: Airflow, second: Sandbox
    ) -> None:
        rows = [json.loads(line) for line in (deferred.home / "dags/moved.jsonl").read_text().splitlines()]
        assert [row["id"] for row in rows] == [request.chat for request in second.writes()]
        result = deferred.result("deferred")
        assert (result["changed"], result["requests"]) == (60, len(second.journal))
