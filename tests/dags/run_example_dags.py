"""Runs DAGs one after the other with ``dag.test()`` in a process of its own: ``run_example_dags.py RESULT RUN ...``.

A run is ``NAME:DAG_ID=CONF``. The result has for each name the state of the run, its tasks, and from when to when it
ran, by the clock that the sandbox's journal uses too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import airflow
from airflow.models import DagBag

# In Airflow 3 a run that a person triggers may have no logical date, so that the examples must do without one. The DAGs
# of the documentation, which show a single argument in five lines, may take it for granted.
TRIGGERED = int(airflow.__version__.split(".")[0]) >= 3 and "SCHEDULED" not in os.environ
OPTIONS = {"logical_date": None} if TRIGGERED else {}


def main(result: str, *runs: str) -> None:
    results = {}
    for given in runs:
        target, _, conf = given.partition("=")
        name, _, dag_id = target.partition(":")
        # A DAG keeps the params of a run, so that each run needs a new one.
        dag = DagBag().dags[dag_id]
        began = time.monotonic()
        run = dag.test(run_conf=json.loads(conf), **OPTIONS)
        tasks = [(ti.task_id, ti.state, ti.rendered_map_index) for ti in run.get_task_instances()]
        results[name] = {
            "state": run.state,
            "tasks": sorted(tasks, key=str),
            "from": began,
            "to": time.monotonic(),
        }
    Path(result).write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
