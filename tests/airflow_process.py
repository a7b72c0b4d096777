"""Code in a process of its own, on an Airflow that has nothing yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(code: str, home: Path, *arguments: str, timeout: float = 180, **env: str) -> str:
    """
    Run code to its end, with this folder's modules at hand, and return what it prints.

    :param code: what is run; it may be a DAG file
    :param home: an empty folder: Airflow's home, its folder of DAGs, and where the code is run
    :param arguments: the arguments of the code
    :param timeout: seconds after which it is given up
    :param env: further environment variables
    """
    file = home / "code.py"
    file.write_text(code)
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "TESTS": str(Path(__file__).parent),
    }
    done = subprocess.run(
        [sys.executable, str(file), *arguments],
        env={**os.environ, **settings, **env},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout + done.stderr
