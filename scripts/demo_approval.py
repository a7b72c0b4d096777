"""A part of the demo: chats are planned, people work on three of them, and the plan that was shown is applied."""

from __future__ import annotations

import csv
import threading
from typing import TYPE_CHECKING, Any

from demo_moves import assignee
from demo_result import ResultError, near, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from airflow_provider_helpcrunch.sandbox import Sandbox

APPROVED = "^approve$"
"""The task that waits for a person, who is played here: Airflow marks it as done."""

Rows = list[dict[str, str]]


class People:
    """
    People who work on chats while the plan waits for its approval: one is taken, one closed, one moved.

    :param account: the sandbox
    :param folder: where the DAG writes its reports
    :param colleague: id of the agent who takes a chat
    """

    def __init__(self, account: Sandbox, folder: Path, colleague: int) -> None:
        self.touched: dict[int, dict[str, Any]] = {}
        """The chats that they have changed, as they are since then, by id."""
        self._account = account
        self._folder = folder
        self._colleague = colleague
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        while not (plans := list(self._folder.glob("approvals/*/plan.csv"))):
            if self._is_over.wait(0.05):
                return
        department = self._account.departments[0]["id"]
        changes: list[dict[str, Any]] = [
            {"assignee": self._colleague},
            {"status": "closed"},
            {"department": department},
        ]
        # The moved one must not be in that department already.
        chats = [self._account.chat(int(row["id"])) for row in read_rows(plans[0])]
        chats.sort(key=lambda chat: (chat["department"] or {}).get("id") == department, reverse=True)
        for chat, change in zip(chats[-3:], changes, strict=True):
            self.touched[chat["id"]] = self._account.update_chat(chat["id"], **change)


def read_rows(path: Path) -> Rows:
    """Return the rows of a report."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_approval(account: Sandbox, folder: Path, touched: Mapping[int, Any]) -> tuple[Rows, Path]:
    """
    Compare what was shown, what was reported and what the account has.

    :param account: the sandbox
    :param folder: the folder of this run of the demo
    :param touched: the chats that people have changed, as they are since then, by id
    :return: the rows of the report on the applied plan, and its file
    :raises ResultError: something else was done than what was shown, or a chat that people changed was touched
    """
    shown = {
        int(row["id"]): int(row["after"]) for row in read_rows(next(folder.glob("approvals/*/plan.csv")))
    }
    path = next(folder.glob("approvals/*/applied-1.csv"))
    rows = read_rows(path)
    wrote = {request.body["id"]: request.body["assignee"] for request in account.writes()}
    skipped = {int(row["id"]) for row in rows if row["outcome"] == "skipped"}
    if len(touched) != 3 or skipped != touched.keys():
        msg = f"People changed {len(touched)} chats, and the report lists {len(skipped)} as skipped."
    elif wrote != {chat: agent for chat, agent in shown.items() if chat not in touched}:
        msg = "What was done is not what was shown."
    elif any(account.chat(chat) != record for chat, record in touched.items()):
        msg = "A chat that a person had changed was changed again."
    elif any(assignee(account.chat(chat)) != agent for chat, agent in wrote.items()):
        msg = "A chat does not have the agent who was shown."
    else:
        return rows, path
    raise ResultError(msg)


def show_approval(account: Sandbox, rows: Rows, path: Path) -> None:
    """Print the chats that were left alone, and what the rest cost."""
    moved = [row for row in rows if row["outcome"] == "changed"]
    print(f"\nApproved  {len(rows)} chats, of which people changed 3 before the plan was applied\n")
    skipped = [row for row in rows if row["outcome"] == "skipped"]
    reasons = [(row["id"], row["error"]) for row in skipped]
    print_table([("chat", "left alone, because"), *reasons], widest=100)
    print(f"\nApplied   {len(moved)} chats, as they were shown; {len(account.journal)} requests in all")
    print(f"Report    {near(path)}")
