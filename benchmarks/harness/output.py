"""Output of a client, read back: its records, and how often each is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FIRST_ID = 1001
"""Of the sandbox's agents; the others follow without a gap."""


class Ids:
    """
    The ids of a file of records.

    :param rows: how many records it has
    :param distinct: the different ids
    """

    def __init__(self, rows: int, distinct: frozenset[int]) -> None:
        self._rows = rows
        self.distinct = distinct

    def __len__(self) -> int:
        return self._rows

    def exactly(self, agents: int) -> bool:
        """Say whether it has each of the agents that a sandbox starts with once, and nothing else."""
        return self._rows == agents and self.distinct == expected(agents)


def expected(agents: int) -> frozenset[int]:
    """Return the ids of the agents that a sandbox starts with."""
    return frozenset(range(FIRST_ID, FIRST_ID + agents))


def ids_of(path: Path) -> Ids:
    """Read the ids of a JSONL file; a missing file has none."""
    if not path.exists():
        return Ids(0, frozenset())
    with path.open() as file:
        ids = [json.loads(line)["id"] for line in file if line.strip()]
    return Ids(len(ids), frozenset(ids))
