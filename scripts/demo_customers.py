"""A part of the demo: customers wait, a chat gets a note, and customers are tagged, of whom one is refused."""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from demo_moves import assignee
from demo_result import ResultError, near, print_table

from airflow_provider_helpcrunch.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_helpcrunch.sandbox import Sandbox

MINUTES, AT_LEAST = 15, 5
"""An alarm is raised once so many unassigned chats have waited for so long."""
NOTE = "This chat is yours now: please take it from here."
DAYS, TAG, TAGGING = 120, "dormant", "tag"
"""Customers who were not seen for so long get a tag, by a task."""
REJECTS = "dormant-customers/not-tagged.csv"
ALARM = re.compile(r"customers wait, in chats ([\d, ]+\d)")


def read_alarm(account: Sandbox, log: Path) -> list[int]:
    """
    Return the chats that the alarm names.

    :param account: the sandbox
    :param log: Airflow's log
    :raises ResultError: there was no alarm, or it names too few chats, or one whose customer does not wait
    """
    alarms = ALARM.findall(log.read_text(encoding="utf-8"))
    chats = [int(number) for number in alarms[-1].split(", ")] if alarms else []
    long_ago = time.time() - MINUTES * 60
    waiting = {
        chat["id"]
        for chat in account.chats_of(None)
        if float(chat["lastCustomerMessageAt"] or "inf") == float(chat["lastMessageAt"] or 0) < long_ago
    }
    if len(chats) < AT_LEAST or not waiting.issuperset(chats):
        msg = f"{len(waiting)} customers wait, and the alarm names {len(chats)} chats, or others."
        raise ResultError(msg)
    return chats


def check_note(account: Sandbox, number: int, agent: int) -> None:
    """
    Look whether a chat has its agent, and the note once.

    :param account: the sandbox
    :param number: id of the chat
    :param agent: id of the agent who was to get it
    :raises ResultError: it has another agent, or no note, or two
    """
    notes = [each for each in account.messages(number) if each["type"] == "private" and each["text"] == NOTE]
    if assignee(account.chat(number)) != agent or len(notes) != 1:
        msg = f"The chat {number} is not assigned to {agent}, or has {len(notes)} notes."
        raise ResultError(msg)


def dormant(account: Sandbox) -> list[int]:
    """Return the ids of the customers who belong to the segment."""
    long_ago = time.time() - DAYS * 86_400
    return [each["id"] for each in account.customers if float(each["lastSeen"] or "inf") < long_ago]


def refuse_one(account: Sandbox) -> int:
    """Let the account refuse to tag one customer of the segment, and return who it is."""
    refused = dormant(account)[0]
    account.add_fault(
        Fault("status", status=400, method="PUT", path=f"/v1/customers/{refused}/tags", times=0)
    )
    return refused


def check_tags(account: Sandbox, folder: Path, refused: int) -> list[dict[str, str]]:
    """
    Compare the tags and the rejects with the segment.

    :param account: the sandbox
    :param folder: the folder of this run of the demo
    :param refused: id of the customer whom the account refused
    :return: the rejected rows
    :raises ResultError: others have the tag, or others were rejected, or a customer was written twice
    """
    with (folder / REJECTS).open(encoding="utf-8", newline="") as file:
        rejects = list(csv.DictReader(file))
    tagged = {each["id"] for each in account.customers if TAG in {tag["name"] for tag in each["tags"]}}
    wrote = Counter(each.path for each in account.journal if each.applied and "/customers/" in each.path)
    if (
        tagged != set(dormant(account)) - {refused}
        or len(tagged) != wrote.total()
        or wrote.most_common(1)[0][1] > 1
    ):
        msg = f"{len(tagged)} customers have the tag, after {wrote.total()} changes of customers."
    elif [int(row["id"]) for row in rejects] != [refused]:
        msg = f"The account refused one customer, and the file of rejects names {len(rejects)}, or others."
    else:
        return rejects
    raise ResultError(msg)


def show_waiting(account: Sandbox, chats: list[int], agent: int) -> None:
    """Print who waits, and what became of the first chat."""
    names: dict[int, Any] = {each["id"]: each["name"] for each in account.agents}
    print(f"\nWaiting   {len(chats)} unassigned chats without an answer for {MINUTES} minutes or more")
    print(f"Given     chat {chats[0]} to {names[agent]} ({agent}), with a private note, sent once")


def show_tags(account: Sandbox, folder: Path, rejects: list[dict[str, str]]) -> None:
    """Print what was refused, and where it is."""
    print(f"Tagged    {len(dormant(account)) - len(rejects)} customers who were not seen for {DAYS} days\n")
    print_table(
        [("customer", "not tagged, because"), *((row["id"], row["error"]) for row in rejects)], widest=90
    )
    print(f"\nRejects   {near(folder / REJECTS)}: once they are mended, the same file is an input")
