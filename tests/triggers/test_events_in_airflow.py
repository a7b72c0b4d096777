"""Watchers in a real triggerer that is killed: the events that Airflow has stored, and what the account was asked."""

from __future__ import annotations

import importlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from airflow.triggers import base
from cryptography.fernet import Fernet

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(base, "BaseEventTrigger"), reason="Airflow 2.11 has no asset watchers"),
]
HAS_SHARED_STREAMS = hasattr(getattr(base, "BaseEventTrigger", None), "shared_stream_key")

PATIENCE = 900

DAG_FILE = """
from datetime import datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_helpcrunch.triggers.events import ChatsEventTrigger

ASSETS = [
    Asset(
        event,
        watchers=[
            AssetWatcher(
                name=f"{event}_{department}",
                trigger=ChatsEventTrigger(event, department=department, poll_interval=1),
            )
            for department in departments
        ],
    )
    for event, departments in (("new", [None, 101, 102, 103, 104]), ("closed", [None]), ("unassigned", [None]))
]

for asset in ASSETS:
    with DAG(f"on_{asset.name}", schedule=[asset], start_date=datetime(2026, 1, 1), catchup=False):
        EmptyOperator(task_id="nothing")
"""


class Airflow:
    """
    A running Airflow, seen through its database.

    :param processes: its scheduler, DAG processor and triggerer
    :param database: the URL of its database
    """

    def __init__(self, processes: Any, database: str) -> None:
        self._processes = processes
        self._engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)

    def kill_triggerer(self) -> None:
        """Kill it and its children, as the system does when memory is short."""
        self._processes.kill("triggerer", lambda: True)

    def start_triggerer(self) -> None:
        self._processes.start("triggerer", "airflow", "triggerer", "--skip-serve-logs")

    def rows(self, query: str) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(query)))

    def events(self) -> list[tuple[str, int | None, int]]:
        """Return each chat of each stored event: the name of the asset, the department of the watcher, the chat."""
        found = "asset.name, cast(asset_event.extra as text)"
        query = f"select {found} from asset_event join asset on asset.id = asset_id"
        payloads = [(name, json.loads(extra)["payload"]) for name, extra in self.rows(query)]
        return [
            (name, payload["department"], chat) for name, payload in payloads for chat in payload["chats"]
        ]

    def wait(self, holds: Callable[[], object]) -> None:
        self._processes.wait_until(holds, "triggerer", pause=0.2)


@pytest.fixture
def account() -> Iterator[Sandbox]:
    with Sandbox(agents=5, departments=4, chats=20, rate_limit=None) as account:
        yield account


@pytest.fixture
def airflow(tmp_path: Path, account: Sandbox) -> Iterator[Airflow]:
    scripts = importlib.import_module("airflow_ui")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "watch.py").write_text(DAG_FILE)
    port = scripts.free_port()
    own = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        # Processes that start together on an empty home would each make a key of their own.
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
        # Airflow stores the watchers of a new asset when it reads the file for the second time.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "1",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    }
    with scripts.parts_of_airflow(tmp_path, port, own, patience=PATIENCE) as processes:
        assert processes.run("migrate", "airflow", "db", "migrate") == 0
        # In the database, not in the environment: the triggerer has to ask its supervisor for it.
        connection = ("helpcrunch_default", "--conn-json", account.connection(requests_per_minute=10_000))
        assert processes.run("connection", "airflow", "connections", "add", *connection) == 0
        for name in ("dag-processor", "scheduler", "triggerer"):
            processes.start(name, "airflow", *scripts.PARTS[name])
        yield Airflow(processes, processes.env[scripts.DATABASE])


@pytest.mark.skipif(HAS_SHARED_STREAMS, reason="Since 3.3, the test below shows more")
def test_before_airflow_3_3_a_watcher_begins_anew_with_each_triggerer(
    airflow: Airflow, account: Sandbox
) -> None:
    chats = []
    for round_ in range(2):
        seen = len(account.journal)
        airflow.wait(lambda seen=seen: len(account.journal) >= seen + 15)
        chats += account.insert_chats(2, department=101)
        wanted = 6 * (round_ + 1)  # by three of the watchers
        airflow.wait(lambda wanted=wanted: len(airflow.events()) >= wanted)
        airflow.kill_triggerer()
        account.insert_chats(1)
        airflow.start_triggerer()
    assert Counter(chat for _, _, chat in airflow.events()) == Counter({chat["id"]: 3 for chat in chats})


@pytest.mark.skipif(not HAS_SHARED_STREAMS, reason="Airflow shares polls and keeps cursors since 3.3")
def test_a_killed_triggerer_misses_and_repeats_nothing_and_five_watchers_share_a_poll(
    airflow: Airflow, account: Sandbox
) -> None:
    expected: Counter[tuple[str, int | None, int]] = Counter()

    def happen() -> None:
        (opened,) = account.insert_chats(1, department=101)
        (closed,) = account.insert_chats(1, status="closed", department=102)
        expected.update(
            [("new", None, opened["id"]), ("new", 101, opened["id"]), ("unassigned", None, opened["id"])]
        )
        expected.update(
            [("new", None, closed["id"]), ("new", 102, closed["id"]), ("closed", None, closed["id"])]
        )

    cursors = "select * from asset_state_store"
    airflow.wait(lambda: len(airflow.rows(cursors)) == 7)
    happen()
    airflow.wait(lambda: len(airflow.events()) >= expected.total())
    before, began = len(account.journal), time.monotonic()
    time.sleep(6)
    polls = (len(account.journal) - before) / (time.monotonic() - began)
    airflow.kill_triggerer()
    happen()
    airflow.start_triggerer()
    airflow.wait(lambda: len(airflow.events()) >= expected.total())
    happen()
    airflow.wait(lambda: len(airflow.events()) >= expected.total())
    time.sleep(3)
    assert Counter(airflow.events()) == expected
    assert polls <= 3.5  # three kinds of events, and a poll a second for each; seven watchers
