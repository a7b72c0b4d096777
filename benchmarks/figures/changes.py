"""Share of the changes of a night that an export finds, and the requests that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import environments
from harness.bench import Client
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench

CHATS = 2_000
SILENT = 100
NIGHT = {"silent": SILENT, "seconds": 28_800}

EXPORT = Client("ExportChatsOperator", "export_chats.py", environments.OWN)
OTHERS = (
    Client("windows: created, closed, active", "chats_by_window.py", environments.REQUESTS),
    Client("dlt, incremental cursor", "dlt_incremental.py", environments.DLT),
)


def measure(bench: Bench) -> Section:
    """Let each client read an account, let a night pass, and let it read the account again."""
    rows = []
    for client in (EXPORT, *OTHERS):
        bench.say(f"changes: {client.name}")
        environments.install(client.environment)
        rows.append((client.name, *_found(bench, client)))
    share = rows[0][1] / rows[0][3]
    return Section(
        title="Changes found",
        method=(
            f"An account of {CHATS:,} chats is read, then people make {SILENT} changes of chats in a night (assignee, "
            "department, status, rating, snoozing, read marks), and it is read again. Counted by what the sandbox says "
            "was changed. The windows ask for chats created, closed or written to since the run before; dlt filters by "
            "`lastMessageAt`, as the API has no time of a change."
        ),
        columns=(
            "way",
            "changes found",
            "rows given",
            "chats changed",
            "requests",
            "requests per change found",
        ),
        rows=[(*row, f"{row[4] / row[1]:.2f}" if row[1] else "no change found") for row in rows],
        verdict=target("all changes found", f"{share:.0%}", held=share == 1),
    )


def _found(bench: Bench, client: Client) -> tuple[int, int, int, int]:
    """Return the number of changes found, of rows given, of chats changed, and of requests."""
    with bench.sandbox(agents=20, chats=CHATS, rate_limit="none") as sandbox, bench.folder() as kept:
        first = bench.run(client, sandbox, BENCH_STATE=str(kept))
        changed = {each["id"] for each in sandbox.night(**NIGHT) if each["resource"] == "chats"}
        second = bench.run(client, sandbox, BENCH_STATE=str(kept))
    if error := first.error or second.error:
        msg = f"{client.name} failed: {error}"
        raise RuntimeError(msg)
    found = second.ids.distinct & changed
    return len(found), len(second.ids), len(changed), len(second.requests)
