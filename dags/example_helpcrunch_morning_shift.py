"""
### The morning shift: unassigned chats go to the agents on duty

Unassigned chats that came in overnight are given to the agents with certain roles, each chat to the agent with the
fewest open chats at that moment, and a chat of a department only to its members. Nobody gets more than *Most open chats
per agent*. What nobody may get stays unassigned; the log of *spread* says how many chats these are, and why. One run
moves no more than *Most chats*; the rest is left for the next run.

As written, it runs only when you trigger it, and only shows what it would do. To run it every working day at seven, set
`schedule="0 7 * * 1-5"` (in the time zone of `start_date`) and make `False` the default of `dry_run`.

HelpCrunch cannot search for unassigned chats, so all chats that are not closed are read, 100 per request. One more
request for each agent counts their open chats, one lists the departments, and one for each chat moves it. HelpCrunch
allows 120 a minute. While none is left, the task gives its worker slot back (`deferrable=True`), for which a triggerer
must be running.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import Param, dag
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag
    from airflow.models import Param

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

ROLES = ["agent", "agentChatOnly", "superviser", "admin"]  # spelled as HelpCrunch spells them


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Give unassigned chats to the agents on duty",
    params={
        "roles": Param(
            ["agent", "agentChatOnly"],
            type="array",
            minItems=1,
            examples=ROLES,
            title="Roles",
            description="Agents with one of these roles get chats",
        ),
        "max_chats": Param(
            200,
            type="integer",
            minimum=1,
            title="Most chats",
            description="No more chats than this are moved in one run; the rest is left for the next",
        ),
        "max_per_agent": Param(
            20,
            type="integer",
            minimum=1,
            title="Most open chats per agent",
            description="Nobody gets a chat who has so many, counting those they have already",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="On: nothing is changed, and the log shows what would happen. Off: the chats are moved",
        ),
    },
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_morning_shift() -> None:
    # [START howto_operator_reassign_unassigned_chats]
    on_duty = ListAgentsOperator(
        task_id="on_duty",
        helpcrunch_conn_id="helpcrunch_default",
        roles="{{ params.roles | tojson }}",
    )
    ReassignChatsOperator(
        task_id="spread",
        helpcrunch_conn_id="helpcrunch_default",
        from_agents=None,  # unassigned chats
        to_agents=on_duty.output,
        statuses=["new", "opened", "pending", "on hold"],
        strategy="least_loaded",
        max_per_agent="{{ params.max_per_agent }}",
        within_department=True,
        max_chats="{{ params.max_chats }}",
        dry_run="{{ params.dry_run }}",
        deferrable=True,
    )
    # [END howto_operator_reassign_unassigned_chats]


example_helpcrunch_morning_shift()
