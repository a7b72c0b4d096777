"""Sandbox of the package in a process of its own, so that serving does not slow the client down."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from harness.processes import Processes, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sandbox-key"
START_TIMEOUT = 30.0


class Sandbox:
    """
    A sandbox that serves.

    :param port: its port on 127.0.0.1
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self._control = f"http://127.0.0.1:{port}/_sandbox/"
        # Whatever proxy is set: this never leaves the machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def journal(self) -> list[dict[str, Any]]:
        """Return every request that has arrived."""
        entries: list[dict[str, Any]] = self._call("journal")
        return entries

    def summary(self) -> dict[str, Any]:
        """Return the figures of the journal."""
        figures: dict[str, Any] = self._call("summary")
        return figures

    def night(self, **counts: int) -> list[dict[str, Any]]:
        """Let a night pass, and return what happened in it."""
        happenings: list[dict[str, Any]] = self._call("night", json.dumps(counts).encode())
        return happenings

    def _call(self, name: str, body: bytes | None = None) -> Any:
        with self._opener.open(self._control + name, body, timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def serving(processes: Processes, folder: Path, **switches: Any) -> Iterator[Sandbox]:
    """
    Serve a sandbox for the time of the block.

    :param processes: where it is entered
    :param folder: an empty folder for its port file and its output
    :param switches: its flags with ``_`` for ``-``; ``True`` stands alone, a list is repeated
    :raises RuntimeError: it does not start
    """
    port_file = folder / "port"
    command = [sys.executable, "-m", "airflow_provider_helpcrunch.sandbox", "--port", "0", "--key", KEY]
    process = processes.start(
        [*command, "--port-file", port_file, *_flags(switches)], environment(folder), folder / "sandbox.txt"
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            if process.poll() is not None or time.monotonic() > deadline:
                msg = f"the sandbox did not start: {(folder / 'sandbox.txt').read_text()[-500:]}"
                raise RuntimeError(msg)
            time.sleep(0.02)
        yield Sandbox(int(port_file.read_text()))
    finally:
        processes.end(process)


def _flags(switches: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in switches.items():
        flag = "--" + name.replace("_", "-")
        for one in value if isinstance(value, list) else [value]:
            flags += [flag] if one is True else [flag, str(one)]
    return flags
