from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_process import add_database

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dags_folder():
    return ROOT / "dags"


@pytest.fixture(scope="module")
def run_python(dags_folder, tmp_path_factory):
    """Run ``python`` in a new process, on an Airflow of its own without any connection; return what it prints."""
    home = tmp_path_factory.mktemp("airflow")
    add_database(home)
    own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    # Airflow is large: compiling it again takes each process several seconds.
    own.pop("PYTHONDONTWRITEBYTECODE", None)
    own |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
    }

    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=own | environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
