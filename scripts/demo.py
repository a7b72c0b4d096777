"""
The main job, end to end, for a person to look at: ``make demo``.

Starts a local HelpCrunch, runs both example DAGs with ``airflow dags test``, and shows what came out. All of it lives
in ``.tmp/demo`` of the clone and starts from nothing each time; nothing keeps running. With ``HELPCRUNCH_API_KEY`` set
the agents are those of that account, which is only read; ``HELPCRUNCH_API_URL`` overrides its address.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLONE = Path(__file__).resolve().parent.parent
FOLDER = CLONE / ".tmp" / "demo"
AIRFLOW_HOME = FOLDER / "airflow"
AIRFLOW_LOG = FOLDER / "airflow.log"
DAG_TO_XCOM = "example_helpcrunch_agents_to_xcom"
DAG_TO_FILE = "example_helpcrunch_agents_to_object_storage"
MAPPED_TASK = "review_access"
MAPPED_ROLES = ("admin", "superviser")
SANDBOX_KEY = "sandbox-key"
SANDBOX_AGENTS = 250
SANDBOX_LIMIT = 120
SHOWN_AGENTS = 5
PATIENCE = 900
"""Seconds that one command may take: a DAG waits while others spend the requests of a real account."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURE = re.compile(r"(?:\w+\.)*(\w+(?:Error|Exception|Exit|Interrupt|Timeout): .*)")
"""The end of a traceback, which says what went wrong."""


class DemoError(Exception):
    """The demo cannot go on; the message is for a person."""


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is being done, and behind it how long it took."""
    print(f"{text} ".ljust(64, "."), end=" ", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException as error:
        print("failed" if isinstance(error, DemoError) else "stopped", flush=True)
        raise
    print(f"{time.monotonic() - started:5.1f} s", flush=True)


@contextlib.contextmanager
def child(log: Path, env: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m arguments`` in a process group of its own, which ends with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=env,
            cwd=CLONE,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, first with a request and after a while without."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        # Also where the process itself has ended: what it started may still run.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def environment(connection: Mapping[str, Any], *, private: bool) -> dict[str, str]:
    """
    Return the caller's environment with its own Airflow settings replaced.

    :param connection: the Airflow connection ``helpcrunch_default``
    :param private: keep the request budget, which is a temporary file, inside of the clone too; that of a real account
        must be shared with whatever else uses the account on this machine
    """
    dropped = ("AIRFLOW_", "HELPCRUNCH_", "PYTHONDONTWRITEBYTECODE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    if private:
        own["TMPDIR"] = str(FOLDER / "tmp")
    return own | {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW_CONN_HELPCRUNCH_DEFAULT": json.dumps(connection),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CLONE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Airflow is large: compiling it anew takes each command several seconds.
        "PYTHONPYCACHEPREFIX": str(CLONE / ".tmp" / "pycache"),
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def sandbox() -> Iterator[str]:
    """Serve a local HelpCrunch for the time of the block, and yield the URL of its API."""
    port_file, log = FOLDER / "sandbox.port", FOLDER / "sandbox.log"
    command = ("airflow_provider_helpcrunch.sandbox", "--port", "0", "--port-file", str(port_file))
    account = ("--key", SANDBOX_KEY, "--agents", str(SANDBOX_AGENTS), "--rate-limit", str(SANDBOX_LIMIT))
    with child(log, os.environ, *command, *account) as process:
        deadline = time.monotonic() + PATIENCE
        while not (port_file.exists() and (port := port_file.read_text().strip())):
            if process.poll() is not None or time.monotonic() > deadline:
                fail("The local HelpCrunch did not start.", log)
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/v1"


def airflow(env: Mapping[str, str], *arguments: str) -> int:
    """Run one ``airflow`` command to its end and return its exit code; what it says goes to the log."""
    with child(AIRFLOW_LOG, env, "airflow", *arguments) as process:
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            fail(f"'airflow {' '.join(arguments[:3])}' did not end within {PATIENCE} s.", AIRFLOW_LOG)


def run_dag(env: Mapping[str, str], dag_id: str, **params: str) -> dict[str, int]:
    """
    Run a DAG to its end.

    :return: how many task instances succeeded, by task
    :raises DemoError: the run did not succeed, whatever the exit code says
    """
    code = airflow(env, "dags", "test", dag_id, "--conf", json.dumps(params))
    runs = query("SELECT state FROM dag_run WHERE dag_id = ?", dag_id)
    tasks = query("SELECT task_id, state, count(*) FROM task_instance WHERE dag_id = ? GROUP BY 1, 2", dag_id)
    if code != 0 or runs != [("success",)]:
        failed = " and ".join(sorted({task for task, state, _ in tasks if state == "failed"}))
        reason = f"its task {failed} failed" if failed else f"'airflow dags test' ended with {code}"
        fail(f"The DAG {dag_id} did not succeed: {reason}.", AIRFLOW_LOG)
    return {task: count for task, state, count in tasks if state == "success"}


def query(sql: str, *values: str) -> list[tuple[Any, ...]]:
    """Read from Airflow's database: to start Airflow only to ask it would take seconds."""
    uri = (AIRFLOW_HOME / "airflow.db").as_uri() + "?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        return database.execute(sql, values).fetchall()


def fail(sentence: str, log: Path) -> NoReturn:
    """
    Give up.

    :raises DemoError: always, with the sentence and with what the log says about it
    """
    lines = log.read_text(errors="replace").splitlines()
    telling = [found[1] for line in lines if (found := FAILURE.match(line))] or lines
    shown = "\n".join(f"  {line[:500]}" for line in list(dict.fromkeys(telling))[-5:])
    msg = f"{sentence}\n\n{shown}\n\nThe whole log: {near(log)}"
    raise DemoError(msg)


def near(path: Path) -> str:
    """Return a path as a person would type it in the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def read_agents() -> tuple[list[dict[str, Any]], Path]:
    """Return the agents that the DAG wrote, and the file they are in."""
    files = list(FOLDER.glob("agents/date=*/agents.jsonl"))
    if len(files) != 1:
        msg = f"The DAG succeeded, but there are {len(files)} files agents/date=…/agents.jsonl in {near(FOLDER)}."
        raise DemoError(msg)
    return [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()], files[0]


def read_journal(url: str) -> dict[str, Any]:
    """Return what the sandbox says about the requests it saw."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/_sandbox/summary", timeout=10) as answer:  # noqa: S310
        summary: dict[str, Any] = json.load(answer)
        return summary


def check(agents: Sequence[Mapping[str, Any]], mapped: int, journal: Mapping[str, Any]) -> None:
    """
    Compare the result with the sandbox's account, which is known.

    :raises DemoError: something is missing, doubled or was refused
    """
    expected = sum(agent["role"] in MAPPED_ROLES for agent in agents)
    if len({agent["id"] for agent in agents}) != SANDBOX_AGENTS or len(agents) != SANDBOX_AGENTS:
        msg = f"The account has {SANDBOX_AGENTS} agents, and the file {len(agents)}."
    elif mapped != expected:
        msg = f"{expected} agents are {' or '.join(MAPPED_ROLES)}, and {mapped} tasks ran for them."
    elif journal["by_status"].keys() != {"200"}:
        msg = f"The local HelpCrunch refused requests; its answers by status: {journal['by_status']}."
    else:
        return
    raise DemoError(msg)


def show(agents: Sequence[Mapping[str, Any]], path: Path, mapped: int) -> None:
    """Print the result for a person."""
    roles = Counter(str(agent.get("role")) for agent in agents).most_common()
    columns = ("id", "name", "email", "role")
    first = [[agent.get(name) for name in columns] for agent in agents[:SHOWN_AGENTS]]
    print(f"\n{len(agents):,} agents, by role\n")
    print_table([(role, f"{count:>6,}") for role, count in roles])
    print(f"\nThe first {len(first)} of them\n")
    print_table([columns, *first])
    print(f"\nMapped    {mapped} of them ({', '.join(MAPPED_ROLES)}) through XCom, each to a task of its own")
    print(f"File      {near(path)} ({path.stat().st_size:,} bytes)")


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows as aligned columns, whatever an account has put into them."""
    texts = [["".join(c if c.isprintable() else "?" for c in str(cell))[:40] for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        print("  " + "  ".join(map(str.ljust, row, widths)).rstrip())


def run_dags(env: Mapping[str, str]) -> int:
    """Run both DAGs on a new database, and return how many mapped tasks there were."""
    with step(f"A database for Airflow {version('apache-airflow')}"):
        if airflow(env, "db", "migrate") != 0:
            fail("Airflow could not make its database.", AIRFLOW_LOG)
    with step(f"DAG {DAG_TO_XCOM}"):
        mapped = run_dag(env, DAG_TO_XCOM).get(MAPPED_TASK, 0)
    with step(f"DAG {DAG_TO_FILE}"):
        run_dag(env, DAG_TO_FILE, base_path=str(FOLDER))
    return mapped


def run_on_sandbox() -> None:
    """Run the DAGs on a local HelpCrunch, compare the result with its account and show it."""
    with contextlib.ExitStack() as stack:
        with step(f"A local HelpCrunch with {SANDBOX_AGENTS} agents"):
            url = stack.enter_context(sandbox())
        connection = {"conn_type": "helpcrunch", "password": SANDBOX_KEY, "host": url}
        mapped = run_dags(environment(connection, private=True))
        journal = read_journal(url)
    agents, path = read_agents()
    check(agents, mapped, journal)
    show(agents, path, mapped)
    busiest = f"the busiest minute had {journal['busiest_60_s']} of the {SANDBOX_LIMIT} allowed"
    print(f"Requests  {journal['requests']}, none refused; {busiest}")


def run_on_account(api_key: str) -> None:
    """Run the DAGs on a real account and show the result."""
    print("The account of HELPCRUNCH_API_KEY is only read.\n")
    url = os.environ.get("HELPCRUNCH_API_URL", "")
    mapped = run_dags(
        environment({"conn_type": "helpcrunch", "password": api_key, "host": url}, private=False)
    )
    show(*read_agents(), mapped)


@contextlib.contextmanager
def fresh_folder() -> Iterator[None]:
    """
    Begin with an empty folder, which only this user can read: agents are personal data.

    :raises DemoError: another demo is using it
    """
    FOLDER.parent.mkdir(exist_ok=True)
    with (FOLDER.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = "Another demo is running in this clone; wait for its end."
            raise DemoError(msg) from None
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(mode=0o700)
        for folder in (AIRFLOW_HOME, FOLDER / "tmp"):
            folder.mkdir()
        yield


def _interrupt(*_: object) -> NoReturn:
    # A second Ctrl-C must not keep the children from being ended.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Return the exit code: 1 when something failed, 130 when interrupted."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    api_key = os.environ.get("HELPCRUNCH_API_KEY")
    try:
        with fresh_folder():
            if api_key:
                run_on_account(api_key)
            else:
                run_on_sandbox()
            print(f"Log       {near(AIRFLOW_LOG)}")
    except DemoError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
