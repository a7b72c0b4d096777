"""Processes that descend from a process, whatever groups and sessions they made for themselves; on Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROC = Path("/proc")
STATE, STARTED = 0, 19
"""Positions of a process' state and start time in ``/proc/PID/stat``, counted behind the name of its program."""

PATIENCE = 60.0
"""Seconds that a killed process may take to end: a busy machine does not run it at once."""


def kill_tree(pid: int, sure: Callable[[], object]) -> bool:
    """
    End a process and all that descend from it. All are stopped first, so that none acts on the end of another.

    :param sure: is asked while they stand still; where it says no or raises, they go on as if nothing had happened
    :return: whether they were ended
    """
    pending = [pid]
    found = []
    ends = False
    try:
        while pending:
            one = pending.pop()
            _signal(one, signal.SIGSTOP)
            found.append(one)
            pending += _children(one)
        ends = bool(sure())
    finally:
        for one in found:
            _signal(one, signal.SIGKILL if ends else signal.SIGCONT)
    return ends


def descendants(pid: int) -> dict[int, str]:
    """Return the processes that descend from a process, each with the time of its start."""
    found: dict[int, str] = {}
    pending = _children(pid)
    while pending:
        one = pending.pop()
        if (started := _started(one)) is not None:
            found[one] = started
        pending += _children(one)
    return found


def end_remaining(processes: dict[int, str]) -> None:
    """
    End those of the processes that still run, and not another one that got the number of one of them.

    Returns when they have ended, or after ``PATIENCE``: until a busy machine gets round to that, they may write files,
    and listen.
    """
    for pid, started in processes.items():
        if _runs(pid, started):
            _signal(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while any(_runs(pid, started) for pid, started in processes.items()) and time.monotonic() < deadline:
        time.sleep(0.01)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    # A process that ends while it is looked at has no children any more.
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _runs(pid: int, started: str) -> bool:
    fields = _stat(pid)
    # One that has ended is a zombie until somebody asks how.
    return bool(fields) and fields[STARTED] == started and fields[STATE] not in "ZX"


def _started(pid: int) -> str | None:
    return fields[STARTED] if (fields := _stat(pid)) else None


def _stat(pid: int) -> list[str]:
    """Return what the system says about a process, behind the name of its program."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The name may hold spaces and parentheses.
    return stat.rpartition(")")[2].split()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
