"""
### The nightly warehouse: all chats of an account as Parquet, and a report in the log

Every night at two (UTC) each task exports one resource below `base_path`: agents, departments, chats, customers and
messages. The directory of a run has the account as it was then and what has changed since the run before. Messages are
read only of chats that moved, so the first night takes long, one request for each chat at 120 a minute, and every other
night is short. The last task, `report`, logs how fast customers got a reply, how long chats took to close, and a table
of each agent's chats.

The DAG is paused until you switch it on. It keeps no texts of chats and messages, and neither names nor addresses of
customers, because the report needs none of them; change `columns` to keep more.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key, a triggerer, because
tasks wait for HelpCrunch's rate limit without a worker slot, and on the workers
`pip install 'airflow-provider-helpcrunch[parquet,duckdb]'`. If tasks run on more than one machine, all of them must be
able to reach `base_path`: a shared disk, or a bucket such as `s3://my_aws@my-bucket/helpcrunch`. DuckDB does not know
Airflow's connections: for a bucket, give it the access in `report`.
"""

from __future__ import annotations

import logging
import math
import os
import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

try:
    from airflow.sdk import Asset, Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.datasets import Dataset
    from airflow.decorators import dag, task
    from airflow.models import Param

    def warehouse(resource: str) -> Any:
        return Dataset(f"x-helpcrunch://warehouse/{resource}")
else:

    def warehouse(resource: str) -> Any:
        uri = f"x-helpcrunch://warehouse/{resource}"
        return Asset(name=f"HelpCrunch {resource}, nightly", uri=uri, group="HelpCrunch")


from airflow_provider_helpcrunch.operators.exports import (
    ExportAgentsOperator,
    ExportChatsOperator,
    ExportCustomersOperator,
    ExportDepartmentsOperator,
    ExportMessagesOperator,
)

log = logging.getLogger(__name__)

# In Airflow's own folder, because everybody can read /tmp.
BASE_PATH = str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "helpcrunch")

# Represent the exports, wherever they are. The extra of each event is the result of that run's export.
RESOURCES = ("agents", "departments", "chats", "customers", "messages")
WAREHOUSE = {name: warehouse(name) for name in RESOURCES}


def duration(seconds: float | None) -> str:
    """Return a duration as a person reads it, such as ``4.5 min``."""
    if seconds is None:
        return "-"
    units = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next((each for each in units if seconds >= each[0]), (1, "s"))
    return f"{seconds / size:,.{1 if seconds < 10 * size else 0}f} {unit}"


def spread(seconds: list[float]) -> str:
    """Return the median of durations, and how long nine of ten of them take at most."""
    if not seconds:
        return "none yet"
    most = sorted(seconds)[math.ceil(0.9 * len(seconds)) - 1]
    return f"median {duration(statistics.median(seconds))}, nine of ten within {duration(most)}"


def table_of_agents(rows: list[dict[str, Any]]) -> str:
    """Return a table of the agents with chats or replies, the most chats first."""
    lines = ["created   open  closed  replies  response  to close  agent"]
    for row in sorted(rows, key=lambda row: (-row["created"], -row["replies"])):
        if row["created"] or row["replies"]:
            numbers = f"{row['created']:7,}{row['open_now']:7,}{row['closed']:8,}{row['replies']:9,}"
            response = duration(row["median_first_response_seconds"])
            close = duration(row["median_seconds_to_close"])
            name = "nobody" if row["agent"] is None else f"{row['agent_name']} ({row['agent']})"
            lines.append(f"{numbers}{response:>10}{close:>10}  {name}")
    return "\n".join(lines)


# [START howto_reports]
@task
def report(base_path: str) -> dict[str, int]:
    """Log how fast chats were answered and closed, and the chats of each agent."""
    # DuckDB is imported when this connects, and not when Airflow reads this file.
    from airflow_provider_helpcrunch import reports
    from airflow_provider_helpcrunch.log_tables import log_table

    connection = reports.connect()
    reports.views(connection, **{name: reports.snapshot_files(f"{base_path}/{name}") for name in WAREHOUSE})

    def durations(name: str, column: str) -> list[float]:
        return [row[column] for row in reports.report(connection, name) if row[column] is not None]

    answered = durations("first_response", "first_response_seconds")
    closed = durations("time_to_close", "seconds_to_close")
    agents = reports.report(connection, "chats_per_agent")
    chats = sum(row["created"] for row in agents)
    log.info("First response  %s; %d of %d chats", spread(answered), len(answered), chats)
    log.info("Time to close   %s; %d of %d chats", spread(closed), len(closed), chats)
    log_table(log, "Chats per agent; response and to close are medians", table_of_agents(agents))
    return {"chats": chats, "answered": len(answered), "closed": len(closed)}


# [END howto_reports]


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={
        "owner": "support-operations",
        # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "helpcrunch_conn_id": "helpcrunch_default",
        "file_format": "parquet",
        "deferrable": True,
    },
    description="Export the account every night, and report on its chats",
    doc_md=__doc__,
    params={
        "base_path": Param(
            BASE_PATH,
            type="string",
            pattern="[^/]$",
            title="Base path",
            description="Folder, bucket or prefix for the exports, without a slash at its end. The same every night, "
            "because each export builds on the one before",
            examples=[BASE_PATH, "s3://my_aws@my-bucket/helpcrunch", "gs://my_gcp@my-bucket/helpcrunch"],
        ),
    },
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_nightly_warehouse() -> None:
    # [START howto_operator_export]
    base_path = "{{ params.base_path }}/warehouse"
    agents = ExportAgentsOperator(
        task_id="agents", base_path=f"{base_path}/agents", outlets=[WAREHOUSE["agents"]]
    )
    departments = ExportDepartmentsOperator(
        task_id="departments", base_path=f"{base_path}/departments", outlets=[WAREHOUSE["departments"]]
    )
    chats = ExportChatsOperator(
        task_id="chats",
        base_path=f"{base_path}/chats",
        columns=["-lastMessageText", "-customer.name", "-customer.email", "-customer.userId"],
        outlets=[WAREHOUSE["chats"]],
    )
    customers = ExportCustomersOperator(
        task_id="customers",
        base_path=f"{base_path}/customers",
        columns=["firstSeen", "lastSeen", "company", "locale", "location.countryCode", "tags.name"],
        outlets=[WAREHOUSE["customers"]],
    )
    messages = ExportMessagesOperator(
        task_id="messages",
        chats_path=f"{base_path}/chats",
        base_path=f"{base_path}/messages",
        columns=["-text"],
        outlets=[WAREHOUSE["messages"]],
    )
    chats >> messages
    [agents, departments, customers, messages] >> report(base_path)
    # [END howto_operator_export]


example_helpcrunch_nightly_warehouse()
