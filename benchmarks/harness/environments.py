"""Environments of the alternatives, each installed from PyPI."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from harness.paths import CLONE, WORK

if TYPE_CHECKING:
    from pathlib import Path


class Environment(NamedTuple):
    """
    Environment of a client.

    :param name: its folder below ``.tmp/bench``; empty for the interpreter that runs the benchmark
    :param packages: pinned requirements
    :param constraints: lock file, below the clone, that pins what they bring along
    """

    name: str
    packages: tuple[str, ...] = ()
    constraints: str = ""

    @property
    def python(self) -> Path | str:
        """Its interpreter."""
        return WORK / self.name / "bin" / "python" if self.name else sys.executable


OWN = Environment("")
HTTP_OPERATOR = Environment(
    "http-operator",
    ("apache-airflow==3.3.2", "apache-airflow-providers-http==6.3.0"),
    "requirements/airflow3.txt",
)
DLT = Environment("dlt", ("dlt[filesystem]==1.31.0",))
REQUESTS = Environment("requests", ("requests==2.34.2",))


def install(environment: Environment) -> None:
    """
    Make an environment; one that holds the right packages already is kept.

    :raises RuntimeError: the installer failed; its words are the message
    """
    if not environment.name:
        return
    folder = WORK / environment.name
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_text() == _content(environment):
        return
    _uv("venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(folder))
    constraints = ["--constraints", str(CLONE / environment.constraints)] if environment.constraints else []
    _uv(
        *("pip", "install", "--quiet", "--python", str(environment.python)),
        *constraints,
        *environment.packages,
    )
    stamp.write_text(_content(environment))


def _content(environment: Environment) -> str:
    return "\n".join([sys.version, *environment.packages, environment.constraints])


def _uv(*arguments: str) -> None:
    uv = CLONE / ".venv" / "tools" / "bin" / "uv"
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    result = subprocess.run([uv, *arguments], env=env, capture_output=True, text=True, check=False)
    if result.returncode:
        msg = f"uv {' '.join(arguments[:2])}: {result.stderr.strip()[-1000:]}"
        raise RuntimeError(msg)
