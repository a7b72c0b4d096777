"""Cost of the first object that a task's process writes, compared with returning the records."""

from __future__ import annotations

import contextlib
import json
from statistics import median
from typing import TYPE_CHECKING

from harness import airflow
from harness.report import Section, target

from airflow_provider_helpcrunch.sandbox import Sandbox

if TYPE_CHECKING:
    from harness.bench import Bench

AGENTS = 4
ROUNDS = 12
PATIENCE = 120.0
MOST_MS = 50
FORMATS = ("XCom", "jsonl", "parquet")
DAGS = """
import json
import time
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator

FOLDER = Path({folder!r})
STARTED = []


def begin(context):
    STARTED.append(time.perf_counter())


def end(context, result=None):
    seconds = time.perf_counter() - STARTED[-1]
    (FOLDER / f"{{context['dag'].dag_id}}.json").write_text(json.dumps(seconds))


for name, suffix in {runs!r}:
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        ListAgentsOperator(
            task_id="agents",
            helpcrunch_conn_id=name,
            output_path=None if suffix == "XCom" else str(FOLDER / f"{{name}}.{{suffix}}"),
            pre_execute=begin,
            post_execute=end,
        )
    globals()[name] = dag
"""


def measure(bench: Bench) -> Section:
    """List a small account in real tasks, one after the other, the formats in turns."""
    bench.say(f"first_object: {ROUNDS} tasks for each of {', '.join(FORMATS)}")
    runs = [
        (f"first_{number}_{place}", suffix)
        for number in range(ROUNDS)
        for place, suffix in enumerate(FORMATS)
    ]
    with contextlib.ExitStack() as stack:
        account = stack.enter_context(Sandbox(agents=AGENTS))
        home, dags, folder = (stack.enter_context(bench.folder()) for _ in range(3))
        (dags / "first.py").write_text(DAGS.format(folder=str(folder), runs=runs))
        connections = {name: account.connection() for name, _ in runs}
        with airflow.running(home, dags, connections) as running:
            for name, _ in runs:
                state, *_ = running.run([name], PATIENCE)[name]
                if state != "success":
                    msg = f"the task of {name} ended as {state}"
                    raise RuntimeError(msg)
        milliseconds: dict[str, list[float]] = {suffix: [] for suffix in FORMATS}
        for name, suffix in runs:
            milliseconds[suffix].append(1000 * json.loads((folder / f"{name}.json").read_text()))
    return _section(milliseconds)


def _section(milliseconds: dict[str, list[float]]) -> Section:
    best = {suffix: min(each) for suffix, each in milliseconds.items()}
    over = best["jsonl"] - best["XCom"]
    return Section(
        title="The first object of a task",
        method=(
            f"{AGENTS} agents, no latency; a real Airflow (API server, scheduler with the LocalExecutor), one task at "
            "a time, each in a process that writes nothing before. The time of `execute`, what it imports included, "
            f"against a task that returns its records; best of {ROUNDS}. Parquet imports PyArrow."
        ),
        columns=("output", "best (ms)", "median (ms)", "best, over XCom (ms)"),
        rows=[
            (
                suffix,
                f"{best[suffix]:.0f}",
                f"{median(each):.0f}",
                f"{best[suffix] - best['XCom']:+.0f}" if suffix != "XCom" else "",
            )
            for suffix, each in milliseconds.items()
        ],
        verdict=target(f"JSONL at most {MOST_MS} ms over XCom", f"{over:+.0f} ms", held=over <= MOST_MS),
    )
