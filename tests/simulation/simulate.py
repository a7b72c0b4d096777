"""
Runs of the simulation: ``make simulate N=1000``, or ``make simulate SEED=17`` for one again.

Each run is one of ``right``, ``loud`` (an error of ours was raised, and nothing was written wrongly), ``silent`` (the
account shows what nobody said), ``stuck`` (no end within bounds of time and requests) and ``broken`` (an error that is
none of ours). The last three are failures, and print their seed.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

# ruff: noqa: E402, T201
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from approval import approval
from message import message
from scenarios import SCENARIOS as SINGLE
from scheduler import Stuck, real_monotonic
from shares import shares
from world import URL, Crash, World, Wrong

from airflow_provider_helpcrunch._airflow import BaseOperator
from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.hooks import helpcrunch
from airflow_provider_helpcrunch.operators.base import HelpCrunchOperator
from airflow_provider_helpcrunch.storage import spool

SCENARIOS = {**SINGLE, "shares": shares, "approval": approval, "message": message}

FAILURES = ("silent", "stuck", "broken")


class Run(NamedTuple):
    """
    What became of one run.

    :param seed: its seed
    :param scenario: its name
    :param kind: ``right``, ``loud``, ``silent``, ``stuck`` or ``broken``
    :param why: the error, if any
    :param trace: where a failure was raised
    :param journal: what the account got, to compare two runs of a seed
    """

    seed: int
    scenario: str
    kind: str
    why: str
    trace: str
    journal: tuple[tuple[float, str, str, int | None], ...]

    def __str__(self) -> str:
        return f"seed {self.seed} ({self.scenario}): {self.kind}: {self.why}"


def run(seed: int, scenario: str | None = None) -> Run:
    """
    Run one seed.

    :param seed: the seed
    :param scenario: the name of the scenario; default: drawn from the seed
    """
    names = list(SCENARIOS)
    name = scenario or names[seed % len(names)]
    world = World(seed)
    kind, why, trace = "right", "", ""
    with quiet(), connected(world), seeded(seed):
        try:
            with world.scheduler:
                try:
                    SCENARIOS[name](world)
                finally:
                    world.people_act = False
                    world.crash_at = None
        except HelpCrunchError as error:
            kind, why = "loud", f"{type(error).__name__}: {error}"
        except Wrong as error:
            kind, why, trace = "silent", str(error), traceback.format_exc()
        except Stuck as error:
            kind, why, trace = "stuck", str(error), traceback.format_exc()
        except (Exception, Crash) as error:
            kind, why, trace = "broken", repr(error), traceback.format_exc()
        try:
            world.check_limit()
        except Wrong as error:
            kind, why = "silent", f"{error} {why}".strip()
    journal = tuple((entry.at, entry.method, entry.path, entry.status) for entry in world.sandbox.journal)
    return Run(seed, name, kind, why, trace, journal)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out all logs, and Airflow's warning that a test calls ``execute``."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    nothing = property(lambda _: logging.getLogger(__name__))
    guard = sys.modules[BaseOperator.__module__].ExecutorSafeguard  # type: ignore[attr-defined]
    try:
        with (
            mock.patch.object(HelpCrunchOperator, "log", nothing),
            mock.patch.object(guard, "test_mode", True),
            # A run kills workers, not machines: nothing waits for the disk.
            mock.patch.object(spool, "_sync"),
            mock.patch.object(spool, "_sync_directory"),
        ):
            yield
    finally:
        logging.disable(before)


@contextmanager
def connected(world: World) -> Iterator[None]:
    """Let the hook of tasks make clients of this world."""
    connection = f'{{"conn_type": "helpcrunch", "password": "sandbox-key", "host": "{URL}"}}'
    with (
        mock.patch.dict(os.environ, {"AIRFLOW_CONN_HELPCRUNCH_DEFAULT": connection}),
        mock.patch.object(helpcrunch, "HelpCrunchClient", world.client),
    ):
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the jitter of retries and of the limiter from the seed, too."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def main() -> int:
    """Run seeds, and return 1 if any of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, metavar="N", help="how many seeds (1000)")
    parser.add_argument("--seed", type=int, metavar="SEED", help="only this one")
    parser.add_argument("--first", type=int, metavar="SEED", help="the first seed; default: drawn")
    parser.add_argument("--scenario", choices=SCENARIOS, help="only this scenario")
    options = parser.parse_args()
    first = options.first if options.first is not None else time.time_ns() // 1_000_000
    seeds = [options.seed] if options.seed is not None else range(first, first + options.runs)
    began, counts, loud = real_monotonic(), Counter[str](), Counter[str]()
    for seed in seeds:
        done = run(seed, options.scenario)
        counts[done.kind] += 1
        if done.kind == "loud":
            loud[f"{done.scenario}: {done.why[:60]}"] += 1
        if done.kind in FAILURES or options.seed is not None:
            print(done, done.trace, sep="\n", flush=True)
    seconds = real_monotonic() - began
    print(
        f"{dict(counts)} in {seconds:.1f} s: {len(seeds) / seconds:.0f} runs a second, from seed {seeds[0]}"
    )
    for why, times in loud.most_common(12):
        print(f"  loud {times:4} {why}")
    return 1 if any(counts[kind] for kind in FAILURES) else 0


if __name__ == "__main__":
    sys.exit(main())
