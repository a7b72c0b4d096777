"""Installations of the wheel beside one Airflow on one Python, and what is run in them."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLONE = Path(__file__).resolve().parents[2]
UV = CLONE / ".venv/tools/bin/uv"
PACKAGE = "airflow_provider_helpcrunch"
KEY = "sandbox-key"
LINES = (
    "airflow3",
    "airflow2",
    "constraints-2.11.0",
    "constraints-3.0.6",
    "constraints-3.1.8",
    "constraints-3.2.0",
)
"""The lock and constraints files below ``requirements`` that pin an Airflow."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OPTIONAL = {"aiohttp": "sandbox", "redis": "redis", "pytest": "dev"}
"""Libraries that some of our modules import at once, and the extra that installs them."""

DAGS = """
from datetime import datetime, timezone

try:
    from airflow.sdk import DAG, Asset
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.datasets import Dataset as Asset

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

usual = {"schedule": None, "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc), "catchup": False}

with DAG("wheel_lists", **usual):
    ListAgentsOperator(task_id="agents", output_path="FOLDER/AGENTS", outlets=[Asset("x-wheel://agents")])

with DAG("wheel_reassigns", **usual):
    ReassignChatsOperator(
        task_id="hand_over", from_agents=1004, to_agents=[1002, 1003], report_path="FOLDER/report.jsonl",
        max_chats=3,
    )
"""

READING = """
from airflow_provider_helpcrunch.storage import read_records

print(len(list(read_records("FOLDER/AGENTS"))))
"""

COMMANDS = """
import sys

from airflow.__main__ import main

# One process, for each start of Airflow costs seconds.
for command in ("dags reserialize", "dags test wheel_lists", "dags test wheel_reassigns"):
    sys.argv = ["airflow", *command.split()]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""

IMPORTS = f"""
import importlib, json, pkgutil
import {PACKAGE} as package

modules = {{module.name: None for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")}}
for name in modules:
    try:
        importlib.import_module(name)
    except Exception as error:
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        if not isinstance(missing, ModuleNotFoundError):
            raise
        modules[name] = missing.name
print(json.dumps(modules))
"""


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command to its end; its whole output is the message when it fails."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def find_python(version: str) -> str | None:
    """Return an interpreter of this version, pyenv's among them, or None if this machine has none."""
    pyenv = [str(path) for path in Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin")]
    env = os.environ | {"PATH": os.pathsep.join([*pyenv, os.environ["PATH"]])}
    command = [UV, "python", "find", "--no-project", version]
    found = subprocess.run(command, env=env, capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def airflow_of(line: str) -> str:
    """Return the Airflow that a lock or constraints file pins, as ``3.3.2``."""
    pin = re.search(r"^apache-airflow==(\S+)", _lock(line).read_text(), re.MULTILINE)
    assert pin
    return pin[1]


UNSOLVABLE = "No solution found when resolving dependencies"
"""What uv says where requirements contradict each other."""


class ExcludedError(Exception):
    """The pins of an Airflow exclude what an extra needs, with our package or without it."""


def install(path: Path, line: str, interpreter: str | Path, wheel: Path, extra: str = "") -> Path:
    """
    Make an environment with Airflow and the wheel, and of the rest only what the two need; return its Python.

    :raises ExcludedError: the extra's requirements alone do not go with the pins either
    """
    run(UV, "venv", "--quiet", "--clear", "--no-project", "--python", interpreter, path)
    python = path / "bin/python"
    ours = f"airflow-provider-helpcrunch{f'[{extra}]' if extra else ''} @ {wheel.as_uri()}"
    try:
        run(*installer(python, line), ours)
    except AssertionError as error:
        # Any other failure, such as that of the package index, is one of the cell.
        if not extra or UNSOLVABLE not in str(error):
            raise
        needed = requirements_of(extra)
        try:
            run(*installer(python, line), "--dry-run", *needed)
        except AssertionError as alone:
            if UNSOLVABLE not in str(alone):
                raise
            msg = f"{', '.join(needed)} DOES NOT GO WITH THE PINS OF {line}, with our package or without it"
            raise ExcludedError(msg) from None
        raise
    return python


def requirements_of(extra: str) -> list[str]:
    """Return what an extra installs."""
    setup = configparser.ConfigParser()
    setup.read(CLONE / "setup.cfg")
    return setup["options.extras_require"][extra].split("\n")[1:]


def installer(python: Path, line: str) -> list[str | Path]:
    """Return the command that installs the Airflow of a line into an environment, and what is named after it."""
    # What an old Airflow's constraints do not pin is as old as they are.
    made = re.search(r"--exclude-newer (\S+)", _lock(line).read_text())
    return [
        *(UV, "pip", "install", "--quiet", "--python", python, "--constraint", _lock(line)),
        *(("--exclude-newer", made[1]) if made else ()),
        f"apache-airflow=={airflow_of(line)}",
    ]


def _lock(line: str) -> Path:
    return CLONE / f"requirements/{line}.txt"


def own_env(environment: Path, home: Path) -> dict[str, str]:
    """Return the variables of a process in this environment, with an Airflow home of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))}
    return own | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "300",
        # Or Python would import the package of the clone, where the tests are started, instead of the wheel's.
        "PYTHONSAFEPATH": "1",
    }


def check_imports(python: Path, env: dict[str, str], extra: str = "") -> None:
    """Import every module; one may be missing its library only if another extra installs that."""
    modules: dict[str, str | None] = json.loads(run(python, "-c", IMPORTS, env=env).splitlines()[-1])
    files = [path for path in (CLONE / PACKAGE).rglob("*.py") if path != CLONE / PACKAGE / "__init__.py"]
    assert len(modules) == len(files)
    missing = {name: library for name, library in modules.items() if library}
    assert {
        name: library for name, library in missing.items() if OPTIONAL.get(library) in (None, extra)
    } == {}


def check_dags(python: Path, env: dict[str, str], sandbox: str, agents: str = "agents.jsonl") -> None:
    """Run a DAG that lists and one that reassigns, in an Airflow whose database is there."""
    home = Path(env["AIRFLOW_HOME"])
    env = env | {
        "AIRFLOW_CONN_HELPCRUNCH_DEFAULT": json.dumps(
            {"conn_type": "helpcrunch", "host": sandbox, "password": KEY}
        )
    }
    (home / "dags").mkdir()
    (home / "dags/wheel.py").write_text(DAGS.replace("FOLDER", str(home)).replace("AGENTS", agents))
    run(python, "-c", COMMANDS, env=env)
    read = run(python, "-c", READING.replace("FOLDER", str(home)).replace("AGENTS", agents), env=env)
    assert read.splitlines()[-1] == "250"
    moved = [json.loads(line) for line in (home / "report.jsonl").read_text().splitlines()]
    assert len(moved) == 3
    for change in moved:
        assert chat_of(sandbox, change["id"])["assignee"]["id"] in {1002, 1003}


@contextlib.contextmanager
def serving(python: str | Path, folder: Path) -> Iterator[str]:
    """Serve a local HelpCrunch with the package of this Python; yields its base URL."""
    port_file = folder / "port"
    command = ["-m", f"{PACKAGE}.sandbox", "--port", "0", "--port-file", str(port_file), "--key", KEY]
    process = subprocess.Popen([python, *command], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None, "the sandbox has ended"
            assert time.monotonic() < deadline, "the sandbox does not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}/v1"
    finally:
        process.terminate()
        process.wait(60)


def chat_of(sandbox: str, chat: int) -> dict[str, Any]:
    """Read a chat from the account itself, not from what the package says about it."""
    request = urllib.request.Request(f"{sandbox}/chats/{chat}", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        found: dict[str, Any] = json.load(response)
    return found.get("data", found)
