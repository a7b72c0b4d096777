"""
### The morning shift: chats of nobody go to those who work

Chats that came in overnight and belong to nobody are given to the agents of some roles, each to the one who has the
fewest open chats at that moment. At most *Most chats* are moved in a run; what is left is there for the next.

As it is, it runs only when you trigger it, and only shows what it would do. For every working day at seven, give it
`schedule="0 7 * * 1-5"` (of the time zone of `start_date`) and let `dry_run` be `False` by default.

HelpCrunch cannot be asked for chats of nobody, so all chats that are not closed are read, 100 a request. There is also
a request for each agent, to count what they have, and one for each chat that is moved. HelpCrunch allows 120 a minute.
While these are spent, the task gives its worker slot back (`deferrable=True`), for which a triggerer must be running.

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
    # For a lost worker or a busy machine. Requests have retries of their own, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
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
            description="So many chats are moved at most, and others stay for the next run",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="On: nothing is changed, and the log shows what would be. Off: the chats are moved",
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
        from_agents=None,  # nobody
        to_agents=on_duty.output,
        statuses=["new", "opened", "pending", "on hold"],
        strategy="least_loaded",
        max_chats="{{ params.max_chats }}",
        dry_run="{{ params.dry_run }}",
        deferrable=True,
    )
    # [END howto_operator_reassign_unassigned_chats]


example_helpcrunch_morning_shift()
