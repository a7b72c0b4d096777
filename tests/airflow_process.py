"""Processes with an Airflow of their own: an empty home, and a metadata database that is migrated once a machine."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TEMPLATES = Path(__file__).parents[1] / ".tmp" / "airflow-databases"
"""Migrated databases, one for each set of installed packages: a migration takes longer than most tests."""


def settings(home: Path) -> dict[str, str]:
    """Return the environment variables of an Airflow that knows nothing outside of its home."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "TESTS": str(Path(__file__).parent),
    }


def add_database(home: Path) -> None:
    """Put a migrated metadata database without any content into a home, as ``airflow.db``."""
    installed = sorted(f"{package.name}=={package.version}" for package in importlib.metadata.distributions())
    template = TEMPLATES / f"{hashlib.sha256(repr(installed).encode()).hexdigest()[:16]}.db"
    TEMPLATES.mkdir(parents=True, exist_ok=True)
    # Of several test processes that start together one migrates, and the others wait for it.
    with (TEMPLATES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            _migrate(template)
    shutil.copyfile(template, home / "airflow.db")


def run(code: str, home: Path, *arguments: str, timeout: float = 900, **env: str) -> str:
    """
    Run code to its end, with this folder's modules at hand and an empty, migrated database; return what it prints.

    What it prints to its standard error comes first.

    :param code: what is run; it may be a DAG file
    :param home: an empty folder: Airflow's home, its folder of DAGs, and where the code is run
    :param arguments: the arguments of the code
    :param timeout: seconds after which it is given up
    :param env: further environment variables
    """
    file = home / "code.py"
    file.write_text(code)
    add_database(home)
    done = subprocess.run(
        [sys.executable, str(file), *arguments],
        env={**os.environ, **settings(home), **env},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stderr + done.stdout


def _migrate(template: Path) -> None:
    with tempfile.TemporaryDirectory(dir=TEMPLATES) as folder:
        home = Path(folder)
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={**os.environ, **settings(home)},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        (home / "airflow.db").rename(template)
