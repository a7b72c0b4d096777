"""The matrix hides nothing: failures, skipped cells with their reasons, and cells that were not run."""

from __future__ import annotations

from matrix import Cell, draw

CELLS = [
    Cell("3.3.2", "3.13", "", "passed"),
    Cell("3.3.2", "3.13", "s3", "failed"),
    Cell("3.3.2", "3.14", "", "skipped", "PYTHON 3.14 IS NOT ON THIS MACHINE"),
    Cell("3.3.2", "3.14", "s3", "error"),
    Cell("2.11.2", "3.13", "", "skipped", "Airflow 2.11 does not run on Python 3.13"),
]


def test_every_cell_is_shown() -> None:
    assert draw(CELLS).splitlines() == [
        "Airflow  Python  alone  [s3]",
        "2.11.2   3.13    [1]    not run",
        "3.3.2    3.13    ok     FAILED",
        "3.3.2    3.14    [2]    FAILED",
        "",
        "[1] SKIPPED: Airflow 2.11 does not run on Python 3.13",
        "[2] SKIPPED: PYTHON 3.14 IS NOT ON THIS MACHINE",
        "1 passed, 2 skipped, 2 failed",
    ]
