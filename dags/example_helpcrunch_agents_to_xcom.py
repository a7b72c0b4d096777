"""
### Agents of a HelpCrunch account, a task for each

`ListAgentsOperator` lists the agents and passes them on through XCom. The next task is mapped over the list, so each
agent has a task instance, named after them in the grid, with its own log and retries. Use this for work on individual
people: review their access, open an account elsewhere, send them a summary.

XCom and mapping are for short lists: Airflow maps at most 1,024 tasks (`[core] max_map_length`), and the operator
refuses to put more than `max_xcom_bytes` into XCom. Here `roles` keeps the list short. For all agents of an account of
any size, see `example_helpcrunch_agents_to_object_storage`.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator

log = logging.getLogger(__name__)


# [START howto_operator_list_agents_mapped_task]
@task(map_index_template="{{ task.op_kwargs['agent']['name'] }}")
def review_access(agent: dict[str, Any]) -> str:
    """Return one line about an agent's access. Your own work on one agent goes here."""
    return f"{agent['role']}: {agent['name']} <{agent['email']}>"


# [END howto_operator_list_agents_mapped_task]


@task
def report(lines: list[str]) -> int:
    """Collect the results of the mapped tasks."""
    from airflow_provider_helpcrunch.log_tables import log_table

    log_table(log, "Reviewed agents", "\n".join(sorted(lines)))
    return len(lines)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="List agents of some roles, and look at each in a task of its own",
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_agents_to_xcom() -> None:
    # [START howto_operator_list_agents]
    list_agents = ListAgentsOperator(
        task_id="list_agents",
        helpcrunch_conn_id="helpcrunch_default",
        roles=["admin", "superviser"],  # spelled as HelpCrunch spells it
    )
    lines = review_access.expand(agent=list_agents.output)
    # [END howto_operator_list_agents]
    report(lines)  # type: ignore[arg-type]


example_helpcrunch_agents_to_xcom()
