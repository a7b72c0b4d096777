"""Processor time, memory and wall time of an export of many chats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import environments
from harness.bench import Client
from harness.report import Section, target

from figures.changes import EXPORT

if TYPE_CHECKING:
    from harness.bench import Bench, Run

CHATS = 100_000
MOST_MB = 40
MOST_OVER_FLOOR = 1.03
WINDOW, LIMIT = 61.0, 120
LOOP = Client("requests loop that keeps nothing", "chats_loop.py", environments.REQUESTS)


def measure(bench: Bench) -> Section:
    """Export twice without a limit, and once within it."""
    environments.install(LOOP.environment)
    with bench.sandbox(agents=20, chats=CHATS, rate_limit="none") as sandbox, bench.folder() as kept:
        bench.say("exports: without a limit")
        bench.run(LOOP, sandbox)  # not counted: the sandbox makes each record when it is first asked for
        loop = bench.run(LOOP, sandbox)
        first = bench.run(EXPORT, sandbox, BENCH_STATE=str(kept))
        second = bench.run(EXPORT, sandbox, BENCH_STATE=str(kept))
    with bench.sandbox(agents=20, chats=CHATS) as sandbox, bench.folder() as kept:
        bench.say("exports: within the limit, about nine minutes")
        limited = bench.run(
            EXPORT, sandbox, patience=1200.0, BENCH_STATE=str(kept), BENCH_REQUESTS_PER_MINUTE=str(LIMIT)
        )
    runs = {
        LOOP.name: loop,
        "first export": first,
        "second export": second,
        "first, within the limit": limited,
    }
    if errors := [f"{name}: {run.error}" for name, run in runs.items() if run.error]:
        raise RuntimeError(*errors)
    floor = WINDOW * ((len(limited.requests) - 1) // LIMIT)
    growth = max(first.growth_mb, second.growth_mb)
    return Section(
        title="Exports",
        method=(
            f"{CHATS:,} chats exported as JSON Lines by ExportChatsOperator, against a loop that writes them to a file "
            "and keeps nothing. The first export writes each chat twice, as snapshot and as inserted; the second one "
            "finds no change. Memory as below; processor time of the client, as a multiple of the loop's. With the "
            f"limit of {LIMIT} requests a minute, the floor is the moment at which the last request may be sent."
        ),
        columns=("run", "requests", "× processor time of the loop", "memory, MiB", "× floor of the limit"),
        rows=[_row(name, run, loop, floor if run is limited else None) for name, run in runs.items()],
        verdict=target(
            f"at most {MOST_MB} MiB, and at most {MOST_OVER_FLOOR} of the floor",
            f"{growth:.0f} MiB, {limited.seconds / floor:.3f}",
            held=growth <= MOST_MB and limited.seconds <= MOST_OVER_FLOOR * floor,
        ),
    )


def _row(name: str, run: Run, loop: Run, floor: float | None) -> tuple[object, ...]:
    over = "" if floor is None else f"{run.seconds / floor:.3f}"
    return name, f"{len(run.requests):,}", f"{run.cpu / loop.cpu:.1f}", f"+{run.growth_mb:.1f}", over
