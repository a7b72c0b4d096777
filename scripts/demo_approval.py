"""A part of the demo: chats are planned, people work meanwhile, and the plan that was shown is applied by its rules."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING, Any

from demo_moves import assignee
from demo_result import ResultError, near, print_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_helpcrunch.sandbox import Sandbox

APPROVED = "^approve$"
"""The task that waits for a person, who is played here: Airflow marks it as done."""

MOST = 10
"""The most open chats that an agent may have."""

RULES: dict[str, Any] = {"max_per_agent": MOST, "note": "Reassigned after an approval."}
"""Parameters of the DAG."""

TOO_MANY = 2
"""Planned chats for which an agent has no room when the plan is applied."""

Rows = list[dict[str, str]]


class People:
    """
    People who work on chats while the plan waits for its approval: one is taken, one closed, one moved.

    And they give others to an agent who is to get chats, so that there is no room for all of those.

    They need no time: once the plan is there, the account looks at its clock for the next request, and they are done
    before it reads that. A thread that watched for the plan might come after the chats were moved.

    :param folder: where the DAG writes its reports
    """

    def __init__(self, folder: Path) -> None:
        self.touched: dict[int, dict[str, Any]] = {}
        """The chats that they have changed, as they are since then, by id."""
        self.full: int | None = None
        """The agent whom they give chats."""
        self._folder = folder
        self._work: Callable[[Path], object] | None = None

    def work_for(self, account: Sandbox, colleague: int) -> None:
        """
        Let them work as soon as there is a plan.

        :param account: a sandbox that goes by their clock
        :param colleague: id of the agent who takes a chat
        """
        self._work = lambda plan: self._change(account, colleague, plan)

    def clock(self) -> float:
        """Tell the time to the account."""
        if self._work and (plans := list(self._folder.glob("approvals/*/plan.csv"))):
            # Each change looks at the clock, too.
            work, self._work = self._work, None
            work(plans[0])
        return time.monotonic()

    def _change(self, account: Sandbox, colleague: int, plan: Path) -> None:
        department = account.departments[0]["id"]
        changes: list[dict[str, Any]] = [
            {"assignee": colleague},
            {"status": "closed"},
            {"department": department},
        ]
        # The moved one must not be in that department already.
        rows = read_rows(plan)
        chats = [account.chat(int(row["id"])) for row in rows]
        chats.sort(key=lambda chat: (chat["department"] or {}).get("id") == department, reverse=True)
        for chat, change in zip(chats[-3:], changes, strict=True):
            self.touched[chat["id"]] = account.update_chat(chat["id"], **change)
        crowded = rows[0]["after"]
        self._fill(account, int(crowded), {int(row["id"]) for row in rows if row["after"] == crowded})

    def _fill(self, account: Sandbox, agent: int, planned: set[int]) -> None:
        """Give an agent so many chats that there is no room for the last of those that are planned for them."""
        room = MOST - len(account.chats_of(agent)) - len(planned - self.touched.keys())
        for chat in account.chats_of(None)[: room + TOO_MANY]:
            account.update_chat(chat["id"], assignee=agent)
        self.full = agent


def read_rows(path: Path) -> Rows:
    """Return the rows of a report."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_approval(account: Sandbox, folder: Path, people: People) -> tuple[Rows, Path]:
    """
    Compare what was shown, what was reported and what the account has.

    :param account: the sandbox
    :param folder: the folder of this run of the demo
    :param people: the people who have worked meanwhile
    :return: the rows of the report on the applied plan, and its file
    :raises ResultError: something else was done than what was shown, a chat that people changed was touched, somebody
        got more chats than they may have, or a note is missing or there twice
    """
    touched = people.touched
    shown = {
        int(row["id"]): int(row["after"]) for row in read_rows(next(folder.glob("approvals/*/plan.csv")))
    }
    path = next(folder.glob("approvals/*/applied-1.csv"))
    rows = read_rows(path)
    wrote = {request.body["id"]: request.body["assignee"] for request in account.writes()}
    skipped = {int(row["id"]) for row in rows if row["outcome"] == "skipped"}
    without_room = skipped - touched.keys()
    notes = {chat["id"]: number for chat in account.chats if (number := _notes(account, chat["id"]))}
    if len(touched) != 3 or not touched.keys() <= skipped:
        msg = f"People changed {len(touched)} chats, and the report lists {len(skipped)} as skipped."
    elif len(without_room) != TOO_MANY or {shown[chat] for chat in without_room} != {people.full}:
        msg = (
            f"Agent {people.full} had no room for {TOO_MANY} chats, and {len(without_room)} were left alone."
        )
    elif any(len(account.chats_of(agent)) > MOST for agent in shown.values()):
        msg = f"An agent has more than {MOST} open chats."
    elif wrote != {chat: agent for chat, agent in shown.items() if chat not in skipped}:
        msg = "What was done is not what was shown."
    elif notes != dict.fromkeys(wrote, 1):
        msg = "Not each chat that was given away has its note, once."
    elif any(account.chat(chat) != record for chat, record in touched.items()):
        msg = "A chat that a person had changed was changed again."
    elif any(assignee(account.chat(chat)) != agent for chat, agent in wrote.items()):
        msg = "A chat does not have the agent who was shown."
    else:
        return rows, path
    raise ResultError(msg)


def _notes(account: Sandbox, chat: int) -> int:
    return sum(message["text"] == RULES["note"] for message in account.messages(chat))


def show_approval(account: Sandbox, rows: Rows, path: Path) -> None:
    """Print the chats that were left alone, and what the rest cost."""
    moved = [row for row in rows if row["outcome"] == "changed"]
    print(f"\nApproved  {len(rows)} chats, of which people changed 3 before the plan was applied\n")
    skipped = [row for row in rows if row["outcome"] == "skipped"]
    reasons = [(row["id"], row["error"]) for row in skipped]
    print_table([("chat", "left alone, because"), *reasons], widest=100)
    print(
        f"\nApplied   {len(moved)} chats, as they were shown, each with a note, and nobody has more than {MOST}"
    )
    print(f"Cost      {len(account.journal)} requests in all")
    print(f"Report    {near(path)}")
