"""A reader's terminal: bash in an empty home, with an Airflow of its own, and the sandbox in a second terminal."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from airflow_process import add_database, settings
from code_blocks import CLONE
from processes import free_port

SANDBOX = "python -m airflow_provider_helpcrunch.sandbox"
KEY = "sandbox-key"
REDIS_PASSWORD = "hidden-word"
NEXT = "=== next block ==="

PRELUDE = f"""
set -euo pipefail
# What CI runs itself: the target is there, and so is all that it needs.
make() {{ command make --directory={shlex.quote(str(CLONE))} --dry-run "$@"; }}
"""


def commands(text: str) -> str:
    """Return the commands of a block without ``pip install``: the tests of packaging run those lines."""
    return re.sub(r"^pip install .*\n", "", text, flags=re.MULTILINE)


def alternatives(texts: Iterable[str]) -> Iterator[str]:
    """Return the commands; those that add a connection once more delete it first, as ``docs/workers.md`` says."""
    known: set[str] = set()
    for text in texts:
        added = set(re.findall(r"airflow connections add (\w+)", text))
        yield "".join(f"airflow connections delete {name}\n" for name in sorted(added & known)) + text
        known |= added


@contextlib.contextmanager
def running(
    command: str, home: Path, env: Mapping[str, str], *, until: str, stop: signal.Signals, patience: float
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """
    Run a command that serves until it is stopped; the process, and what it has printed so far.

    :param command: what a reader types
    :param home: its current folder
    :param env: its environment
    :param until: what it prints when it is ready
    :param stop: the signal that ends it
    :param patience: seconds that its end may take
    """
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=home,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        said = ""
        while until not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process, said
    finally:
        process.send_signal(stop)
        process.communicate(timeout=patience)


class Terminal:
    """
    A terminal in which the blocks of a page are run from top to bottom.

    Commands that start a sandbox are run first, in a second terminal. A page without one is given a default sandbox.

    :param home: an empty folder: the reader's home and Airflow's, where ``dags`` is the folder of DAGs
    :param here: what stands here for texts on the pages, beside the sandbox that stands for HelpCrunch
    """

    def __init__(self, home: Path, here: Mapping[str, str]) -> None:
        self._home = home
        self.dags = home / "dags"
        self.dags.mkdir()
        self._port = free_port()
        url = f"http://127.0.0.1:{self._port}/v1"
        self._here = {
            "your-key": KEY,
            "127.0.0.1:8765": f"127.0.0.1:{self._port}",
            "--port 8765": f"--port {self._port}",
            "--conn-type helpcrunch": f"--conn-type helpcrunch --conn-host {url}",
            '"conn_type": "helpcrunch"': f'"conn_type": "helpcrunch", "host": "{url}"',
            **here,
        }
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "MAKE"))}
        # Airflow is large: compiling it again takes each command several seconds.
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        self._env = {
            **own,
            **settings(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(CLONE),
            "HELPCRUNCH_API_KEY": KEY,
            "HELPCRUNCH_API_URL": url,
            "REDIS_PASSWORD": REDIS_PASSWORD,
            # Nothing may go to the real HelpCrunch by mistake.
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }
        add_database(home)

    def run(self, blocks: Iterable[str]) -> list[str]:
        """Run blocks to the end, and return what each of them prints."""
        texts = [commands(f"{text.rstrip()}\n") for text in blocks]
        (sandbox,) = re.findall(rf"^{SANDBOX}.*$", "".join(texts), re.MULTILINE) or [SANDBOX]
        script = f"echo '{NEXT}'\n".join(alternatives(text.replace(f"{sandbox}\n", "") for text in texts))
        with self._second_terminal(sandbox):
            done = self._bash(PRELUDE + self._as_here(script))
        assert done.returncode == 0, done.stdout[-8000:]
        said = done.stdout.split(f"{NEXT}\n")
        assert len(said) == len(texts)
        return said

    def _as_here(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text

    def _bash(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self._home,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
        )

    @contextlib.contextmanager
    def _second_terminal(self, command: str) -> Iterator[None]:
        command = self._as_here(command.replace(SANDBOX, f"{SANDBOX} --port 8765"))
        with running(
            command, self._home, self._env, until="Ctrl-C stops it", stop=signal.SIGINT, patience=60
        ) as (process, _):
            yield
        assert process.returncode == 0
