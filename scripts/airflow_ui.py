"""
The real Airflow UI beside a local HelpCrunch: ``make airflow``.

Starts the sandbox and the four parts of Airflow on 127.0.0.1 with a home that is thrown away, stores the connection
``helpcrunch_default`` in Airflow's database, and serves until Ctrl-C. Parts are started one by one, as ``airflow
standalone`` does it, because that one serves task logs on every network interface.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLONE = Path(__file__).resolve().parent.parent
LOCALHOST = "127.0.0.1"
USER = "admin"
SANDBOX_KEY = "sandbox-key"
START_TIMEOUT = 180
STOP_TIMEOUT = 20
PARTS = {
    "api-server": ["api-server", "--host", LOCALHOST],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
HEALTH = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class StartError(Exception):
    """Something did not start; the message says what, with the end of its log."""


class Processes:
    """
    Child processes, each with a process group and a log file of its own.

    :param home: folder of the log files
    :param env: environment of every child
    """

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self._home = home
        self._env = env
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start ``python -m arguments`` in the background."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=self._env,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, name: str, *arguments: str) -> None:
        """Run ``python -m arguments`` to its end."""
        self.start(name, *arguments)
        if self._running[name].wait(START_TIMEOUT) != 0:
            raise StartError(self.story(name))
        del self._running[name]

    def check(self) -> None:
        """
        Look whether all of them still run.

        :raises StartError: one has ended
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                raise StartError(self.story(name))

    def story(self, name: str) -> str:
        """Return the end of a log."""
        lines = self._log(name).read_text(errors="replace").splitlines()[-30:]
        return "\n".join([f"{name} has ended:", *lines])

    def stop(self) -> None:
        """End every group, first with a request and after a while without."""
        for process in reversed(self._running.values()):
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for process in self._running.values():
            _signal_group(process, signal.SIGKILL)
            process.wait()

    def _log(self, name: str) -> Path:
        return self._home / f"{name}.log"


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextlib.contextmanager
def throw_away_home() -> Iterator[Path]:
    """Yield a new folder in the clone, gone afterwards."""
    parent = CLONE / ".tmp"
    parent.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="airflow-ui-", dir=parent))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """Return a port that nothing on 127.0.0.1 listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path, port: int) -> dict[str, str]:
    """Return the caller's environment with its own Airflow settings replaced by those of ``home``."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    url = f"http://{LOCALHOST}:{port}"
    return own | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CLONE / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }


def start_sandbox(processes: Processes, home: Path, agents: int) -> str:
    """Start a local HelpCrunch and return the URL of its API."""
    port_file = home / "sandbox.port"
    processes.start(
        "sandbox",
        *("airflow_provider_helpcrunch.sandbox", "--port", "0", "--port-file", str(port_file)),
        *("--key", SANDBOX_KEY, "--agents", str(agents)),
    )
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        processes.check()
        if port_file.exists() and (port := port_file.read_text().strip()):
            return f"http://{LOCALHOST}:{port}/v1"
        time.sleep(0.05)
    raise StartError(processes.story("sandbox"))


def start_airflow(processes: Processes, home: Path, port: int, api_url: str) -> str:
    """Start Airflow with the connection stored; return the password of its user once all parts are healthy."""
    password = secrets.token_urlsafe(8)
    passwords = home / "simple_auth_manager_passwords.json.generated"
    passwords.write_text(json.dumps({USER: password}))
    passwords.chmod(0o600)
    processes.run("migrate", "airflow", "db", "migrate")
    connection = {"conn_type": "helpcrunch", "host": api_url, "password": SANDBOX_KEY}
    connection["description"] = "The sandbox: a local HelpCrunch account"
    processes.run(
        "connection",
        *("airflow", "connections", "add", "helpcrunch_default", "--conn-json", json.dumps(connection)),
    )
    for name, command in PARTS.items():
        processes.start(name, "airflow", *command)
    deadline = time.monotonic() + START_TIMEOUT
    while not healthy(port):
        processes.check()
        if time.monotonic() > deadline:
            raise StartError(processes.story("api-server"))
        time.sleep(0.5)
    return password


def healthy(port: int) -> bool:
    """Tell whether every part of Airflow says that it is well."""
    try:
        with urllib.request.urlopen(f"http://{LOCALHOST}:{port}/api/v2/monitor/health", timeout=5) as answer:
            report = json.load(answer)
    except OSError:
        return False
    return all(report.get(part, {}).get("status") == "healthy" for part in HEALTH)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def serve(options: argparse.Namespace, home: Path) -> None:
    """Serve until interrupted."""
    port = options.port or free_port()
    processes = Processes(home, environment(home, port))
    try:
        api_url = start_sandbox(processes, home, options.agents)
        print("Starting Airflow; this takes half a minute ...", flush=True)
        password = start_airflow(processes, home, port, api_url)
        print(
            f"\nAirflow     http://{LOCALHOST}:{port}\n"
            f"login       {USER}\n"
            f"password    {password}\n"
            f"HelpCrunch  {api_url} with {options.agents} agents, as connection helpcrunch_default\n"
            f"DAGs        {CLONE / 'dags'}\n"
            f"logs        {home}\n\n"
            "Ctrl-C stops everything.",
            flush=True,
        )
        while True:
            processes.check()
            time.sleep(1)
    finally:
        # A second Ctrl-C must not leave half of them running.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        print("\nStopping ...", flush=True)
        processes.stop()


def main() -> int:
    """Return the exit code: 1 when something did not start or ended by itself."""
    parser = argparse.ArgumentParser(
        prog="make airflow", description="The Airflow UI beside a local HelpCrunch."
    )
    parser.add_argument("--port", type=int, default=0, help="port of the UI (default: a free one)")
    parser.add_argument("--agents", type=int, default=250, help="agents of the account (default: 250)")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with throw_away_home() as home:
            serve(options, home)
    except KeyboardInterrupt:
        return 0
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
