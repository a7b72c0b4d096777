"""The nightly exports of the demo: read, compared with the account that they are of, and shown with their report."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from demo_result import ResultError, check_responses, print_table

from airflow_provider_helpcrunch.storage import read_records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_helpcrunch.sandbox import Sandbox

RESOURCES = ("agents", "departments", "chats", "customers", "messages")
NIGHT = {
    "chats": 6,
    "customers": 4,
    "messages": 15,
    "silent": 8,
    "closed": 5,
    "customer_edits": 3,
    "deletions": 2,
}
"""What happens between the two runs of the DAG."""
NOT_EXPORTED = ("private", "tech")
"""Types of messages that are not among the exported ones: notes of agents, and rows that HelpCrunch itself wrote."""
RESPELLED = {"status": "statusRaw", "rating": "ratingRaw"}
"""Fields of chats that have one spelling in an export, and where the export has that of HelpCrunch."""
LOG_LINE = re.compile(r"^\S+ \[info *\] |\s+\[\S+\] loc=\S+$")
"""What Airflow puts before and behind a message in its log."""

Rows = dict[int, dict[str, Any]]


class Export(NamedTuple):
    """
    Export of one resource.

    :param manifest: its manifest
    :param rows: its records, by id
    """

    manifest: dict[str, Any]
    rows: Rows


def read_exports(folder: Path) -> dict[str, Export]:
    """
    Return the latest export of each resource below the folder.

    :raises ResultError: an export is missing, or has a record twice
    """
    return {name: _read_export(folder / "warehouse" / name) for name in RESOURCES}


def check_exports(account: Sandbox, begun: int, exports: Mapping[str, Export]) -> None:
    """
    Compare the exports with the sandbox's account, record by record and field by field.

    :param account: the sandbox
    :param begun: how many requests it had seen before
    :raises ResultError: a record is missing, too many or different, or a request was refused
    """
    for name, export in exports.items():
        true = {row["id"]: row for row in account.truth(name) if row.get("type") not in NOT_EXPORTED}
        if export.rows.keys() != true.keys():
            msg = f"The account has {len(true)} {name}, and the export {len(export.rows)}, or others."
            raise ResultError(msg)
        for number, row in true.items():
            if not _is_same(export.rows[number], _as_exported(row)):
                msg = f"In the export of {name}, the record {number} is not as it is in the account."
                raise ResultError(msg)
    check_responses(account.journal[begun:])


def check_changes(before: Mapping[str, Export], after: Mapping[str, Export]) -> None:
    """
    Compare what the second run says has changed with the difference of both exports.

    :raises ResultError: they do not agree
    """
    for name, export in after.items():
        old, new = before[name].rows, export.rows
        kept = old.keys() & new.keys()
        changed = sum(old[number] != new[number] for number in kept)
        counts = {
            "inserted": len(new) - len(kept),
            "updated": changed,
            "deleted": len(old) - len(kept),
            "unchanged": len(kept) - changed,
        }
        said = {count: export.manifest[count] for count in counts}
        if said != counts:
            msg = f"The second export of {name} says {said}, and the difference of both is {counts}."
            raise ResultError(msg)


def show_exports(before: Mapping[str, Export], after: Mapping[str, Export]) -> None:
    """Print a table of the second export, and what both have cost."""
    counts = ("records", "inserted", "updated", "deleted")
    head = ["resource", *counts, "requests", "on the first night"]
    rows = [
        [name, *(f"{after[name].manifest[count]:>{len(count)},}" for count in (*counts, "requests"))]
        for name in RESOURCES
    ]
    cost = [f"{before[name].manifest['requests']:>{len(head[-1])},}" for name in RESOURCES]
    print_table([head, *([*row, first] for row, first in zip(rows, cost, strict=True))])


def show_report(log: Path) -> None:
    """
    Print the latest report that the DAG wrote to its log.

    :raises ResultError: there is none
    """
    lines = [LOG_LINE.sub("", line) for line in log.read_text(encoding="utf-8").splitlines()]
    starts = [number for number, line in enumerate(lines) if line.startswith("First response  ")]
    if not starts:
        msg = "The DAG succeeded, but its log has no report."
        raise ResultError(msg)
    print("\nIts report, from the log\n")
    for line in lines[starts[-1] :]:
        if line.startswith("::endgroup::"):
            break
        if not line.startswith("::group::"):
            print(f"  {line}")


def _read_export(base: Path) -> Export:
    path = base / "manifest.json"
    if not path.exists():
        msg = f"The DAG succeeded, but there is no export of {base.name}."
        raise ResultError(msg)
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found = [row for each in manifest["snapshot"] for row in read_records(str(base / each["path"]))]
    rows = {row["id"]: row for row in found}
    if len(rows) != len(found):
        msg = f"The export of {base.name} has records twice."
        raise ResultError(msg)
    return Export(manifest, rows)


def _as_exported(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of the account with the names that an export has for its fields."""
    return {RESPELLED.get(name, name): value for name, value in record.items()}


def _is_same(exported: Any, true: Any) -> bool:
    """Compare a value with that of the account, as far as the export has it: some fields are left out on purpose."""
    if isinstance(exported, dict) and isinstance(true, dict):
        shared = exported.keys() & true.keys()
        return bool(shared) and all(_is_same(exported[name], true[name]) for name in shared)
    if isinstance(exported, list) and isinstance(true, list):
        return len(exported) == len(true) and all(map(_is_same, exported, true))
    if isinstance(exported, datetime):
        return abs(exported.timestamp() - float(true)) < 1e-3
    return bool(exported == true)
