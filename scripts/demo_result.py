"""The result of the demo's DAGs: read, compared with what is known of the account, and shown to a person."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_helpcrunch.sandbox import Request

MAPPED_ROLES = ("admin", "superviser")
"""Roles whose agents have a mapped task in the DAG to XCom."""
SHOWN_AGENTS = 5


class ResultError(Exception):
    """The result is not what it must be; the message is for a person."""


def near(path: Path) -> str:
    """Return a path as a person would type it in the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def read_agents(folder: Path) -> tuple[list[dict[str, Any]], Path]:
    """
    Return the agents that the DAG wrote below the folder, and the file they are in.

    :raises ResultError: there is no such file, or more than one
    """
    files = list(folder.glob("agents/date=*/agents.jsonl"))
    if len(files) != 1:
        msg = f"The DAG succeeded, but there are {len(files)} files agents/date=…/agents.jsonl in {near(folder)}."
        raise ResultError(msg)
    return [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()], files[0]


def check(agents: Sequence[Mapping[str, Any]], size: int, mapped: int, journal: Sequence[Request]) -> None:
    """
    Compare the result with the sandbox's account, which is known.

    :param size: how many agents the account has
    :param mapped: how many mapped tasks there were
    :param journal: the requests that the sandbox saw
    :raises ResultError: something is missing, doubled or was refused
    """
    expected = sum(agent["role"] in MAPPED_ROLES for agent in agents)
    if len({agent["id"] for agent in agents}) != size or len(agents) != size:
        msg = f"The account has {size} agents, and the file {len(agents)}."
    elif mapped != expected:
        msg = f"{expected} agents are {' or '.join(MAPPED_ROLES)}, and {mapped} tasks ran for them."
    else:
        check_responses(journal)
        return
    raise ResultError(msg)


def check_responses(journal: Sequence[Request]) -> None:
    """
    Check that the sandbox refused no request.

    :raises ResultError: it refused one
    """
    by_status = Counter(request.status for request in journal)
    if by_status.keys() != {200}:
        msg = f"The local HelpCrunch refused requests; its responses by status: {dict(by_status)}."
        raise ResultError(msg)


def show(agents: Sequence[Mapping[str, Any]], path: Path, mapped: int) -> None:
    """Print the result for a person."""
    roles = Counter(str(agent.get("role")) for agent in agents).most_common()
    columns = ("id", "name", "email", "role")
    first = [[agent.get(name) for name in columns] for agent in agents[:SHOWN_AGENTS]]
    print(f"\n{len(agents):,} agents, by role\n")
    print_table([(role, f"{count:>6,}") for role, count in roles])
    print(f"\nThe first {len(first)} of them\n")
    print_table([columns, *first])
    print(f"\nMapped    {mapped} of them ({', '.join(MAPPED_ROLES)}) through XCom, each to a task of its own")
    print(f"File      {near(path)} ({path.stat().st_size:,} bytes)")


def print_table(rows: Sequence[Sequence[object]], widest: int = 40) -> None:
    """
    Print rows as aligned columns, whatever an account has put into them.

    :param rows: the rows
    :param widest: most characters of a cell
    """
    texts = [
        ["".join(c if c.isprintable() else "?" for c in str(cell))[:widest] for cell in row] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        print("  " + "  ".join(map(str.ljust, row, widths)).rstrip())
