"""The worker of ``docs/workers.md`` that serves one queue, started by the line that stands there."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest
from airflow_process import add_database, settings
from code_blocks import blocks
from processes import free_port
from terminal import running

pytestmark = pytest.mark.distributed


def test_it_serves_the_queue_alone(tmp_path: Path) -> None:
    (command,) = (block.text for block in blocks("bash") if "airflow celery worker" in block.text)
    add_database(tmp_path)
    env = {
        **os.environ,
        **settings(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": "memory://",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
    }
    with running(command, tmp_path, env, until=" ready.", stop=signal.SIGQUIT, patience=300) as (_, said):
        pass
    assert re.findall(r"\.> +(\S+) +exchange=", said) == ["helpcrunch"], said
