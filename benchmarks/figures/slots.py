"""Duration of a reassignment, and the time for which it holds a worker slot."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from harness import airflow
from harness.report import Section, target

from airflow_provider_helpcrunch.sandbox import Sandbox

if TYPE_CHECKING:
    from harness.bench import Bench

SIZES = (500, 1000)
LATENCY = 0.1
LIMIT = 120
TARGETS = 5
PATIENCE = 1500.0
DAGS = """
from datetime import datetime

from airflow.sdk import DAG

from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

for conn_id, leaver, targets, deferrable in {runs!r}:
    with DAG(conn_id, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        ReassignChatsOperator(
            task_id="reassign",
            helpcrunch_conn_id=conn_id,
            from_agents=leaver,
            to_agents=targets,
            deferrable=deferrable,
        )
    globals()[conn_id] = dag
"""


class Row(NamedTuple):
    """Measurements of one run."""

    chats: int
    deferrable: str
    moved: str
    requests: int
    refused: int
    busiest: int
    wall: float
    slot: float


def measure(bench: Bench) -> Section:
    """Run the sizes with and without deferral, all at the same time, each on an account of its own."""
    bench.say(f"slots: {SIZES} chats with and without deferral, {LIMIT} requests a minute, real time")
    kinds = [(size, deferrable) for size in SIZES for deferrable in (True, False)]
    with contextlib.ExitStack() as stack:
        accounts = {f"slots_{size}_{int(later)}": _account(stack, size) for size, later in kinds}
        home, dags = stack.enter_context(bench.folder()), stack.enter_context(bench.folder())
        runs = [
            (name, account.agents[0]["id"], [agent["id"] for agent in account.agents[1:]], later)
            for (name, account), (_, later) in zip(accounts.items(), kinds, strict=True)
        ]
        (dags / "slots.py").write_text(DAGS.format(runs=runs))
        connections = {name: account.connection() for name, account in accounts.items()}
        with airflow.running(home, dags, connections) as running:
            done = running.run(list(accounts), PATIENCE)
        rows = [
            _row(account, size, later, *done[name])
            for (name, account), (size, later) in zip(accounts.items(), kinds, strict=True)
        ]
    return _section(rows)


def _account(stack: contextlib.ExitStack, chats: int) -> Sandbox:
    sandbox = stack.enter_context(Sandbox(agents=1 + TARGETS, chats=0, latency=LATENCY, rate_limit=LIMIT))
    sandbox.insert_chats(chats, assignee=sandbox.agents[0]["id"])
    return sandbox


def _row(account: Sandbox, size: int, later: bool, state: str, wall: float, slot: float) -> Row:
    left = len(account.chats_of(account.agents[0]["id"]))
    moved = "all" if state == "success" and left == 0 else f"{size - left} ({state})"
    return Row(
        size,
        "yes" if later else "no",
        moved,
        len(account.journal),
        account.count(429),
        account.busiest_window(60.0),
        wall,
        slot,
    )


def _section(rows: list[Row]) -> Section:
    good = all(row.moved == "all" and not row.refused and row.busiest <= LIMIT for row in rows)
    deferred = max(row.slot / row.wall for row in rows if row.deferrable == "yes")
    return Section(
        title="Reassignment: wall time and worker slots",
        method=(
            f"One agent's open chats go to {TARGETS} others, round robin, {LATENCY * 1000:.0f} ms per response, "
            f"{LIMIT} requests in any rolling 60 s. A real Airflow (API server, scheduler with the LocalExecutor, "
            "triggerer), all runs at the same time, each with an account of its own. A slot is held while the task is "
            f"queued or running, the start of its process included; looked at every {airflow.LOOK_EVERY} s."
        ),
        columns=(
            "chats",
            "deferrable",
            "moved",
            "requests",
            "429s",
            "busiest rolling 60 s",
            "wall (s)",
            "slot-seconds",
            "slot/wall",
        ),
        rows=[(*row[:6], f"{row.wall:.0f}", f"{row.slot:.0f}", f"{row.slot / row.wall:.2f}") for row in rows],
        verdict=target(
            "all moved, no 429, and a deferrable run holds a slot for less than half of the wall time",
            f"{deferred:.2f} of the wall time",
            held=good and deferred < 0.5,
        ),
    )
