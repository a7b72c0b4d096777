"""
Airflow as a company runs it: PostgreSQL, Redis, API server, scheduler, DAG processor, triggerer and two Celery workers.

All of it is on 127.0.0.1 and ends with the ``with`` block. Redis wants a password; it serves Celery and, as the
connection ``redis_default``, what the tasks keep there. What the parts say is in ``.tmp/cluster``, until the next
cluster starts; the logs of tasks are in ``tasks`` there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import airflow_ui
from processes import CLONE, LOCALHOST, Processes, free_port
from servers import RedisAddress, start_postgresql, start_redis, throw_away_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LOGS = CLONE / ".tmp/cluster"
WORKERS = ("worker-1", "worker-2")
SLOTS = 4
"""Tasks that one worker runs at a time."""
PATIENCE = 300.0
"""Seconds that the start of a part may take."""
CELERY, TASKS = 0, 1
"""Databases of Redis: what Celery keeps, and what tasks do."""
SILENCE = 30
"""Seconds without a heartbeat until Airflow takes a task for dead; on a busy machine the living are late, too."""

SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__PARALLELISM": "16",
    # Both workers are on one host, so each says its own name, and the state of a task shows who ran it.
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "worker_name.worker_name",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
    # One second, the default, is too short for the broker of a machine that is busy.
    "AIRFLOW__CELERY__OPERATION_TIMEOUT": "20",
    # Celery alone would not notice for a day that a worker died: its broker hands a message on when it was not
    # acknowledged for so long. Made shorter, it would also hand on messages of tasks that simply take long, so what
    # rescues a task is Airflow's scheduler, which misses the heartbeats (one each 5 s) after 300 s by default.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(SILENCE),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(LOGS / "tasks"),
}
WORKER_NAME = """import os
import socket


def worker_name():
    return os.environ.get("CLUSTER_WORKER") or socket.gethostname()
"""


class Cluster:
    """
    A running cluster.

    :param processes: the parts of Airflow
    :param servers: PostgreSQL and Redis
    :param url: of Airflow's API server
    :param token: for its API
    :param redis: where Redis is
    :param folders: where all parts work, and nothing else does
    """

    def __init__(
        self,
        processes: Processes,
        servers: Processes,
        url: str,
        token: str,
        redis: RedisAddress,
        folders: tuple[Path, ...],
    ) -> None:
        self.redis = redis
        self.folders = folders
        self._processes = processes
        self._servers = servers
        self._url = url
        self._token = token

    def has_dags(self) -> bool:
        """Tell whether the folder of DAGs was read."""
        return bool(self._ask("/api/v2/dags")["total_entries"])

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """
        Start a run of a DAG.

        :param conf: its parameters
        :return: the id of the run
        """
        body = {"logical_date": None, "conf": dict(conf)}
        return str(self._ask(f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run as Airflow's API shows them: ``state``, ``hostname`` and more."""
        answer = self._ask(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")
        return list(answer["task_instances"])

    def tries(self, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """Return all tries of a task that is not mapped, the first one first."""
        answer = self._ask(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/tries")
        return sorted(answer["task_instances"], key=lambda one: int(one["try_number"]))

    def wait(
        self,
        dag_id: str,
        run_id: str,
        patience: float,
        look: Callable[[list[dict[str, Any]]], object] = bool,
    ) -> str:
        """
        Wait for the end of a run.

        :param patience: seconds
        :param look: is shown the task instances, about once a second
        :return: the state of the run
        :raises ProcessError: a part of the cluster has ended
        :raises TimeoutError: the run takes too long
        """
        deadline = time.monotonic() + patience
        while (state := self._ask(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]) not in (
            "success",
            "failed",
        ):
            look(self.tasks(dag_id, run_id))
            self._processes.check()
            self._servers.check()
            if time.monotonic() > deadline:
                states = {one["task_id"]: one["state"] for one in self.tasks(dag_id, run_id)}
                msg = f"{dag_id} is still {state} after {patience:.0f} s: {states}; see {LOGS}"
                raise TimeoutError(msg)
            time.sleep(1)
        return str(state)

    def kill(self, worker: str, sure: Callable[[], object]) -> bool:
        """
        End a worker and the tasks it runs, as when its machine fails.

        :param sure: is asked while they stand still; where it says no, they go on as if nothing had happened
        :return: whether they were ended
        """
        return self._processes.kill(worker, sure)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return _ask(f"{self._url}{path}", body, {"Authorization": f"Bearer {self._token}"})


@contextlib.contextmanager
def running(dags: Path, connection: str, say: Callable[[str], object]) -> Iterator[Cluster]:
    """
    Start a cluster for the time of the block.

    :param dags: its folder of DAGs
    :param connection: the connection ``helpcrunch_default``, as JSON
    :param say: called with a sentence about each step
    :raises ProcessError: a part does not start
    """
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    with airflow_ui.throw_away_home() as home, throw_away_data() as data, _processes(data) as servers:
        database, redis = start_postgresql(servers, data), start_redis(servers, data)
        say("PostgreSQL and Redis are up")
        port = free_port()
        env = airflow_ui.environment(home, port, database) | SETTINGS
        env |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CELERY__BROKER_URL": redis.url(CELERY),
            "AIRFLOW_CONN_REDIS_DEFAULT": _connection(redis),
            "AIRFLOW_CONN_HELPCRUNCH_DEFAULT": connection,
        }
        with _processes(home, env) as processes:
            url = f"http://{LOCALHOST}:{port}"
            account = _prepare(processes, home)
            say("The metadata database has its tables")
            _start_parts(processes, port)
            say(f"API server, scheduler, DAG processor, triggerer and {len(WORKERS)} workers are up")
            token = _ask(f"{url}/auth/token", account)["access_token"]
            cluster = Cluster(processes, servers, url, token, redis, (home, data))
            processes.wait_until(cluster.has_dags, "dag-processor", pause=0.5)
            say("The DAGs are parsed")
            yield cluster
            say("Stopping")


def _connection(redis: RedisAddress) -> str:
    """Return the Airflow connection to Redis as JSON."""
    place = {"host": LOCALHOST, "port": redis.port, "password": redis.password}
    return json.dumps({"conn_type": "redis", **place, "extra": {"db": TASKS}})


def _processes(folder: Path, env: dict[str, str] | None = None) -> Processes:
    return Processes(LOGS, env or {"PATH": os.environ.get("PATH", os.defpath)}, cwd=folder, patience=PATIENCE)


def _prepare(processes: Processes, home: Path) -> dict[str, str]:
    """Make the home and the tables; return the account of the user of the API."""
    # Airflow looks for Python modules there.
    (home / "config").mkdir()
    (home / "config/worker_name.py").write_text(WORKER_NAME)
    account = {"username": airflow_ui.USER, "password": secrets.token_urlsafe(16)}
    passwords = home / "simple_auth_manager_passwords.json.generated"
    passwords.touch(0o600)
    passwords.write_text(json.dumps({account["username"]: account["password"]}))
    if processes.run(name := "migrate", "airflow", "db", "migrate") != 0:
        raise processes.failure(name)
    return account


def _start_parts(processes: Processes, port: int) -> None:
    """Start all parts of Airflow and wait until each says that it is well."""
    for name, part in airflow_ui.PARTS.items():
        processes.start(name, "airflow", *part)
    for name in WORKERS:
        processes.env["CLUSTER_WORKER"] = name
        worker = ("airflow", "celery", "worker", "--celery-hostname", name, "--skip-serve-logs")
        # On SIGTERM it would wait for its tasks.
        processes.start(name, *worker, stop=signal.SIGQUIT)
    processes.wait_until(lambda: airflow_ui.is_healthy(port), "api-server", pause=0.5)
    for log in map(processes.log, WORKERS):
        processes.wait_until(lambda log=log: _is_ready(log), log.stem, pause=0.5)  # type: ignore[misc]


def _is_ready(log: Path) -> bool:
    return " ready." in log.read_text(errors="replace")


def _ask(
    url: str, body: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found
