"""
### All agents of a HelpCrunch account, a file for each day

`ListAgentsOperator` writes every agent into one object, `agents/date=2026-11-22/agents.jsonl` below the parameter
`base_path`, and passes on only a receipt: path, number of records, size and format. The next task reads the object
back record by record. Neither task ever holds the whole list in memory, so this suits accounts of any size.

The object appears whole or not at all: a failed run leaves an earlier object of the same day untouched, and a repeated
run replaces it.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key. If tasks run on more
than one machine, all of them must be able to reach `base_path`: use, for example, `s3://my_aws@my-bucket/helpcrunch`,
where `my_aws` is an Airflow connection.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

try:
    from airflow.sdk import Asset, Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.datasets import Dataset
    from airflow.decorators import dag, task
    from airflow.models import Param

    AGENTS = Dataset("x-helpcrunch://agents")
else:
    # Represents the agents, wherever they are. The extra of each event is the receipt of that run.
    AGENTS = Asset(name="HelpCrunch agents", uri="x-helpcrunch://agents", group="HelpCrunch")

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator

log = logging.getLogger(__name__)

# In Airflow's own folder, because agents are personal data and everybody can read /tmp.
BASE_PATH = str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "helpcrunch")


# [START howto_read_records]
@task
def count_by_role(receipt: dict[str, Any]) -> dict[str, int]:
    """Read the agents back one by one, and count them by role."""
    from airflow_provider_helpcrunch.storage import read_records

    counts = Counter(str(agent["role"]) for agent in read_records(receipt))
    roles = ", ".join(f"{number} {role}" for role, number in counts.most_common())
    log.info("%d agents (%s) in %s", counts.total(), roles, receipt["path"])
    return dict(counts)


# [END howto_read_records]


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Write all agents to a file of the day, and read it downstream",
    params={
        "base_path": Param(
            BASE_PATH,
            type="string",
            pattern="[^/]$",
            title="Base path",
            description="Folder, bucket or prefix for the files, without a slash at its end",
            examples=[BASE_PATH, "s3://my_aws@my-bucket/helpcrunch", "gs://my_gcp@my-bucket/helpcrunch"],
        ),
    },
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_agents_to_object_storage() -> None:
    # [START howto_operator_list_agents_to_object_storage]
    # In Airflow 3 a manual run may have no logical date, and so no `ds`. It has `run_after` instead.
    date = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"
    list_agents = ListAgentsOperator(
        task_id="list_agents",
        helpcrunch_conn_id="helpcrunch_default",
        output_path="{{ params.base_path }}/agents/date=" + date + "/agents.jsonl",
        outlets=[AGENTS],
    )
    count_by_role(list_agents.output)  # type: ignore[arg-type]
    # [END howto_operator_list_agents_to_object_storage]


example_helpcrunch_agents_to_object_storage()
