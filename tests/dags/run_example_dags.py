"""Runs DAGs with ``dag.test()`` in a process of its own: ``run_example_dags.py RESULT DAG_ID=CONF ...``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import airflow
from airflow.models import DagBag

# In Airflow 3 a run that a person triggers may have no logical date, so that the examples must do without one.
OPTIONS = {"logical_date": None} if int(airflow.__version__.split(".")[0]) >= 3 else {}


def main(result: str, *runs: str) -> None:
    dags = DagBag().dags
    results = {}
    for dag_id, _, conf in (run.partition("=") for run in runs):
        run = dags[dag_id].test(run_conf=json.loads(conf), **OPTIONS)
        tasks = [(ti.task_id, ti.state, ti.rendered_map_index) for ti in run.get_task_instances()]
        results[dag_id] = {"state": run.state, "tasks": sorted(tasks, key=str)}
    Path(result).write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
