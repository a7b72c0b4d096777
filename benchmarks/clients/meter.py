"""Meter of a client: measures memory and time of its work, and writes one JSON report."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Job(NamedTuple):
    """
    Arguments of a client's command line.

    :param url: the API, with ``/v1``
    :param key: its key
    :param output: the JSONL file to write
    :param report: the file for the measurements
    :param folder: an empty folder of this run
    """

    url: str
    key: str
    output: str
    report: str
    folder: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that proves the key."""
        return {"Authorization": f"Bearer {self.key}"}


def run(prepare: Callable[[Job], Callable[[], None]]) -> None:
    """
    Measure one client.

    :param prepare: imports all that the client needs and returns its work, up to the closed output file
    """
    job = Job(*sys.argv[1:])
    work = prepare(job)
    imported = peak_mb()
    error, cpu = None, time.process_time()
    try:
        work()
    except BaseException as failure:
        error = f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300]
    report = {"ended": time.monotonic(), "imported_mb": imported, "peak_mb": peak_mb(), "error": error}
    report["cpu"] = time.process_time() - cpu
    Path(job.report).write_text(json.dumps(report))


def peak_mb() -> float:
    """Return the most memory that this process has had in RAM so far, in MiB."""
    # The same number as ru_maxrss, but that one also remembers the process which started this one.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
