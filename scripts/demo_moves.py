"""The end of the demo: the chats of an agent who leaves, compared with what is known of the account, and shown."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING, Any

from demo_result import ResultError, check_responses, near, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from airflow_provider_helpcrunch.sandbox import Sandbox

DRY, REAL = "dry-run", "moved"
"""How the names of the reports begin."""
NOT_OPEN = ("closed", "empty")


def assignee(chat: Mapping[str, Any]) -> int | None:
    """Return whose a chat is."""
    return chat["assignee"]["id"] if chat["assignee"] else None


def open_chats(chats: Iterable[Mapping[str, Any]]) -> Counter[int | None]:
    """Return how many open chats each agent has."""
    return Counter(assignee(chat) for chat in chats if chat["status"] not in NOT_OPEN)


def read_report(folder: Path, kind: str) -> tuple[dict[int, int], Path]:
    """
    Return who got which chat by the report of one run, and the file it is in.

    :param kind: ``DRY`` or ``REAL``
    :raises ResultError: there is no such file, or more than one
    """
    files = list(folder.glob(f"reassignments/agent=*/*/{kind}-1.csv"))
    if len(files) != 1:
        msg = f"The DAG succeeded, but there are {len(files)} reports {kind}-1.csv in {near(folder)}."
        raise ResultError(msg)
    with files[0].open(encoding="utf-8", newline="") as file:
        return {int(row["id"]): int(row["after"]) for row in csv.DictReader(file)}, files[0]


def check_dry_run(account: Sandbox, begun: int, chats: Sequence[Mapping[str, Any]]) -> None:
    """
    Look whether a dry run wrote nothing.

    :param account: the sandbox
    :param begun: how many requests it had seen before
    :param chats: its chats before
    :raises ResultError: it wrote something
    """
    if any(request.method == "PUT" for request in account.journal[begun:]) or account.chats != chats:
        msg = "The dry run changed chats."
        raise ResultError(msg)


def check_moves(
    account: Sandbox,
    begun: int,
    chats: Sequence[Mapping[str, Any]],
    leaver: int,
    planned: Mapping[int, int],
    moved: Mapping[int, int],
) -> None:
    """
    Compare a real run with the sandbox's account.

    :param account: the sandbox
    :param begun: how many requests it had seen before
    :param chats: its chats before
    :param leaver: id of the agent who leaves
    :param planned: who was to get which chat, by the dry run
    :param moved: who got which chat, by the report
    :raises ResultError: a chat was left, moved twice, or moved though it was not meant
    """
    writes = Counter(request.chat for request in account.journal[begun:] if request.method == "PUT")
    meant = {chat["id"] for chat in chats if assignee(chat) == leaver and chat["status"] not in NOT_OPEN}
    now = {chat["id"]: assignee(chat) for chat in account.chats if chat["id"] in meant}
    if account.chats_of(leaver):
        msg = f"Agent {leaver} still has {len(account.chats_of(leaver))} open chats."
    elif writes != dict.fromkeys(meant, 1):
        msg = "Not every open chat of the agent was moved with one request, or others were moved."
    elif not planned == moved == now:
        msg = "The dry run, the report and the account do not say the same about who got which chat."
    elif _others(account.chats, meant) != _others(chats, meant):
        msg = "Chats that were not meant have changed."
    else:
        check_responses(account.journal)
        return
    raise ResultError(msg)


def show_moves(
    names: Mapping[int, str],
    agents: Sequence[int],
    before: Mapping[int | None, int],
    after: Mapping[int | None, int],
) -> None:
    """
    Print a table of who had and has how many open chats.

    :param names: names of agents, by id
    :param agents: ids of those to be shown, first the one who leaves
    """
    print(f"\n{names[agents[0]]} leaves: each open chat goes to who has the fewest of them\n")
    rows = [(agent, names[agent], f"{before[agent]:>6}", f"{after[agent]:>5}") for agent in agents]
    total = [
        f"{sum(counts[agent] for agent in agents):>{width}}" for counts, width in ((before, 6), (after, 5))
    ]
    print_table([("id", "name", "before", "after"), *rows, ("", "total", *total)])


def _others(chats: Iterable[Mapping[str, Any]], meant: set[int]) -> list[Mapping[str, Any]]:
    return [chat for chat in chats if chat["id"] not in meant]
