"""
The main job, end to end, for a person to look at: ``make demo``.

Starts a local HelpCrunch, runs example DAGs with ``airflow dags test``, and shows what came out: two that list
agents, one that gives the chats of an agent who leaves to others, first as a dry run, one that applies a plan after
its approval, one that raises the alarm when customers wait, one that gives a chat to an agent with a note, one that
tags customers, and one that exports an account on two nights; all but the first three on smaller accounts. Each run
has a folder of its own below ``.tmp/demo`` of the clone, and the files of earlier runs stay; nothing keeps running.
With ``HELPCRUNCH_API_KEY`` set the agents are those of that account, which is only read; ``HELPCRUNCH_API_URL``
overrides its address.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from demo_approval import APPROVED, RULES, People, check_approval, show_approval
from demo_customers import (
    AT_LEAST,
    DAYS,
    MINUTES,
    NOTE,
    TAG,
    TAGGING,
    check_note,
    check_tags,
    read_alarm,
    refuse_one,
    show_tags,
    show_waiting,
)
from demo_moves import DRY, REAL, check_dry_run, check_moves, open_chats, read_report, show_moves
from demo_nights import NIGHT, check_changes, check_exports, read_exports, show_exports, show_report
from demo_result import ResultError, check, near, read_agents, show
from processes import CLONE, ProcessError, Processes, airflow_environment, raise_on_signals

from airflow_provider_helpcrunch.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER = CLONE / ".tmp" / "demo" / time.strftime("%Y-%m-%dT%H-%M-%S")
AIRFLOW_HOME = FOLDER / "airflow"
AIRFLOW_LOG = FOLDER / "airflow.log"
DAG_TO_XCOM = "example_helpcrunch_agents_to_xcom"
DAG_TO_FILE = "example_helpcrunch_agents_to_object_storage"
DAG_AGENT_LEAVES = "example_helpcrunch_agent_leaves"
DAG_APPROVAL = "example_helpcrunch_approval"
DAG_ALARM = "example_helpcrunch_nobody_answers"
DAG_ONE_CHAT = "example_helpcrunch_one_chat"
DAG_CUSTOMERS = "example_helpcrunch_dormant_customers"
DAG_NIGHTLY = "example_helpcrunch_nightly_warehouse"
MAPPED_TASK = "review_access"
SANDBOX_AGENTS = 250
SANDBOX_CHATS = 5000
SANDBOX_LIMIT = 120
SMALL_AGENTS = 8
SMALL_CHATS = 60
"""So few that the first night, with one request for each chat, stays below the limit of one minute."""
HOURS_8 = 28_800
LEAVER = 1004
TAKE_OVER = (1002, 1003, 1007, 1008)
PATIENCE = 900
"""Seconds that one command may take: a DAG waits while others spend the requests of a real account."""
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


def airflow(processes: Processes, *arguments: str) -> int:
    """Run one ``airflow`` command to its end and return its exit code; what it says goes to the log."""
    try:
        return processes.run("airflow", "airflow", *arguments)
    except ProcessError:
        fail(f"'airflow {' '.join(arguments[:3])}' did not end within {PATIENCE} s.", AIRFLOW_LOG)


def run_dag(
    processes: Processes, dag_id: str, *options: str, failing: str = "", **params: Any
) -> dict[str, int]:
    """
    Run a DAG to its end.

    :param options: more of ``airflow dags test``
    :param failing: the one task that must fail, if any
    :return: how many task instances succeeded, by task
    :raises DemoError: the run did not end as it must, whatever the exit code says
    """
    code = airflow(processes, "dags", "test", dag_id, "--conf", json.dumps(params), *options)
    runs = query("SELECT run_id, state FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1", dag_id)
    run_id, state = runs[0] if runs else ("", "missing")
    tasks = query("SELECT task_id, state, count(*) FROM task_instance WHERE run_id = ? GROUP BY 1, 2", run_id)
    failed = " and ".join(sorted({task for task, state, _ in tasks if state == "failed"}))
    if failed != failing or (not failing and (code != 0 or state != "success")):
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


def connect(processes: Processes, connection: Mapping[str, str]) -> None:
    """Let the DAGs use an account from now on."""
    processes.env["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = json.dumps({"conn_type": "helpcrunch", **connection})


def run_dags(processes: Processes, connection: Mapping[str, str]) -> int:
    """Run both DAGs that list agents on a new database, and return how many mapped tasks there were."""
    connect(processes, connection)
    with step(f"A database for Airflow {version('apache-airflow')}"):
        if airflow(processes, "db", "migrate") != 0:
            fail("Airflow could not make its database.", AIRFLOW_LOG)
    with step(f"DAG {DAG_TO_XCOM}"):
        mapped = run_dag(processes, DAG_TO_XCOM).get(MAPPED_TASK, 0)
    with step(f"DAG {DAG_TO_FILE}"):
        run_dag(processes, DAG_TO_FILE, base_path=str(FOLDER))
    return mapped


def run_agent_leaves(processes: Processes, account: Sandbox) -> None:
    """Give the chats of an agent to others, first as a dry run; compare both with the account, and show them."""
    params: dict[str, Any] = {
        "agent_id": LEAVER,
        "to_agents": ", ".join(map(str, TAKE_OVER)),
        "strategy": "least_loaded",
        "base_path": str(FOLDER),
    }
    begun, chats = len(account.journal), account.chats
    with step(f"DAG {DAG_AGENT_LEAVES}, dry run"):
        run_dag(processes, DAG_AGENT_LEAVES, **params)
    check_dry_run(account, begun, chats)
    planned, _ = read_report(FOLDER, DRY)
    dry_run, begun = len(account.journal) - begun, len(account.journal)
    with step(f"DAG {DAG_AGENT_LEAVES}, for real"):
        run_dag(processes, DAG_AGENT_LEAVES, **params, dry_run=False)
    moved, path = read_report(FOLDER, REAL)
    check_moves(account, begun, chats, LEAVER, planned, moved)
    names = {agent["id"]: agent["name"] for agent in account.agents}
    show_moves(names, (LEAVER, *TAKE_OVER), open_chats(chats), open_chats(account.chats))
    print(f"\nMoved     {len(moved)} chats, each by one request; no other chat was touched")
    print(f"Dry run   wrote nothing ({dry_run} requests), and its report says the same about each chat")
    print(f"Report    {near(path)}")


def run_approval(processes: Processes) -> None:
    """Apply a plan after its approval, while people work on some of its chats; compare it with the account."""
    people = People(FOLDER)
    account = Sandbox(agents=SMALL_AGENTS, chats=SMALL_CHATS, rate_limit=SANDBOX_LIMIT, clock=people.clock)
    leaver, *take_over, colleague = (agent["id"] for agent in account.agents[:4])
    people.work_for(account, colleague)
    print()
    with account:
        connect(processes, {"password": account.key, "host": account.url})
        conf = {"from_agents": str(leaver), "to_agents": ", ".join(map(str, take_over))}
        with step(f"DAG {DAG_APPROVAL}, with a yes"):
            run_dag(
                processes,
                DAG_APPROVAL,
                *("--mark-success-pattern", APPROVED),
                **conf,
                **RULES,
                base_path=str(FOLDER),
            )
    show_approval(account, *check_approval(account, FOLDER, people))


def run_customers(processes: Processes) -> None:
    """Raise the alarm when customers wait, give a chat away with a note, and tag customers, of whom one is refused."""
    account = Sandbox(agents=SMALL_AGENTS, chats=SMALL_CHATS, rate_limit=SANDBOX_LIMIT)
    agent = account.agents[1]["id"]
    print()
    with account:
        connect(processes, {"password": account.key, "host": account.url})
        with step(f"DAG {DAG_ALARM}"):
            run_dag(processes, DAG_ALARM, minutes=MINUTES, at_least=AT_LEAST)
        chats = read_alarm(account, AIRFLOW_LOG)
        with step(f"DAG {DAG_ONE_CHAT}, with a note"):
            run_dag(processes, DAG_ONE_CHAT, chat_id=chats[0], assignee_id=agent, note=NOTE)
        check_note(account, chats[0], agent)
        refused = refuse_one(account)
        params: dict[str, Any] = {"days": DAYS, "tag": TAG, "base_path": str(FOLDER), "dry_run": False}
        with step(f"DAG {DAG_CUSTOMERS}, one refused"):
            run_dag(processes, DAG_CUSTOMERS, failing=TAGGING, **params)
    rejects = check_tags(account, FOLDER, refused)
    show_waiting(account, chats, agent)
    show_tags(account, FOLDER, rejects)


def run_nights(processes: Processes) -> None:
    """Export an account on two nights, compare both with what it has, and show them."""
    account = Sandbox(
        agents=SMALL_AGENTS, chats=SMALL_CHATS, rate_limit=SANDBOX_LIMIT, now=time.time() - HOURS_8
    )
    print()
    with account:
        connect(processes, {"password": account.key, "host": account.url})
        with step(f"DAG {DAG_NIGHTLY}, first night"):
            run_dag(processes, DAG_NIGHTLY, base_path=str(FOLDER))
        first = read_exports(FOLDER)
        check_exports(account, 0, first)
        begun, happened = len(account.journal), len(account.night(HOURS_8, **NIGHT))
        with step(f"DAG {DAG_NIGHTLY}, second night"):
            run_dag(processes, DAG_NIGHTLY, base_path=str(FOLDER))
        second = read_exports(FOLDER)
        check_exports(account, begun, second)
    check_changes(first, second)
    size = f"{SMALL_AGENTS} agents and {SMALL_CHATS} chats"
    print(f"\nAnother account, of {size}: its second night, after {happened} changes\n")
    show_exports(first, second)
    show_report(AIRFLOW_LOG)
    print("\nExports   held each record of the account on both nights, and list all changes in between")
    print(f"Files     {near(FOLDER / 'warehouse')}")
    print(
        f"Requests  {begun} on the first night and {len(account.journal) - begun} on the second, none refused"
    )


def run_on_sandbox() -> None:
    """Run the DAGs on a local HelpCrunch, compare the result with its account and show it."""
    # The rate limit store is a temporary file that nobody else uses.
    env = airflow_environment(AIRFLOW_HOME) | {"TMPDIR": str(FOLDER / "tmp")}
    print("This takes two to three minutes; the slow steps are Airflow's start.\n")
    account = Sandbox(agents=SANDBOX_AGENTS, chats=SANDBOX_CHATS, rate_limit=SANDBOX_LIMIT)
    with contextlib.ExitStack() as running:
        with step(f"A local HelpCrunch with {SANDBOX_AGENTS} agents and {SANDBOX_CHATS:,} chats"):
            running.enter_context(account)
        processes = running.enter_context(Processes(FOLDER, env, cwd=CLONE, patience=PATIENCE))
        mapped = run_dags(processes, {"password": account.key, "host": account.url})
        agents, path = read_agents(FOLDER)
        check(agents, SANDBOX_AGENTS, mapped, account.journal)
        show(agents, path, mapped)
        print()
        run_agent_leaves(processes, account)
        busiest = f"the busiest minute had {account.busiest_window(60)} of the {SANDBOX_LIMIT} allowed"
        print(f"Requests  {len(account.journal)} in all, none refused; {busiest}")
        run_approval(processes)
        run_customers(processes)
        run_nights(processes)


def run_on_account(api_key: str) -> None:
    """Run the DAGs on a real account and show the result."""
    print("The account of HELPCRUNCH_API_KEY is only read.\n")
    # The rate limit store stays where everything else that uses the account on this machine finds it.
    env = airflow_environment(AIRFLOW_HOME)
    with Processes(FOLDER, env, cwd=CLONE, patience=PATIENCE) as processes:
        url = os.environ.get("HELPCRUNCH_API_URL", "")
        mapped = run_dags(processes, {"password": api_key, "host": url})
    show(*read_agents(FOLDER), mapped)
    print(
        "Not run   the DAGs that change something or need many requests. Without the key, make demo runs them"
    )


@contextlib.contextmanager
def fresh_folder() -> Iterator[None]:
    """
    Make the folder of this run, which only this user can read: agents are personal data.

    The files that earlier runs wrote stay; their Airflow, which nobody needs any more, goes.

    :raises DemoError: another demo is using it
    """
    FOLDER.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (FOLDER.parent / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = "Another demo is running in this clone; wait for its end."
            raise DemoError(msg) from None
        for earlier in FOLDER.parent.glob("*/"):
            for folder in (earlier / AIRFLOW_HOME.name, earlier / "tmp"):
                shutil.rmtree(folder, ignore_errors=True)
        FOLDER.mkdir(mode=0o700)
        for folder in (AIRFLOW_HOME, FOLDER / "tmp"):
            folder.mkdir()
        yield


def main() -> int:
    """Return the exit code: 1 when something failed, 130 when interrupted."""
    raise_on_signals()
    api_key = os.environ.get("HELPCRUNCH_API_KEY")
    try:
        with fresh_folder():
            if api_key:
                run_on_account(api_key)
            else:
                run_on_sandbox()
            print(f"Log       {near(AIRFLOW_LOG)}")
    except (DemoError, ResultError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
