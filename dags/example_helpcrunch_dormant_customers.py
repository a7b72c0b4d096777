"""
### Dormant customers: write a segment back as a tag

The pattern for any segment of your own: one task lists customers, your task decides who belongs to the segment, and the
last two write that back as a tag, so that agents see it and messages can be sent by it.

The segment here: customers who have not been seen for some days get the tag, and those who are back lose it. Change
`segment` to make the rule yours; it may as well read a table of your warehouse.

As written, a run writes nothing, and the logs of the last two tasks say what it would write; switch *Dry run* off to
write it. Each customer is compared first, so only tags that are missing, or are there wrongly, take a request. Fifty
customers are looked up with each request.

Only ids go from task to task. A customer whom HelpCrunch refuses is in the file of the task's `rejects_path`, and does
not stop the others.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key, and a triggerer,
because tasks wait for HelpCrunch's rate limit without a worker slot. If tasks run on more than one machine, all of them
must be able to reach `base_path`: use, for example, `s3://my_aws@my-bucket/helpcrunch`, where `my_aws` is an Airflow
connection.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task
    from airflow.models import Param

from airflow_provider_helpcrunch.operators.customers import ListCustomersOperator
from airflow_provider_helpcrunch.operators.upsert import UpsertCustomersOperator

log = logging.getLogger(__name__)

# In Airflow's own folder, because everybody can read /tmp.
BASE_PATH = str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "helpcrunch")


# [START howto_segment_of_your_own]
@task(multiple_outputs=True, show_return_value_in_logs=False)
def segment(customers: dict[str, Any], days: str) -> dict[str, list[dict[str, int]]]:
    """Return the ids of customers in the segment, and of those outside. Your own rule goes here."""
    from airflow_provider_helpcrunch.client import parse_timestamp
    from airflow_provider_helpcrunch.storage import read_records

    long_ago = datetime.now(UTC) - timedelta(days=int(days))
    dormant: list[dict[str, int]] = []
    awake: list[dict[str, int]] = []
    for customer in read_records(customers):
        seen = parse_timestamp(customer["lastSeen"])
        if seen is not None:
            (dormant if seen < long_ago else awake).append({"id": customer["id"]})
    log.info("%d customers are dormant, and %d are not", len(dormant), len(awake))
    return {"dormant": dormant, "awake": awake}


# [END howto_segment_of_your_own]


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Tag customers who have not been seen for a while",
    params={
        "days": Param(
            90,
            type="integer",
            minimum=1,
            title="Days",
            description="A customer is dormant if HelpCrunch has not seen them for this long",
        ),
        "tag": Param(
            "dormant",
            type="string",
            pattern="^[^,]+$",
            title="Tag",
            description="The tag that dormant customers get, and all others lose",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="On: nothing is written, and the logs say what would be. Off: the tags are written",
        ),
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
def example_helpcrunch_dormant_customers() -> None:
    folder = "{{ params.base_path }}/dormant-customers"
    customers = ListCustomersOperator(
        task_id="customers",
        helpcrunch_conn_id="helpcrunch_default",
        columns=["lastSeen"],
        output_path=f"{folder}/customers.jsonl.gz",
    )
    found = segment(customers.output, "{{ params.days }}")  # type: ignore[arg-type]

    # [START howto_operator_upsert_customers]
    UpsertCustomersOperator(
        task_id="tag",
        helpcrunch_conn_id="helpcrunch_default",
        customers=found["dormant"],  # type: ignore[index]
        key="id",
        add_tags="{{ params.tag }}",
        rejects_path=f"{folder}/not-tagged.csv",
        dry_run="{{ params.dry_run }}",
        deferrable=True,
    )
    UpsertCustomersOperator(
        task_id="untag",
        helpcrunch_conn_id="helpcrunch_default",
        customers=found["awake"],  # type: ignore[index]
        key="id",
        remove_tags="{{ params.tag }}",
        rejects_path=f"{folder}/not-untagged.csv",
        dry_run="{{ params.dry_run }}",
        deferrable=True,
    )
    # [END howto_operator_upsert_customers]


example_helpcrunch_dormant_customers()
