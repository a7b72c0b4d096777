"""Text for a person who approves a plan: who gets how many chats, and each chat with names instead of ids."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import counted
from airflow_provider_helpcrunch.storage import read_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST_CHATS = 100
"""Most chats in the table: the page for an answer shows all of the text."""


def approval_text(result: Mapping[str, Any], *, most: int = MOST_CHATS) -> str:
    """
    Return what a dry run would change, in Markdown, as the ``body`` of Airflow's ``ApprovalOperator``.

    :param result: the result of ``ReassignChatsOperator(dry_run=True, report_path=…)``: its report has the names
    :param most: most chats in the table; the rest are counted (100)
    :return: how many chats each agent would get, and how many nobody; a table of the chats, with their addresses where
        these are known; and where the whole report is
    :raises HelpCrunchConfigurationError: the result has no report
    :raises HelpCrunchStorageError: the report cannot be read
    """
    if not (receipt := result.get("report")):
        msg = (
            "approval_text needs the names in a dry run's report, and this result has none: set report_path on the dry "
            "run."
        )
        raise HelpCrunchConfigurationError(msg)
    found = list(read_records(receipt))
    rows = [row for row in found if row["outcome"] == "planned"]
    left = sum(row["outcome"] == "left" for row in found)
    agents = _agents(rows)
    gets = Counter(row["after"] for row in rows)
    parts = [
        f"**{counted(len(rows), 'chat')}** would get another agent."
        + (f" {counted(left, 'chat')} would be left, because of caps or departments." if left else ""),
        _table(("Agent", "Gets"), ((agents[agent], f"{number:,}") for agent, number in gets.most_common())),
        _table(
            ("Chat", "Status", "Department", "From", "To"),
            (
                (
                    _chat(row),
                    _escaped(str(row["status"] or "unknown")),
                    _named(row["department"], row.get("department_name")) or "none",
                    agents[row["before"]],
                    agents[row["after"]],
                )
                for row in rows[:most]
            ),
        ),
    ]
    if (more := len(rows) - most) > 0:
        parts.append(f"… and {more:,} more.")
    parts.append(f"The whole report: `{receipt['path']}`")
    return "\n\n".join(parts)


def _chat(row: Mapping[str, Any]) -> str:
    # Not escaped: the address is made of a checked host name and the chat's id.
    return f"[{row['id']}]({row['url']})" if row.get("url") else str(row["id"])


def _agents(rows: Sequence[Mapping[str, Any]]) -> dict[Any, str]:
    """Return what stands for each agent: the name, with the id where several have it."""
    names = {row[side]: row[f"{side}_name"] for row in rows for side in ("before", "after")}
    shared = Counter(names.values())
    return {
        agent: (_named(agent, name) or "nobody") + (f" ({agent})" if name and shared[name] > 1 else "")
        for agent, name in names.items()
    }


def _named(number: Any, name: str | None) -> str | None:
    """Return a name, and the id only where the name is not known or blank."""
    return (name and _escaped(name)) or (number and str(number))


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: a name may have any character."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~])", r"\\\1", " ".join(text.split()))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
