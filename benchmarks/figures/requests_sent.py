"""Number of requests that a listing costs."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from harness.bench import CLIENTS, OURS, PEERS
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench, Client

SIZES = (0, 1, 100, 101, 199, 200, 1_000, 10_000)
AT_ONCE = 3
TARGET = "⌈(N − 1) / 99⌉ requests, 1 at least, and 1 more where the last page is full or the list is empty"


def measure(bench: Bench) -> Section:
    """Count in the sandbox's journal."""
    bench.prepare(CLIENTS)
    bench.say(f"requests: {len(SIZES)} sizes")
    pairs = [(client, agents) for agents in SIZES for client in CLIENTS]
    counts = bench.together([partial(_count, bench, *pair) for pair in pairs], AT_ONCE)
    sent = {(client.name, agents): count for (client, agents), count in zip(pairs, counts, strict=True)}
    held = all(sent[OURS.name, agents] == _promised(agents) for agents in SIZES)
    return Section(
        title="Requests",
        method=(
            "Requests that one complete listing sends when nothing goes wrong, from the sandbox's journal. Our pages "
            "overlap by one record, which is what shows lost and doubled records; 1 % more requests is the price. "
            "A full last page, or an empty list, is looked behind once."
        ),
        columns=("agents", OURS.name, "promised", *(peer.name for peer in PEERS)),
        rows=[
            (f"{n:,}", sent[OURS.name, n], _promised(n), *(sent[peer.name, n] for peer in PEERS))
            for n in SIZES
        ],
        verdict=target(TARGET, "see above", held=held),
    )


def _promised(agents: int) -> int:
    looks_behind = agents == 0 or (agents > 1 and agents % 99 == 1)
    return max(math.ceil((agents - 1) / 99), 1) + looks_behind


def _count(bench: Bench, client: Client, agents: int) -> int:
    with bench.sandbox(agents=agents, rate_limit="none") as sandbox:
        run = bench.run(client, sandbox)
    if run.error or not run.ids.exactly(agents):
        msg = f"{client.name} did not list all {agents} agents: {run.error}"
        raise RuntimeError(msg)
    return len(run.requests)
