"""Child processes that are ended with the benchmark, whatever happens."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GRACE = 5.0
"""Seconds between asking a process to end and ending it."""

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV_DISABLE_PROMPT")


class Processes:
    """All processes that this run has started and that have not ended."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def start(
        self, command: Sequence[str | Path], env: Mapping[str, str], output: Path
    ) -> subprocess.Popen[bytes]:
        """
        Start a process.

        :param command: program and arguments
        :param env: its whole environment
        :param output: file for all it prints
        :raises RuntimeError: the run is being stopped
        """
        with self._lock, output.open("wb") as log:
            if self._stopped:
                msg = "the run is being stopped"
                raise RuntimeError(msg)
            process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            self._running.add(process)
            return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End one process, and wait for it."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """End all processes and refuse to start more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            self.end(process)


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """
    Return the environment of a child: nothing of the caller's Airflow, Python or proxies.

    :param folder: where it keeps its Airflow home and its temporary files
    """
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "TMPDIR": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "ignore",
        **extra,
    }
