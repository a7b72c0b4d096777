"""Listing that needs more requests than a minute allows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from harness.bench import CLIENTS, OURS
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench, Client, Run

AGENTS = 20_000
LATENCY = 0.05
TARGET_SECONDS = 63.0


def measure(bench: Bench) -> Section:
    """Run all clients at a time, each on an account of its own: they wait more than they work."""
    bench.prepare(CLIENTS)
    bench.say("limit: 120 requests a minute, real time")
    runs = bench.together([partial(_run, bench, client) for client in CLIENTS], len(CLIENTS))
    ours = runs[CLIENTS.index(OURS)]
    held = ours.ids.exactly(AGENTS) and ours.seconds <= TARGET_SECONDS and not ours.answered(429)
    return Section(
        title="The account's limit",
        method=(
            f"{AGENTS:,} agents at {LATENCY * 1000:.0f} ms a page, 120 requests in any rolling 60 s, 429 without "
            "`Retry-After` as HelpCrunch documents it; every client with its defaults. No client can be done before "
            "the second window opens, at 60 s."
        ),
        columns=("client", "complete", "records", "requests", "429s", "ended after", "error"),
        rows=[_row(client, run) for client, run in zip(CLIENTS, runs, strict=True)],
        verdict=target(
            f"complete within {TARGET_SECONDS:.0f} s, without a 429",
            f"{ours.seconds:.1f} s, {ours.answered(429)} × 429",
            held=held,
        ),
    )


def _run(bench: Bench, client: Client) -> Run:
    with bench.sandbox(agents=AGENTS, latency=LATENCY) as sandbox:
        return bench.run(client, sandbox)


def _row(client: Client, run: Run) -> tuple[object, ...]:
    complete = "yes" if run.ids.exactly(AGENTS) and not run.error else "no"
    error = (run.error or "").split(":")[0]
    return (
        *(client.name, complete, f"{len(run.ids):,}", len(run.requests), run.answered(429)),
        *(f"{run.seconds:.1f} s", error),
    )
