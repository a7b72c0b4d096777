"""Processes that end with the script that started them, Airflow's environment, and a local HelpCrunch."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from process_tree import descendants, end_remaining, kill_tree

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE = Path(__file__).resolve().parent.parent
LOCALHOST = "127.0.0.1"
SANDBOX_KEY = "sandbox-key"
STOP_TIMEOUT = 20
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessError(Exception):
    """A process ended by itself or took too long; the message says which, with the end of its log."""


class Processes:
    """
    Child processes, each with a process group of its own, which all end with the ``with`` block.

    :param folder: where their logs are, ``NAME.log``; processes of one name share one
    :param env: their environment; what is added to it is seen by those that are started afterwards
    :param cwd: their current folder
    :param patience: seconds that anything may take
    """

    def __init__(self, folder: Path, env: dict[str, str], *, cwd: Path, patience: float) -> None:
        self.folder = folder
        self.env = env
        self._cwd = cwd
        self._patience = patience
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stop_signals: dict[str, signal.Signals] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def start(self, name: str, *arguments: str, stop: signal.Signals = signal.SIGTERM) -> None:
        """Start ``python -m arguments`` in the background; ``stop`` is the signal that asks it to end."""
        self.launch(name, sys.executable, "-m", *arguments, stop=stop)

    def launch(
        self, name: str, *command: str, user: str | None = None, stop: signal.Signals = signal.SIGTERM
    ) -> None:
        """
        Start any command in the background.

        :param command: the program and its arguments
        :param user: who runs it; default: the caller
        :param stop: the signal that asks it to end
        """
        somebody: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                env=self.env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **somebody,
            )
        self._stop_signals[name] = stop

    def run(self, name: str, *arguments: str) -> int:
        """
        Run ``python -m arguments`` to its end.

        :return: the exit code
        :raises ProcessError: it takes too long
        """
        self.start(name, *arguments)
        return self.finish(name)

    def finish(self, name: str) -> int:
        """
        Wait for the end of a process.

        :return: the exit code
        :raises ProcessError: it takes too long
        """
        process = self._running[name]
        try:
            code = process.wait(self._patience)
        except subprocess.TimeoutExpired:
            raise self._timeout(name) from None
        # Its children may still run.
        _signal_group(process, signal.SIGKILL)
        del self._running[name]
        return code

    def kill(self, name: str, sure: Callable[[], object]) -> bool:
        """
        End a process and all that descend from it without a warning, as when their machine fails.

        :param sure: is asked while they stand still; where it says no, they go on as if nothing had happened
        :return: whether they were ended
        """
        process = self._running[name]
        if not kill_tree(process.pid, sure):
            return False
        del self._running[name]
        process.wait()
        return True

    def wait_until(self, ready: Callable[[], object], name: str, *, pause: float) -> None:
        """
        Wait until something is ready.

        :param name: the process to blame when it takes too long
        :param pause: seconds between two looks
        :raises ProcessError: it takes too long, or a process has ended
        """
        deadline = time.monotonic() + self._patience
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise self._timeout(name)
            time.sleep(pause)

    def check(self) -> None:
        """
        Look whether all of them still run.

        :raises ProcessError: one has ended
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                raise self.failure(name)

    def failure(self, name: str) -> ProcessError:
        """Return an error that says that a process has ended, with the end of its log."""
        return ProcessError(f"{name} has ended:\n{self._end_of_log(name)}")

    def _timeout(self, name: str) -> ProcessError:
        """Return an error that says what took too long, with the ends of all logs: another one may be to blame."""
        ends = "\n".join(f"{running}:\n{self._end_of_log(running)}" for running in self._running)
        return ProcessError(f"{name} has not done in {self._patience:.0f} s what it was waited for.\n{ends}")

    def _end_of_log(self, name: str) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-30:])

    def log(self, name: str) -> Path:
        """Return the file with what a process says."""
        return self.folder / f"{name}.log"

    def _stop(self) -> None:
        """End every group, first with a request and after a while without."""
        before = ignore_signals()
        try:
            self._end_all()
        finally:
            # Children inherit what is ignored: without this, no later one of this process could be asked to end.
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end_all(self) -> None:
        # A task of Airflow has a process group of its own, and would outlive the worker that started it.
        family = [descendants(process.pid) for process in self._running.values()]
        for name, process in reversed(self._running.items()):
            _signal_group(process, self._stop_signals[name])
        deadline = time.monotonic() + STOP_TIMEOUT
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for process in self._running.values():
            _signal_group(process, signal.SIGKILL)
            process.wait()
        for members in family:
            end_remaining(members)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def raise_on_signals() -> None:
    """Let what asks a program to end, such as Ctrl-C, raise ``KeyboardInterrupt``, once."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def ignore_signals() -> dict[signal.Signals, Any]:
    """
    Go on to the end: a second Ctrl-C must not leave half of the processes running.

    :return: what handled the signals before
    """
    return {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}


def _interrupt(*_: object) -> NoReturn:
    ignore_signals()
    raise KeyboardInterrupt


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on; on Linux, no other process gets it while this one runs."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((LOCALHOST, 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        # It stays bound: the system gives it to a server that wants just this port, and to none that takes any.
        probe.detach()
    probe.close()
    return port


def airflow_environment(home: Path) -> dict[str, str]:
    """Return the caller's environment with its own Airflow settings replaced by those of the folder ``home``."""
    # Airflow is large: without byte code, each of its processes would take several seconds longer to start.
    dropped = ("AIRFLOW_", "HELPCRUNCH_", "PYTHONDONTWRITEBYTECODE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return own | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CLONE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONUNBUFFERED": "1",
    }


def start_sandbox(processes: Processes, *flags: str) -> str:
    """
    Start a local HelpCrunch whose API key is ``SANDBOX_KEY``.

    :param flags: what else its command line says
    :return: the URL of its API
    :raises ProcessError: it does not start
    """
    port_file = processes.folder / "sandbox.port"
    command = ("airflow_provider_helpcrunch.sandbox", "--port", "0", "--port-file", str(port_file))
    processes.start("sandbox", *command, "--key", SANDBOX_KEY, *flags)
    processes.wait_until(lambda: port_file.exists() and port_file.read_text().strip(), "sandbox", pause=0.02)
    return f"http://{LOCALHOST}:{port_file.read_text().strip()}/v1"
