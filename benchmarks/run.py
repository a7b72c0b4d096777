"""
Measure this package against the alternatives: ``make bench``, or ``make bench ARGS="speed memory"`` for some figures.

Tables go to standard output as Markdown, what is going on to standard error.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import NoReturn

from figures import (
    budget,
    changes,
    exports,
    faults,
    first_object,
    imports,
    limit,
    memory,
    messages,
    permit,
    plot,
    requests_sent,
    shared,
    slots,
    speed,
    unshared,
)
from harness.bench import Bench
from harness.report import machine

FIGURES = {
    "speed": speed.measure,
    "memory": memory.measure,
    "requests": requests_sent.measure,
    "limit": limit.measure,
    "shared": shared.measure,
    "unshared": unshared.measure,
    "budget": budget.measure,
    "plot": plot.measure,
    "imports": imports.measure,
    "first_object": first_object.measure,
    "permit": permit.measure,
    "faults": faults.measure,
    "slots": slots.measure,
    "changes": changes.measure,
    "exports": exports.measure,
    "messages": messages.measure,
}


def main() -> int:
    """Measure what was asked for, in order, and print each figure as soon as it is known."""
    parser = argparse.ArgumentParser(prog="make bench", description="Figures, as Markdown tables.")
    parser.add_argument(
        "figures", nargs="*", metavar="figure", help=f"any of: {', '.join(FIGURES)}; default: all"
    )
    wanted = parser.parse_args().figures or list(FIGURES)
    if unknown := sorted(set(wanted) - set(FIGURES)):
        parser.error(f"no such figure: {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    signal.signal(signal.SIGTERM, _stop)
    started = time.monotonic()
    print(machine(), flush=True)
    with Bench() as bench:
        for name in wanted:
            print(FIGURES[name](bench).markdown(name), flush=True)
        bench.say(f"done after {time.monotonic() - started:.0f} s")
    return 0


def _stop(*_: object) -> NoReturn:
    """End as after Ctrl-C, so that no process stays behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
    except RuntimeError as failure:
        sys.exit(f"benchmark failed: {failure}")
