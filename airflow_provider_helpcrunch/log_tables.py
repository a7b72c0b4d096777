"""Tables in the log of a task, which Airflow's user interface folds."""

from __future__ import annotations

from typing import Any


def log_table(log: Any, title: str, table: str) -> None:
    """
    Write a table to the log, between the two marks that Airflow's user interface folds.

    Airflow 2.11 and 3 show the title, and the table after a click. A mark counts only if it is a line of its own and,
    on 2.11, at level INFO.

    :param log: the log of the task
    :param title: what the folded table is called; also the line above it
    :param table: the table, as lines of text
    """
    log.info("::group::%s", title)
    # One message: each line of its own would begin with Airflow's prefix, which leaves less room.
    log.info("%s:\n%s", title, table)
    log.info("::endgroup::")
