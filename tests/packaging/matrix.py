"""The matrix of a release: what was tried beside which Airflow, on which Python, with which extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = {"passed": "ok", "failed": "FAILED", "error": "FAILED"}


@dataclass(frozen=True)
class Cell:
    """
    One installation and what became of it.

    :param airflow: the version of Airflow
    :param python: the version of Python
    :param extra: the extra; empty for the wheel alone
    :param outcome: ``passed``, ``failed``, ``error`` or ``skipped``
    :param reason: why it was skipped
    """

    airflow: str
    python: str
    extra: str
    outcome: str
    reason: str = ""


def draw(cells: Sequence[Cell]) -> str:
    """Return the matrix as text; numbers in brackets stand for the reasons of what was skipped, listed below."""
    columns = list(dict.fromkeys(cell.extra for cell in sorted(cells, key=lambda cell: cell.extra)))
    reasons = list(
        dict.fromkeys(cell.reason for cell in sorted(cells, key=_row) if cell.outcome == "skipped")
    )
    shown = {
        (*_row(cell), cell.extra): SHOWN.get(cell.outcome) or f"[{reasons.index(cell.reason) + 1}]"
        for cell in cells
    }
    lines = [["Airflow", "Python", *(f"[{extra}]" if extra else "alone" for extra in columns)]]
    for row in sorted({_row(cell) for cell in cells}):
        airflow, python = (".".join(map(str, version)) for version in row)
        lines.append([airflow, python, *(shown.get((*row, extra), "not run") for extra in columns)])
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    table = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    counts = [
        f"{sum(cell.outcome == outcome for cell in cells)} {outcome}" for outcome in ("passed", "skipped")
    ]
    failed = sum(cell.outcome in ("failed", "error") for cell in cells)
    notes = [f"[{number}] SKIPPED: {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*table, "", *notes, f"{', '.join(counts)}, {failed} failed"])


def _row(cell: Cell) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(map(int, cell.airflow.split("."))), tuple(map(int, cell.python.split(".")))
