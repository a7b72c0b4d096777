"""
### Approve first: chats are reassigned only after somebody has said yes

Press *Trigger* and enter whose chats are to be given to whom. The task `plan` works out what would be done and changes
nothing. The task `approve` then waits for a person: open *Required Actions*, read the table, and approve or reject.
After a yes, `apply` gives each chat to the agent in the table, if its assignee, status and department are still what
the table says. A chat that somebody has taken, closed or moved in the meantime is left alone, and so is one whose new
agent has so many other chats by then that it would be one too many. The log of `summary` lists them with the reason.
Each chat that is given away gets a private note. After a no, or without an answer in time, nothing is changed.

**Who may answer**: everybody who may edit task instances in Airflow; or only the users in the environment variable
`HELPCRUNCH_APPROVERS`, ids separated by commas, if the scheduler and the DAG processor have it.

Cost: three requests for each chat that is reassigned, the note included. HelpCrunch allows 120 a minute.

**Needs** Airflow 3.1 or newer (older versions show no such DAG), and the connection `helpcrunch_default`, of type
*HelpCrunch*, with the account's API key. If tasks run on more than one machine, all of them must be able to reach
`base_path`: use, for example, `s3://my_aws@my-bucket/helpcrunch`, where `my_aws` is an Airflow connection.
"""

from __future__ import annotations

import inspect
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
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowOptionalProviderFeatureException,
        AirflowSkipException,
    )
except ImportError:  # Airflow before 3.2
    from airflow.exceptions import (
        AirflowFailException,
        AirflowOptionalProviderFeatureException,
        AirflowSkipException,
    )

from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator

    CAN_ASK = True
    # Older releases of the standard provider take the time limit for an answer from the task's own.
    HAS_RESPONSE_TIMEOUT = "response_timeout" in inspect.signature(HITLOperator.__init__).parameters
except (ImportError, AirflowOptionalProviderFeatureException):
    CAN_ASK = False  # Airflow before 3.1

log = logging.getLogger(__name__)

ANSWER_WITHIN = timedelta(hours=4)

# In Airflow's own folder, because everybody can read /tmp.
BASE_PATH = str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "helpcrunch")

# Empty: everybody who may edit task instances.
APPROVERS = [
    {"id": user.strip(), "name": user.strip()}
    for user in os.environ.get("HELPCRUNCH_APPROVERS", "").split(",")
    if user.strip()
]


@task
def describe(planned: dict[str, Any]) -> str:
    """Return the text for the person who is asked."""
    from airflow_provider_helpcrunch.approvals import approval_text

    if not planned["planned"]:
        msg = "No chat is to be reassigned, so nobody is asked."
        raise AirflowSkipException(msg)
    return approval_text(planned)


@task
def summary(applied: dict[str, Any]) -> dict[str, int]:
    """Log what became of the plan; fail if HelpCrunch did not carry out all that it should have."""
    from airflow_provider_helpcrunch.log_tables import log_table
    from airflow_provider_helpcrunch.storage import read_records

    rows = list(read_records(applied["report"]))
    left_alone = [f"chat {row['id']}: {row['error']}" for row in rows if row["outcome"] == "skipped"]
    failed = [row for row in rows if row["outcome"] in ("refused", "failed")]
    moved = applied["changed"] + applied["unchanged"]
    log.info("%d chats have another agent now, %d of them with a note", moved, applied["notes"])
    log.info("%d were left alone, because they or their new agent are no longer as planned", len(left_alone))
    if left_alone:
        log_table(log, "Chats left alone", "\n".join(left_alone))
    if failed:
        without_note = sum(row["field"] == "note" for row in failed)
        said = "\n".join(f"chat {row['id']}: {row['error']}" for row in failed[:20])
        msg = (
            f"{len(failed) - without_note} chats could not be reassigned, and {without_note} have no note. Trigger "
            f"this again for the former, and write the notes by hand.\n{said}"
        )
        raise AirflowFailException(msg)
    return {name: applied[name] for name in ("changed", "unchanged", "skipped", "notes")}


def example_helpcrunch_approval() -> None:
    time_limit: dict[str, Any] = {
        "response_timeout" if HAS_RESPONSE_TIMEOUT else "execution_timeout": ANSWER_WITHIN
    }
    moment = "{{ (dag_run.logical_date or dag_run.run_after) | ts_nodash }}"
    folder = "{{ params.base_path }}/approvals/" + moment
    # [START howto_operator_plan_and_approve]
    plan = ReassignChatsOperator(
        task_id="plan",
        helpcrunch_conn_id="helpcrunch_default",
        from_agents="{{ params.from_agents }}",
        to_agents="{{ params.to_agents }}",
        max_per_agent="{{ params.max_per_agent }}",
        dry_run=True,
        report_path=folder + "/plan.csv",
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Reassign HelpCrunch chats: {{ ti.xcom_pull('plan')['planned'] }}?",
        body=describe(plan.output),  # type: ignore[arg-type]
        # Without an answer in time the default is taken.
        defaults="Reject",
        **time_limit,
        assigned_users=APPROVERS or None,
    )
    apply = UpdateChatsOperator(
        task_id="apply",
        helpcrunch_conn_id="helpcrunch_default",
        plan=plan.output,
        # The dry run kept the cap; here it is kept again, with the chats that they have by now.
        max_per_agent="{{ params.max_per_agent }}",
        note="{{ params.note }}",
        report_path=folder + "/applied-{{ ti.try_number }}.csv",
        on_error="report",
    )
    # [END howto_operator_plan_and_approve]
    approve >> apply
    summary(apply.output)  # type: ignore[arg-type]


if CAN_ASK:
    dag(
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
        default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
        doc_md=__doc__,
        description="Show who would get which chat, wait for a yes, then do exactly that",
        params={
            # Without a default, an approval of Airflow 3.1 cannot be parsed. The task refuses what is not given.
            "from_agents": Param(
                None,
                type=["null", "string"],
                pattern=r"^\s*(\d+|unassigned)\s*(,\s*\d+\s*)*$",
                title="Whose chats",
                description="Ids of the agents whose open chats go to others, separated by commas; or: unassigned",
            ),
            "to_agents": Param(
                None,
                type=["null", "string"],
                pattern=r"^\s*\d+\s*(,\s*\d+\s*)*$",
                title="Who takes over",
                description="Ids of the agents who get the chats, separated by commas, such as 1002, 1003",
            ),
            "max_per_agent": Param(
                20,
                type="integer",
                minimum=1,
                title="Most chats for each",
                description="The most open chats that an agent may have, counting those they have already",
            ),
            "note": Param(
                "Reassigned after an approval.",
                type="string",
                pattern=r"\S",
                title="Note",
                description="A private note to each reassigned chat, which no customer sees",
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
    )(example_helpcrunch_approval)()
