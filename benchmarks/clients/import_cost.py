"""Time and memory of one import on top of ``airflow.sdk``: ``import_cost.py REPORT STATEMENT``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from airflow.sdk import BaseOperator, dag, task  # noqa: F401
from meter import peak_mb


def main(report: str, statement: str) -> None:
    """Run the statement and write ``[milliseconds, MiB]``."""
    code = compile(statement, "<import>", "exec")
    before, started = peak_mb(), time.perf_counter()
    exec(code, {})
    seconds = time.perf_counter() - started
    Path(report).write_text(json.dumps([seconds * 1000, peak_mb() - before]))


main(*sys.argv[1:])
