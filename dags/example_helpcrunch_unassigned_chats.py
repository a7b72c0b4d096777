"""
### Unassigned chats find an agent as they come

As soon as chats have no agent (new ones, or those of an agent who gave them back), a run of this DAG gives every
unassigned chat to the agent on duty with the fewest open chats. An `AssetWatcher` starts it: the triggerer looks for
such chats once a minute, without a worker slot, and one run follows, however many there are.

As written, it only shows what it would do. To let it assign chats, make `False` the default of `dry_run`, and switch it
on.

HelpCrunch cannot search for unassigned chats, so each look reads all chats that are not closed, 100 per request, out of
the account's 120 requests a minute. On Airflow 3.3 the triggerer keeps what it has seen, so that a restart misses no
chat. Airflow 2.11 has no watchers: there the DAG runs only when you trigger it.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key, and a triggerer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import Asset, AssetWatcher, Param, dag
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag
    from airflow.models import Param

    HAS_WATCHERS = False
else:
    HAS_WATCHERS = True

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator
from airflow_provider_helpcrunch.triggers.events import ChatsEventTrigger

schedule = None
if HAS_WATCHERS:
    # [START howto_trigger_unassigned_chats]
    trigger = ChatsEventTrigger(
        "unassigned", helpcrunch_conn_id="helpcrunch_default", poll_interval=timedelta(minutes=1)
    )
    unassigned = Asset(
        name="HelpCrunch chats without an agent",
        group="HelpCrunch",
        watchers=[AssetWatcher(name="unassigned_chats", trigger=trigger)],
    )
    schedule = [unassigned]
    # [END howto_trigger_unassigned_chats]


@dag(
    schedule=schedule,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Assign chats as they come, started by a watcher",
    params={
        "roles": Param(
            ["agent", "agentChatOnly"],
            type="array",
            minItems=1,
            examples=["agent", "agentChatOnly", "superviser", "admin"],  # spelled as HelpCrunch spells them
            title="Roles",
            description="Agents with one of these roles get chats",
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
def example_helpcrunch_unassigned_chats() -> None:
    # [START howto_operator_assign_as_they_come]
    on_duty = ListAgentsOperator(
        task_id="on_duty",
        helpcrunch_conn_id="helpcrunch_default",
        roles="{{ params.roles | tojson }}",
    )
    ReassignChatsOperator(
        task_id="assign",
        helpcrunch_conn_id="helpcrunch_default",
        from_agents=None,  # unassigned chats
        to_agents=on_duty.output,
        strategy="least_loaded",
        dry_run="{{ params.dry_run }}",
        deferrable=True,
    )
    # [END howto_operator_assign_as_they_come]


example_helpcrunch_unassigned_chats()
