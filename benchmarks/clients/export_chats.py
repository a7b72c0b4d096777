"""``ExportChatsOperator``, whose changes are written to the output."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_process
import meter

if TYPE_CHECKING:
    from collections.abc import Callable


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import the operator; its exports are in the folder that both runs share."""
    limit = int(os.environ.get("BENCH_REQUESTS_PER_MINUTE", "6000"))
    connection = {"conn_type": "helpcrunch", "host": job.url, "password": job.key}
    os.environ["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = json.dumps(
        {**connection, "extra": {"requests_per_minute": limit, "rate_limit_store": "memory://"}}
    )
    from airflow_provider_helpcrunch.operators.exports import ExportChatsOperator
    from airflow_provider_helpcrunch.storage import read_records

    airflow_process.load()
    kept = Path(os.environ["BENCH_STATE"])
    run = f"run {len(list(kept.glob('chats/runs/*')))}"
    operator = ExportChatsOperator(
        task_id="export", base_path=str(kept / "chats"), file_format="jsonl", run_key=run
    )

    def work() -> None:
        result = operator.execute({})
        with Path(job.output).open("w") as file:
            for receipt in result["changes"]:
                file.writelines(json.dumps(change) + "\n" for change in read_records(receipt))

    return work


meter.run(prepare)
