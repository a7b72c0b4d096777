"""``ListAgentsOperator`` of this package, executed with an empty context."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import airflow_process
import meter

if TYPE_CHECKING:
    from collections.abc import Callable


EXTRAS = {
    "BENCH_REQUESTS_PER_MINUTE": "requests_per_minute",
    "BENCH_RATE_LIMIT_STORE": "rate_limit_store",
}
"""Environment variables that set an extra of the connection; all others keep their defaults."""


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import what executing the operator imports."""
    extra = {name: os.environ[variable] for variable, name in EXTRAS.items() if variable in os.environ}
    connection = {"conn_type": "helpcrunch", "host": job.url, "password": job.key, "extra": extra}
    os.environ["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = json.dumps(connection)
    import airflow_provider_helpcrunch.hooks.helpcrunch
    import airflow_provider_helpcrunch.operators.progress
    import airflow_provider_helpcrunch.storage  # noqa: F401
    from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator

    airflow_process.load()
    agents = ListAgentsOperator(task_id="agents", output_path=job.output)

    def work() -> None:
        agents.execute({})

    return work


meter.run(prepare)
