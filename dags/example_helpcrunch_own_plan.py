"""
### Your own rule: search chats, decide, change them

The pattern for any rule of your own: one task finds chats, your task decides what to change, and the last one changes
it. Your task returns a plan, a list such as `[{"id": 4410021, "assignee": 1002, "status": "pending"}]`.
`UpdateChatsOperator` checks the whole plan before it sends anything.

The rule here: in one department, the chats of customers who have waited more than some days for an answer go to the
supervisors (role `superviser`) in turn, and become *opened*. Change `decide` to make the rule yours.

As written, a run only logs its plan; switch *Dry run* off to carry it out. Each chat is read once more right before it
is changed, and left alone if its assignee or status is no longer what it was (`before`). That is one request for each
chat, and one for each change.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key. If tasks run on more
than one machine, all of them must be able to reach `base_path`: use, for example, `s3://my_aws@my-bucket/helpcrunch`,
where `my_aws` is an Airflow connection.
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
try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow before 3.2
    from airflow.exceptions import AirflowFailException

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import SearchChatsOperator, UpdateChatsOperator

log = logging.getLogger(__name__)

# In Airflow's own folder, because everybody can read /tmp.
BASE_PATH = str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "helpcrunch")


# [START howto_plan_of_your_own]
@task(show_return_value_in_logs=False)
def decide(
    chats: list[dict[str, Any]], supervisers: list[dict[str, Any]], days: str, dry_run: str
) -> list[dict[str, Any]]:
    """Return a plan: the changes to make. Your own rule goes here."""
    from airflow_provider_helpcrunch.assignment import distribute, round_robin
    from airflow_provider_helpcrunch.client.timestamps import parse_timestamp
    from airflow_provider_helpcrunch.log_tables import log_table

    if not (leads := [agent["id"] for agent in supervisers]):
        msg = "Nobody in the account is a superviser."
        raise AirflowFailException(msg)
    long_ago = datetime.now(UTC) - timedelta(days=int(days))

    def has_waited(chat: dict[str, Any]) -> bool:
        asked, last = parse_timestamp(chat["lastCustomerMessageAt"]), parse_timestamp(chat["lastMessageAt"])
        has_a_lead = chat["assignee"] is not None and chat["assignee"]["id"] in leads
        return asked is not None and asked == last and asked < long_ago and not has_a_lead

    waiting = [chat for chat in chats if has_waited(chat)]
    chosen = distribute(waiting, dict.fromkeys(leads, 0), round_robin)
    plan = [
        {
            **{"id": chat["id"], "assignee": lead, "status": "opened"},
            "before": {"assignee": chat["assignee"] and chat["assignee"]["id"], "status": chat["status"]},
        }
        for chat, lead in zip(waiting, chosen, strict=True)
    ]
    log.info("%d of %d chats have waited", len(plan), len(chats))
    log_table(log, "The plan", "\n".join(map(str, plan)))
    return [] if dry_run == "True" else plan


# [END howto_plan_of_your_own]


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Find chats, decide by a rule of your own, and change them",
    params={
        "department": Param(
            101,
            type="integer",
            minimum=1,
            title="Department",
            description="HelpCrunch's id of the department; ListDepartmentsOperator lists all of them",
        ),
        "days": Param(
            3,
            type="integer",
            minimum=0,
            title="Days",
            description="A customer has waited too long if their last message is unanswered and older than this",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="On: nothing is changed, and the log of the task decide has the plan. Off: it is carried out",
        ),
        "base_path": Param(
            BASE_PATH,
            type="string",
            pattern="[^/]$",
            title="Base path",
            description="Folder, bucket or prefix for the reports, without a slash at its end",
            examples=[BASE_PATH, "s3://my_aws@my-bucket/helpcrunch", "gs://my_gcp@my-bucket/helpcrunch"],
        ),
    },
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_own_plan() -> None:
    # [START howto_operator_search_chats]
    search = SearchChatsOperator(
        task_id="search",
        helpcrunch_conn_id="helpcrunch_default",
        department="{{ params.department }}",
        filters=[{"field": "chats.status", "operator": "!=", "value": "closed"}],
        statuses=["new", "opened", "pending", "on hold"],
    )
    # [END howto_operator_search_chats]
    supervisers = ListAgentsOperator(task_id="supervisers", roles="superviser")
    plan = decide(search.output, supervisers.output, "{{ params.days }}", "{{ params.dry_run }}")  # type: ignore[arg-type]

    # [START howto_operator_update_chats]
    # In Airflow 3 a manual run may have no logical date, and so no `ts`. It has `run_after` instead.
    moment = "{{ (dag_run.logical_date or dag_run.run_after) | ts_nodash }}"
    UpdateChatsOperator(
        task_id="update",
        helpcrunch_conn_id="helpcrunch_default",
        plan=plan,
        report_path="{{ params.base_path }}/own-plan/" + moment + "-{{ ti.try_number }}.csv",
    )
    # [END howto_operator_update_chats]


example_helpcrunch_own_plan()
