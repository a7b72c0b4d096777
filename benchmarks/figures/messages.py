"""Processor time and memory of an export of the messages of many chats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness import environments
from harness.bench import Client
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench, Run

CHATS, MESSAGES = 100_000, 1_000_000
MOST_MB = 40
PATIENCE = 3_600.0
ADDRESS = "http://127.0.0.1/v1"
MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: two objects are replaced for each chat, and the speed of a disk is no figure of
this package."""

LOOP = Client("requests loop that keeps nothing", "messages_loop.py", environments.REQUESTS)
EXPORT = Client("ExportMessagesOperator", "export_messages.py", environments.OWN)
MODES = {
    "first": "first export",
    "second": "second export, nothing moved",
    "full": "third export, every chat again",
}


def measure(bench: Bench) -> Section:
    """Read all messages in a loop, and export them three times."""
    environments.install(LOOP.environment)
    runs = {}
    with bench.folder(MEMORY if MEMORY.is_dir() else None) as kept:
        given = {"BENCH_CHATS": str(CHATS), "BENCH_STATE": str(kept)}
        for client, mode, name in [(LOOP, "", LOOP.name), *((EXPORT, *mode) for mode in MODES.items())]:
            bench.say(f"messages: {name}")
            runs[name] = run = bench.run(client, ADDRESS, patience=PATIENCE, BENCH_MODE=mode, **given)
            if run.error:
                message = f"{name} failed: {run.error}"
                raise RuntimeError(message)
    loop = runs[LOOP.name]
    if len(loop.ids) != MESSAGES:
        message = f"the loop has read {len(loop.ids)} messages"
        raise RuntimeError(message)
    growth = max(run.growth_mb for run in runs.values() if run is not loop)
    return Section(
        title="Exports of messages",
        method=(
            f"{MESSAGES:,} messages of {CHATS:,} chats, one request for each chat, exported as JSON Lines by the "
            "engine of ExportMessagesOperator, against a loop that writes them to a file and keeps nothing. No limit. "
            "The pages are made in the process of the client, so no socket is measured, and what it takes to make them "
            "counts for all. Exports are kept in `/dev/shm`, so no disk is measured either. Memory as below; processor "
            "time as a multiple of the loop's."
        ),
        columns=("run", "× processor time of the loop", "memory, MiB"),
        rows=[_row(name, run, loop) for name, run in runs.items()],
        verdict=target(f"at most {MOST_MB} MiB", f"{growth:.1f} MiB", held=growth <= MOST_MB),
    )


def _row(name: str, run: Run, loop: Run) -> tuple[object, ...]:
    return name, f"{run.cpu / loop.cpu:.1f}", f"+{run.growth_mb:.1f}"
