"""Listings from a server that misbehaves, in twenty ways."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.bench import CLIENTS, OURS
from harness.output import expected
from harness.report import Section, target

if TYPE_CHECKING:
    from harness.bench import Bench, Client, Run

AGENTS = 1_000
AT_ONCE = 6
PATIENCE = 170.0
"""Seconds. Two 429s that name no time cost us two whole windows, 122 s."""

RUNAWAY = 250
LEAST_SURVIVED = 17
VERDICTS = ("OK", "LOUD", "SILENT", "HANG")


class Scenario(NamedTuple):
    """
    One way to misbehave.

    :param name: in the table
    :param switches: of the sandbox
    :param fault: one, with ``{fifth}`` for the offset of the client's fifth page
    :param lost: agents that the server deletes during the listing, from the front
    """

    name: str
    switches: dict[str, Any]
    fault: str = ""
    lost: int = 0


# Those that a client waits for longest come first, so that the others fill the time.
SCENARIOS = (
    Scenario("the server hangs", {}, "hang,offset={fifth}"),
    Scenario("429 twice, no Retry-After", {}, "status,status=429,offset={fifth},times=2"),
    Scenario("429 once, Retry-After: 1", {}, "status,status=429,retry_after=1,offset={fifth}"),
    Scenario("500 twice", {}, "status,status=500,offset={fifth},times=2"),
    Scenario("40 rows a page where 100 were asked for", {"page_cap": 40}),
    Scenario("offset ignored", {"ignore_offset": True}),
    Scenario("offset ignored, no total", {"ignore_offset": True, "total": "missing"}),
    Scenario("no total", {"total": "missing"}),
    Scenario("total half of the truth", {"total": "low"}),
    Scenario("total one and a half of the truth", {"total": "high"}),
    Scenario("total 0", {"total": "zero"}),
    Scenario("50 agents deleted in front", {}, "delete,rows=50,nth=4", lost=50),
    Scenario("50 agents inserted in front", {}, "insert,rows=50,nth=4"),
    Scenario("one short page", {}, "short_page,rows=50,offset={fifth}"),
    Scenario("one empty page", {}, "empty_page,offset={fifth}"),
    Scenario("half a body", {}, "truncate,offset={fifth}"),
    Scenario("200 with an HTML page", {}, "html,offset={fifth}"),
    Scenario("200 with errors and no data", {}, "errors,offset={fifth}"),
    Scenario("connection reset", {}, "reset,offset={fifth}"),
    Scenario("401 from the fifth page on", {}, "status,status=401,offset={fifth},times=0"),
)


def measure(bench: Bench) -> Section:
    """Run every client through every scenario."""
    bench.prepare(CLIENTS)
    bench.say(f"faults: {len(SCENARIOS)} scenarios for each of {len(CLIENTS)} clients")
    jobs = [partial(_verdict, bench, scenario, client) for scenario in SCENARIOS for client in CLIENTS]
    verdicts = iter(bench.together(jobs, AT_ONCE))
    return _section([(scenario.name, *(next(verdicts) for _ in CLIENTS)) for scenario in SCENARIOS])


def _section(table: list[tuple[str, ...]]) -> Section:
    columns = list(zip(*table, strict=True))[1:]
    counts = [Counter(verdict.split()[0] for verdict in column) for column in columns]
    ours = counts[CLIENTS.index(OURS)]
    wrong = ours["SILENT"] + ours["HANG"]
    sums = [(f"**{verdict}**", *(count[verdict] for count in counts)) for verdict in VERDICTS]
    return Section(
        title="Twenty faults",
        method=(
            f"{AGENTS:,} agents, one fault a listing, every client with its defaults. OK: every agent that existed "
            "throughout, once. LOUD: an error. SILENT: success with agents lost or doubled. HANG: no end after "
            f"{PATIENCE:.0f} s or {RUNAWAY} requests."
        ),
        columns=("fault", *(client.name for client in CLIENTS)),
        rows=[*table, *sums],
        verdict=target(
            f"none silent, none hanging, at least {LEAST_SURVIVED} survived",
            f"{wrong} silent or hanging, {ours['OK']} survived",
            held=not wrong and ours["OK"] >= LEAST_SURVIVED,
        ),
    )


def _verdict(bench: Bench, scenario: Scenario, client: Client) -> str:
    # Our pages begin with the last record of the page before.
    fifth = 4 * (99 if client is OURS else 100)
    faults = [scenario.fault.format(fifth=fifth)] if scenario.fault else []
    with bench.sandbox(agents=AGENTS, rate_limit="none", fault=faults, **scenario.switches) as sandbox:
        run = bench.run(client, sandbox, patience=PATIENCE)
    if run.killed or len(run.requests) > RUNAWAY:
        return "HANG"
    if run.error and not run.requests:
        msg = f"{client.name} failed before its first request: {run.error}"
        raise RuntimeError(msg)
    if run.error:
        return f"LOUD ({run.error.split(':')[0]})"
    return "OK" if _complete(run, scenario) else "SILENT"


def _complete(run: Run, scenario: Scenario) -> bool:
    throughout = expected(AGENTS) - expected(scenario.lost)
    return throughout <= run.ids.distinct and len(run.ids) == len(run.ids.distinct)
