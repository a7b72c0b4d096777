"""A Redis of a test's own, on a free port of this machine."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from processes import free_port
from redis import Redis

COMMAND = shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """
    A server that can be killed and started again on the same port.

    :param folder: where its snapshots lie
    :param options: its command line options
    """

    def __init__(self, folder: Path, *options: str) -> None:
        if not COMMAND:
            pytest.skip("needs a redis-server; on Debian and Ubuntu: apt install redis-server")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it and wait until it listens."""
        assert COMMAND
        command = [COMMAND, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen([*command, "--save", "", *self._options], stdout=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert self._process.poll() is None
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def admin(self, password: str | None = None) -> Redis:
        """Return a client to look into it; close it."""
        return Redis(port=self.port, password=password)
