"""Tasks of a local Airflow that wait for a person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def is_paused(home: Path, run_id: str, task_id: str) -> bool:
    """
    Say whether the process of a task that waits for a person has ended, some seconds after the question was asked.

    Airflow 3.3.2 loses an answer that comes before that, and asks again at the next try.

    :param home: where the scheduler's log is
    :param run_id: the run
    :param task_id: the task
    """
    ended = rf"Received executor event with state success .*task_id='{task_id}', run_id='{re.escape(run_id)}'"
    return re.search(ended, (home / "scheduler.log").read_text(errors="replace")) is not None
