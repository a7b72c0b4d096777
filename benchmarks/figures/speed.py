"""Time that 10,000 agents take."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from harness.bench import CLIENTS, OURS, PEERS
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench

AGENTS = 10_000
LATENCY = 0.05
ROUNDS = 5
TARGET = 0.16


def measure(bench: Bench) -> Section:
    """Run all clients in alternating rounds."""
    bench.prepare(CLIENTS)
    walls: dict[str, list[float]] = {client.name: [] for client in CLIENTS}
    with bench.sandbox(agents=AGENTS, latency=LATENCY, rate_limit="none") as sandbox:
        # Not counted: the sandbox makes each record when it is first asked for (and again after a reset).
        bench.run(OURS, sandbox)
        for number in range(1, ROUNDS + 1):
            bench.say(f"speed: round {number} of {ROUNDS}")
            for client in CLIENTS:
                run = bench.run(client, sandbox)
                if not run.ids.exactly(AGENTS):
                    msg = f"{client.name} did not list all agents: {run.error}"
                    raise RuntimeError(msg)
                walls[client.name].append(run.seconds)
    return _section({name: statistics.median(seconds) for name, seconds in walls.items()}, walls)


def _section(medians: dict[str, float], walls: dict[str, list[float]]) -> Section:
    fastest = min(medians[peer.name] for peer in PEERS)
    ratio = medians[OURS.name] / fastest
    return Section(
        title="Speed",
        method=(
            f"{AGENTS:,} agents into a JSONL file at {LATENCY * 1000:.0f} ms a page, no limit at the server; our "
            "operator with all its defaults. From the first request to the closed file; without imports and what "
            "Airflow loads once a process (plugins, listeners). Median of "
            f"{ROUNDS} alternating rounds, as a multiple of the fastest alternative."
        ),
        columns=("client", "× fastest alternative", "lowest to highest round"),
        rows=[
            (
                name,
                f"{median / fastest:.3f}",
                f"{min(walls[name]) / fastest:.3f} to {max(walls[name]) / fastest:.3f}",
            )
            for name, median in medians.items()
        ],
        verdict=target(f"at most {TARGET} of the fastest alternative", f"{ratio:.4f}", held=ratio <= TARGET),
    )
