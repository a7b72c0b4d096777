"""A real Airflow with the folder of DAGs that is measured; its parts are those of ``make airflow``."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from harness.paths import BENCHMARKS

sys.path.append(str(BENCHMARKS.parent / "scripts"))

import airflow_ui
from processes import Processes, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_TIMEOUT = 180.0
LOOK_EVERY = 0.2
"""Seconds between two looks at the states of the tasks."""

HOLDS_SLOT = ("queued", "running")


class Airflow:
    """
    Airflow with the LocalExecutor.

    :param home: its folder
    :param processes: its parts
    """

    def __init__(self, home: Path, processes: Processes) -> None:
        self._home = home
        self._processes = processes

    def run(self, dag_ids: Sequence[str], patience: float) -> dict[str, tuple[str, float, float]]:
        """
        Run DAGs of one task, all at the same time.

        :param dag_ids: which
        :param patience: seconds after which they are given up
        :return: for each the end state, the seconds from start to end, and the seconds in which the task held a slot
        """
        for dag_id in dag_ids:
            _do(self._processes, "dags", "trigger", dag_id)
        began: dict[str, float] = {}
        ended: dict[str, float] = {}
        held: Counter[str] = Counter()
        last = deadline = time.monotonic()
        deadline += patience
        states: dict[str, str] = {}
        while len(ended) < len(dag_ids) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
            self._processes.check()
            now = time.monotonic()
            states = {dag_id: state for dag_id, state in self._states().items() if dag_id in dag_ids}
            for dag_id, state in states.items():
                if state in HOLDS_SLOT:
                    began.setdefault(dag_id, now)
                    held[dag_id] += now - last  # type: ignore[assignment]
                elif state in ("success", "failed"):
                    ended.setdefault(dag_id, now)
            last = now
        return {
            dag_id: (
                states.get(dag_id, "none"),
                ended.get(dag_id, last) - began.get(dag_id, last),
                held[dag_id],
            )
            for dag_id in dag_ids
        }

    def _states(self) -> dict[str, str]:
        database = f"{(self._home / 'airflow.db').as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True, timeout=30)) as connection:
            return dict(connection.execute("SELECT dag_id, state FROM task_instance").fetchall())


@contextlib.contextmanager
def running(home: Path, dags: Path, connections: Mapping[str, str]) -> Iterator[Airflow]:
    """
    Start Airflow for the time of the block.

    :param home: an empty folder
    :param dags: the folder of DAGs
    :param connections: JSON of connections, by id
    """
    (home / "tmp").mkdir()
    port = free_port()
    env = airflow_ui.environment(home, port) | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PARALLELISM": "16",
        **{f"AIRFLOW_CONN_{name.upper()}": text for name, text in connections.items()},
    }
    with Processes(home, env, cwd=home, patience=START_TIMEOUT) as processes:
        _do(processes, "db", "migrate")
        for name, part in airflow_ui.PARTS.items():
            processes.start(name, "airflow", *part)
        processes.wait_until(lambda: airflow_ui.is_healthy(port), "api-server", pause=0.5)
        processes.wait_until(lambda: _parsed(home, len(connections)), "dag-processor", pause=0.5)
        yield Airflow(home, processes)


def _do(processes: Processes, *command: str) -> None:
    name = command[0]
    if processes.run(name, "airflow", *command) != 0:
        raise processes.failure(name)


def _parsed(home: Path, dags: int) -> bool:
    database = f"{(home / 'airflow.db').as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(database, uri=True, timeout=30)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM dag").fetchone()
    return bool(found >= dags)
