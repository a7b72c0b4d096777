"""What keeping the account's limit costs a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.bench import OURS
from harness.report import Section

if TYPE_CHECKING:
    from harness.bench import Bench

PERMITS = 5_000
PAGE_US = 50_000


def measure(bench: Bench) -> Section:
    """Take and settle permits that are free."""
    bench.say(f"permit: {PERMITS} of each store")
    with bench.folder() as folder:
        report = folder / "report.json"
        bench.script(OURS.environment, ["clients/permit_cost.py", report, folder, str(PERMITS)], folder)
        costs: dict[str, list[float]] = json.loads(report.read_text())
    return Section(
        title="One permit",
        method=(
            "Taking and settling one permit of 120 that nobody else wants, which every request does once; median of "
            f"{PERMITS:,}."
        ),
        columns=("store", "median µs", "99th percentile µs", "of a page that takes 50 ms"),
        rows=[
            (name, f"{median:.1f}", f"{high:.1f}", f"{100 * median / PAGE_US:.3f} %")
            for name, (median, high) in costs.items()
        ],
        verdict="No target.",
    )
