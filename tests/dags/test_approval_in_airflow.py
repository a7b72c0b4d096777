"""The approval example on a real Airflow, with its scheduler and API server: a yes, a no, and no answer in time."""

from __future__ import annotations

import importlib
import json
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import airflow
import pytest
import sqlalchemy

from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.storage import read_records

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow asks a person since 3.1"
    ),
]

ROOT = Path(__file__).parents[2]
DAG_ID = "example_helpcrunch_approval"
HASTY = f"{DAG_ID}_hasty"
"""The same DAG, with hardly any time for an answer."""

YES, NO, SILENCE = "1001", "1002", "1003"
TARGETS, COLLEAGUE, MOST = "1005, 1006", 1007, 3
PATIENCE = 900


class Airflow:
    """A running Airflow, by its public API."""

    def __init__(self, home: Path, port: int, password: str) -> None:
        self._home = home
        self._url = f"http://127.0.0.1:{port}"
        self._token = ""
        user = {"username": "admin", "password": password}
        self._token = self.call("POST", "/auth/token", user)["access_token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            log = self._home / "api-server.log"
            error.add_note(f"{method} {path}: {error.read().decode()}\n{log.read_text()[-10_000:]}")
            raise

    def wait_for_dags(self, *wanted: str) -> None:
        """Wait until their files are read."""
        deadline = time.monotonic() + PATIENCE
        while {dag["dag_id"] for dag in self.call("GET", "/api/v2/dags")["dags"]} != set(wanted):
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def trigger(self, dag_id: str, sources: str, base_path: Path) -> str:
        """Start a run; return the end of its address."""
        conf = {
            "from_agents": sources,
            "to_agents": TARGETS,
            "max_per_agent": MOST,
            "base_path": str(base_path),
        }
        run = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"conf": conf, "logical_date": None})
        return f"{dag_id}/dagRuns/{run['dag_run_id']}"

    def states(self, run: str) -> dict[str, str | None]:
        tasks = self.call("GET", f"/api/v2/dags/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def wait(self, run: str, task: str, *states: str) -> dict[str, str | None]:
        deadline = time.monotonic() + PATIENCE
        while (found := self.states(run)).get(task) not in states:
            assert time.monotonic() < deadline, found
            assert "failed" not in found.values(), found
            time.sleep(1)
        return found

    def wait_for_question(self, run: str) -> None:
        self.wait(run, "approve", "awaiting_input", "deferred")
        deadline = time.monotonic() + PATIENCE
        is_paused = importlib.import_module("paused_tasks").is_paused
        while not is_paused(self._home, run.rpartition("/")[2], "approve"):
            assert time.monotonic() < deadline, self.states(run)
            time.sleep(0.5)

    def question(self, run: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/api/v2/dags/{run}/hitlDetails")["hitl_details"][0])

    def answer(self, run: str, option: str) -> None:
        path = f"/api/v2/dags/{run}/taskInstances/approve/-1/hitlDetails"
        self.call("PATCH", path, {"chosen_options": [option], "params_input": {}})


@pytest.fixture(scope="module")
def scripts() -> Any:
    """Return the module that starts Airflow for ``make airflow``."""
    return importlib.import_module("airflow_ui")


@pytest.fixture(scope="module")
def account(scripts: Any) -> Any:
    with Sandbox(agents=8, chats=0, rate_limit=None, key=scripts.SANDBOX_KEY) as sandbox:
        for agent in (1001, 1002, 1003):
            sandbox.insert_chats(4, assignee=agent)
        yield sandbox


@pytest.fixture(scope="module")
def running(scripts: Any, account: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Any:
    home, dags = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("dags")
    (home / "tmp").mkdir()
    source = (ROOT / "dags" / f"{DAG_ID}.py").read_text()
    # Both runs that are answered go on at once, however long it takes until each is; the third one is not waited for.
    for dag_id, shown, instead, times in (
        (DAG_ID, "max_active_runs=1", "max_active_runs=2", 1),
        (HASTY, "timedelta(hours=4)", "timedelta(seconds=90)", 1),
        (HASTY, DAG_ID, HASTY, 2),
    ):
        file = dags / f"{dag_id}.py"
        text = file.read_text() if file.exists() else source
        assert text.count(shown) == times
        file.write_text(text.replace(shown, instead))
    port = scripts.free_port()
    own = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
    with scripts.parts_of_airflow(home, port, own, patience=PATIENCE) as processes:
        password = scripts.start_airflow(processes, port, account.url)
        started = Airflow(home, port, password)
        started.wait_for_dags(DAG_ID, HASTY)
        yield started


def test_a_yes_a_no_and_no_answer(account: Sandbox, running: Airflow, tmp_path: Path) -> None:
    before = {chat["id"]: chat for chat in account.chats}
    runs = {
        sources: running.trigger(dag_id, sources, tmp_path / sources)
        for sources, dag_id in ((YES, DAG_ID), (NO, DAG_ID), (SILENCE, HASTY))
    }
    running.wait_for_question(runs[YES])
    assert account.writes() == []

    question = running.question(runs[YES])
    names = {agent["id"]: agent["name"] for agent in account.agents}
    assert question["subject"] == "Reassign HelpCrunch chats: 4?"
    assert f"| {names[1001]} | {names[1005]} |" in question["body"]
    rows = list(read_records(str(next((tmp_path / YES).rglob("plan.csv")))))
    planned = {int(row["id"]): int(row["after"]) for row in rows}
    taken, closed, *left = sorted(planned)
    no_room = left.pop(0)
    account.update_chat(taken, assignee=COLLEAGUE)
    account.update_chat(closed, status="closed")
    account.insert_chats(MOST, assignee=planned[no_room])
    running.answer(runs[YES], "Approve")
    running.wait_for_question(runs[NO])
    running.answer(runs[NO], "Reject")

    assert set(running.wait(runs[YES], "summary", "success").values()) == {"success"}
    assert {write.body["id"]: write.body["assignee"] for write in account.writes()} == {
        chat: planned[chat] for chat in left
    }
    assert account.chat(taken)["assignee"]["id"] == COLLEAGUE
    assert account.chat(closed)["assignee"]["id"] == 1001
    assert len(account.chats_of(planned[no_room])) == MOST
    sent = account.requests("/v1/messages", "POST")
    assert [(note.body["chat"], note.body["type"], note.body["text"]) for note in sent] == [
        (chat, "private", "Reassigned after an approval.") for chat in left
    ]
    applied = list(read_records(str(next((tmp_path / YES).rglob("applied-1.csv")))))
    assert {int(row["id"]) for row in applied if row["outcome"] == "skipped"} == {taken, closed, no_room}

    for run in (runs[NO], runs[SILENCE]):
        states = running.wait(run, "summary", "skipped")
        assert (states["approve"], states["apply"]) == ("success", "skipped")
    untouched = [chat for chat, record in before.items() if record["assignee"]["id"] in (1002, 1003)]
    assert [account.chat(chat) for chat in untouched] == [before[chat] for chat in untouched]


def test_the_signals_of_this_process_are_as_before(scripts: Any, tmp_path: Path) -> None:
    """What is ignored here would be ignored by every process that a later test starts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    with scripts.Processes(tmp_path, {}, cwd=tmp_path, patience=1):
        pass
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_busy_database_is_waited_for(scripts: Any, tmp_path: Path) -> None:
    """Otherwise a person who triggers or answers while another part writes would see an "Internal Server Error"."""
    url = scripts.environment(tmp_path, 8080)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    with sqlalchemy.create_engine(url).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 20_000
