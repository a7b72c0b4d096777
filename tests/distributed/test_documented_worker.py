"""The worker of ``docs/workers.md`` that serves one queue, started by the line that stands there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from airflow_process import add_database, settings
from code_blocks import blocks
from redis_server import free_port

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
    worker = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert worker.stdout
    try:
        said = ""
        while " ready." not in said:
            line = worker.stdout.readline()
            assert line, said
            said += line
    finally:
        worker.send_signal(signal.SIGQUIT)
        worker.communicate(timeout=60)
    assert re.findall(r"\.> +(\S+) +exchange=", said) == ["helpcrunch"], said
