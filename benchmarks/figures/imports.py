"""Cost of importing the operator in a DAG file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.bench import CLIENTS, OURS, Client
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench

ROUNDS = 10
TARGET_MS = 10.0
IMPORTS = {
    "ListAgentsOperator": "from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator",
    "HttpOperator": "from airflow.providers.http.operators.http import HttpOperator",
}


def measure(bench: Bench) -> Section:
    """Import in fresh processes, in turns."""
    clients = [client for client in CLIENTS if client.name in IMPORTS]
    bench.prepare(clients)
    bench.say(f"imports: {ROUNDS} fresh processes each")
    best: dict[str, tuple[float, float]] = {}
    for number in range(ROUNDS + 1):
        for client in clients:
            cost = _import(bench, client)
            if number:  # the first one compiles what is not compiled yet
                best[client.name] = min(cost, best.get(client.name, cost))
    ours, theirs = best[OURS.name][0], best["HttpOperator"][0]
    return Section(
        title="Importing the operator",
        method=(
            "`from … import …Operator` on top of `from airflow.sdk import BaseOperator, dag, task`, which is what a "
            f"forked DAG processor pays for each file; best of {ROUNDS} fresh processes."
        ),
        columns=("operator", "ms", "MiB", "× HttpOperator"),
        rows=[(name, f"{ms:.1f}", f"{mb:.1f}", f"{ms / theirs:.3f}") for name, (ms, mb) in best.items()],
        verdict=target(f"at most {TARGET_MS:.0f} ms", f"{ours:.1f} ms", held=ours <= TARGET_MS),
    )


def _import(bench: Bench, client: Client) -> tuple[float, float]:
    with bench.folder() as folder:
        report = folder / "report.json"
        bench.script(client.environment, ["clients/import_cost.py", report, IMPORTS[client.name]], folder)
        milliseconds, mebibytes = json.loads(report.read_text())
        return milliseconds, mebibytes
