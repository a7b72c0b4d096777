"""
### What a HelpCrunch account holds, in files of today

Departments, applications, all customers, the customers with a tag, the chats that were active since yesterday, and the
messages of these chats: a file each, below `date=2026-11-22` under the parameter `base_path`. `messages` waits for
`chats`, because HelpCrunch lists messages by chat.

Each file is complete, or not there at all. For copies that grow from night to night, and for what changed, see
`example_helpcrunch_nightly_warehouse`.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key. The files hold personal
data: put them where only those can read who may.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from airflow.sdk import Param, dag
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag
    from airflow.models import Param

from airflow_provider_helpcrunch.operators.applications import ListApplicationsOperator
from airflow_provider_helpcrunch.operators.chats import ListChatsOperator
from airflow_provider_helpcrunch.operators.customers import ListCustomersOperator, SearchCustomersOperator
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator

# In Airflow's own folder, because customers are personal data and everybody can read /tmp.
BASE_PATH = str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "helpcrunch")


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Write what the account holds to files of today",
    params={
        "base_path": Param(
            BASE_PATH,
            type="string",
            pattern="[^/]$",
            title="Base path",
            description="Folder, bucket or prefix for the files, without a slash at its end",
            examples=[BASE_PATH, "s3://my_aws@my-bucket/helpcrunch", "gs://my_gcp@my-bucket/helpcrunch"],
        ),
        "tag": Param(
            "vip",
            type="string",
            minLength=1,
            title="Tag",
            description="Customers with this tag go to a file of their own",
        ),
    },
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_lists() -> None:
    # In Airflow 3 a manual run may have no logical date, and so no `ds`. It has `run_after` instead.
    folder = "{{ params.base_path }}/date={{ (dag_run.logical_date or dag_run.run_after) | ds }}"
    yesterday = "{{ macros.ds_add((dag_run.logical_date or dag_run.run_after) | ds, -1) }}"

    # [START howto_operator_list_departments]
    ListDepartmentsOperator(task_id="departments", output_path=f"{folder}/departments.jsonl")
    # [END howto_operator_list_departments]

    # [START howto_operator_list_applications]
    ListApplicationsOperator(task_id="applications", output_path=f"{folder}/applications.jsonl")
    # [END howto_operator_list_applications]

    # [START howto_operator_list_customers]
    ListCustomersOperator(
        task_id="customers",
        # A list of columns to keep lets nothing through that HelpCrunch may add one day.
        columns=["id", "userId", "name", "company", "firstSeen", "lastSeen", "customData"],
        output_path=f"{folder}/customers.csv.gz",
    )
    # [END howto_operator_list_customers]

    # [START howto_operator_search_customers]
    SearchCustomersOperator(
        task_id="tagged", tags=["{{ params.tag }}"], output_path=f"{folder}/customers-tagged.jsonl"
    )
    # [END howto_operator_search_customers]

    # [START howto_operator_list_chats]
    chats = ListChatsOperator(task_id="chats", active_since=yesterday, output_path=f"{folder}/chats.jsonl.gz")
    # [END howto_operator_list_chats]

    # [START howto_operator_list_messages]
    ListMessagesOperator(
        task_id="messages",
        chats=chats.output,  # type: ignore[arg-type]
        oldest_first=True,
        output_path=f"{folder}/messages.jsonl.gz",
    )
    # [END howto_operator_list_messages]


example_helpcrunch_lists()
