"""
The real Airflow UI beside a local HelpCrunch: ``make airflow``.

Starts the sandbox, PostgreSQL and the four parts of Airflow on 127.0.0.1 with a home that is thrown away, stores the
connection ``helpcrunch_default`` in Airflow's database, and serves until Ctrl-C. Parts are started one by one, as
``airflow standalone`` does it, because that one serves task logs on every network interface. With ``--pages-only`` the
server of the pages is the only part: enough for the connection form, and the only way on Airflow 2.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import (
    CLONE,
    LOCALHOST,
    SANDBOX_KEY,
    ProcessError,
    Processes,
    airflow_environment,
    free_port,
    raise_on_signals,
    start_sandbox,
)
from servers import can_start_postgresql, start_postgresql, throw_away_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

USER = "admin"
CONNECTION = "helpcrunch_default"
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
START_TIMEOUT = 300
IS_AIRFLOW2 = importlib.metadata.version("apache-airflow").startswith("2.")
SERVER = "webserver" if IS_AIRFLOW2 else "api-server"
"""The part of Airflow that serves the pages."""

HEALTH = "/health" if IS_AIRFLOW2 else "/api/v2/monitor/health"
PARTS = {
    SERVER: [SERVER, "--hostname" if IS_AIRFLOW2 else "--host", LOCALHOST],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


@contextlib.contextmanager
def throw_away_home() -> Iterator[Path]:
    """Yield a new folder in the clone, with one for temporary files in it, gone afterwards."""
    parent = CLONE / ".tmp"
    parent.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="airflow-ui-", dir=parent))
    try:
        (home / "tmp").mkdir()
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def sqlite(home: Path) -> str:
    """Return the URL of a database in a home of Airflow."""
    # One part writes at a time. After the 5 s that SQLite waits, a page would be an "Internal Server Error".
    return f"sqlite:///{home / 'airflow.db'}?timeout=20"


@contextlib.contextmanager
def postgresql(home: Path) -> Iterator[str]:
    """
    Start PostgreSQL for the time of the block, for an Airflow whose pages write while tasks run.

    On SQLite, the API server of Airflow 3 can block itself. It writes its audit log in its event loop, and waits there
    while another request has SQLite's lock; but that request needs the event loop to end. No part of Airflow gets on
    until the timeout of SQLite.

    :param home: where its logs are
    :return: the URL of the database
    """
    env = {"PATH": os.environ.get("PATH", os.defpath)}
    with throw_away_data() as data, Processes(home, env, cwd=data, patience=START_TIMEOUT) as processes:
        yield start_postgresql(processes, data)


def metadata_database(home: Path, *, pages_only: bool = False) -> contextlib.AbstractContextManager[str]:
    """
    Return a database for the time of a ``with`` block: PostgreSQL, or SQLite where that is not needed or not there.

    :param home: Airflow's home
    :param pages_only: whether no tasks run
    :return: its URL, once entered
    """
    if not pages_only and can_start_postgresql():
        return postgresql(home)
    return contextlib.nullcontext(sqlite(home))


def environment(home: Path, port: int, database: str = "") -> dict[str, str]:
    """
    Return the environment of Airflow's parts: all of them on 127.0.0.1, and small.

    :param home: their home
    :param port: port of the pages
    :param database: URL of the metadata database; default: SQLite in the home
    """
    url = f"http://{LOCALHOST}:{port}"
    return airflow_environment(home) | {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # Airflow 2 refuses any other executor with SQLite.
        "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor" if IS_AIRFLOW2 else "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        DATABASE: database or sqlite(home),
        # What Airflow 3 reads from the section api.
        "AIRFLOW__WEBSERVER__BASE_URL": url,
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
        "AIRFLOW__WEBSERVER__WORKERS": "1",
        # A task that starts while the machine is busy must not fail before it has a log.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # The rate limit store is a temporary file too.
        "TMPDIR": str(home / "tmp"),
    }


@contextlib.contextmanager
def parts_of_airflow(
    home: Path,
    port: int,
    settings: Mapping[str, str] | None = None,
    *,
    patience: float = START_TIMEOUT,
    pages_only: bool = False,
) -> Iterator[Processes]:
    """
    Yield what starts parts of Airflow in their environment, beside their database, which is all that runs so far.

    :param home: their home, and where their logs are
    :param port: port of the pages
    :param settings: environment variables of the caller's own; default: none
    :param patience: seconds that anything may take
    :param pages_only: whether no tasks run
    """
    with metadata_database(home, pages_only=pages_only) as database:
        env = environment(home, port, database) | dict(settings or {})
        with Processes(home, env, cwd=home, patience=patience) as processes:
            yield processes


def start_airflow(processes: Processes, port: int, api_url: str, *, pages_only: bool = False) -> str:
    """Start Airflow with the connection stored; return the password of its user once all parts are healthy."""
    password = secrets.token_urlsafe(8)
    connection = {"conn_type": "helpcrunch", "host": api_url, "password": SANDBOX_KEY}
    connection["description"] = "The sandbox: a local HelpCrunch account"
    run(processes, "migrate", "db", "migrate")
    add_user(processes, password)
    run(processes, "connection", "connections", "add", CONNECTION, "--conn-json", json.dumps(connection))
    if pages_only:
        processes.start(SERVER, "airflow", *PARTS[SERVER])
    else:
        start_parts(processes, port)
    processes.wait_until(lambda: is_healthy(port, [SERVER] if pages_only else PARTS), SERVER, pause=0.5)
    return password


def start_parts(processes: Processes, port: int) -> None:
    """Start all parts of Airflow, once its server can be called by tasks: those that start before that fail."""
    processes.start(SERVER, "airflow", *PARTS[SERVER])
    # The API that tasks call is built at its first call, which takes 7 s, and on a busy machine half a minute.
    processes.wait_until(lambda: response(port, "/execution/health"), SERVER, pause=0.5)
    for name, part in PARTS.items():
        if name != SERVER:
            processes.start(name, "airflow", *part)


def run(processes: Processes, name: str, *command: str) -> None:
    """Run a command of Airflow to its end."""
    if processes.run(name, "airflow", *command) != 0:
        raise processes.failure(name)


def add_user(processes: Processes, password: str) -> None:
    """Add the user who logs in."""
    if IS_AIRFLOW2:
        who = {"username": USER, "password": password, "firstname": USER, "lastname": USER, "role": "Admin"}
        options = (f"--{name}={value}" for name, value in {**who, "email": f"{USER}@example.com"}.items())
        run(processes, "user", "users", "create", *options)
        return
    passwords = processes.folder / "simple_auth_manager_passwords.json.generated"
    passwords.write_text(json.dumps({USER: password}))
    passwords.chmod(0o600)


def is_healthy(port: int, parts: Iterable[str] = tuple(PARTS)) -> bool:
    """Say whether these parts of Airflow report that they are healthy."""
    report = response(port, HEALTH) or {}
    # The server reports for its database, and for the other parts under their names.
    names = ("metadatabase" if part == SERVER else part.replace("-", "_") for part in parts)
    return all(report.get(name, {}).get("status") == "healthy" for name in names)


def response(port: int, path: str) -> dict[str, Any] | None:
    """Return the response of the API server, or ``None`` without one."""
    try:
        with urllib.request.urlopen(f"http://{LOCALHOST}:{port}{path}", timeout=60) as answer:
            said: dict[str, Any] = json.load(answer)
            return said
    except OSError:
        return None


def advice(database: str, *, pages_only: bool) -> str:
    """Return what a person must know who has no PostgreSQL."""
    if pages_only or not database.startswith("sqlite"):
        return ""
    return (
        "PostgreSQL, or a driver for it, is missing, so Airflow runs on SQLite. When you trigger or answer something\n"
        "while tasks run, it may stand still for 20 s and then show an error; do it again, or install PostgreSQL.\n\n"
    )


def serve(options: argparse.Namespace, home: Path) -> None:
    """Serve until interrupted."""
    port = options.port or free_port()
    with parts_of_airflow(home, port, pages_only=options.pages_only) as processes:
        database = processes.env[DATABASE]
        try:
            size = ("--agents", str(options.agents), "--chats", str(options.chats))
            api_url = start_sandbox(processes, *size)
            print("Starting Airflow; this takes half a minute ...", flush=True)
            password = start_airflow(processes, port, api_url, pages_only=options.pages_only)
            print(
                f"\nAirflow     http://{LOCALHOST}:{port}\n"
                f"login       {USER}\n"
                f"password    {password}\n"
                f"HelpCrunch  {api_url} with {options.agents} agents and {options.chats:,} chats, as connection "
                f"{CONNECTION}\n"
                f"DAGs        {CLONE / 'dags'}\n"
                f"logs        {home}\n"
                f"database    {database}\n\n"
                f"{advice(database, pages_only=options.pages_only)}"
                "Ctrl-C stops everything.",
                flush=True,
            )
            while True:
                processes.check()
                time.sleep(1)
        finally:
            print("\nStopping ...", flush=True)


def main() -> int:
    """Return the exit code: 1 when something did not start or ended by itself."""
    parser = argparse.ArgumentParser(
        prog="make airflow", description="The Airflow UI beside a local HelpCrunch."
    )
    parser.add_argument("--port", type=int, default=0, help="port of the UI (default: a free one)")
    parser.add_argument("--agents", type=int, default=250, help="agents of the account (default: 250)")
    parser.add_argument("--chats", type=int, default=2000, help="chats of the account (default: 2000)")
    parser.add_argument(
        "--pages-only", action="store_true", help="no scheduler and no DAG runs; needed on Airflow 2"
    )
    options = parser.parse_args()
    if IS_AIRFLOW2 and not options.pages_only:
        parser.error("on Airflow 2 only --pages-only works.")
    raise_on_signals()
    try:
        with throw_away_home() as home:
            serve(options, home)
    except KeyboardInterrupt:
        return 0
    except ProcessError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
