"""Memory that 100,000 agents take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.bench import CLIENTS, OURS
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench, Client, Run

SIZES = (10_000, 100_000)
TARGET_MB = 8.0


def measure(bench: Bench) -> Section:
    """Run each client at both sizes."""
    bench.prepare(CLIENTS)
    growth: dict[str, list[float]] = {client.name: [] for client in CLIENTS}
    imported: dict[str, float] = {}
    for agents in SIZES:
        bench.say(f"memory: {agents:,} agents")
        for client in CLIENTS:
            run = _run(bench, client, agents)
            growth[client.name].append(run.growth_mb)
            imported[client.name] = run.imported_mb
    return _section(growth, imported)


def _section(growth: dict[str, list[float]], imported: dict[str, float]) -> Section:
    ours = growth[OURS.name][-1]
    return Section(
        title="Memory",
        method=(
            "Agents into a JSONL file, no latency, no limit (our connection allows 6,000 requests a minute). Most "
            "memory in RAM (the kernel's `VmHWM`), less what it was when all was imported (as under Speed); MiB."
        ),
        columns=("client", *(f"{agents:,} agents" for agents in SIZES), "when imported"),
        rows=[
            (name, *(f"+{grown:.1f}" for grown in sizes), f"{imported[name]:.0f}")
            for name, sizes in growth.items()
        ],
        verdict=target(
            f"at most {TARGET_MB:.0f} MiB at {SIZES[-1]:,} agents", f"{ours:.1f}", held=ours <= TARGET_MB
        ),
    )


def _run(bench: Bench, client: Client, agents: int) -> Run:
    with bench.sandbox(agents=agents, rate_limit="none") as sandbox:
        run = bench.run(client, sandbox, BENCH_REQUESTS_PER_MINUTE="6000")
    if not run.ids.exactly(agents):
        msg = f"{client.name} did not list all agents: {run.error}"
        raise RuntimeError(msg)
    return run
