"""
### Customers wait and nobody has their chats: raise the alarm

A sensor waits until several unassigned chats have had no answer for some minutes, and then a task names them in its
log. Put your own alarm there: a message to the team, or a run of `example_helpcrunch_morning_shift`.

As written, it runs only when you trigger it, and gives up without an error after 25 minutes. To watch the office hours,
set `schedule="*/30 8-17 * * 1-5"` (in the time zone of `start_date`).

Between two looks the task holds no worker slot (`deferrable=True`), for which a triggerer must be running. Each look
reads the chats that are not closed, 100 per request; HelpCrunch allows 120 requests a minute.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task
    from airflow.models import Param

from airflow_provider_helpcrunch.sensors.chats import ChatsSensor

log = logging.getLogger(__name__)


@task
def raise_alarm(chats: list[int]) -> None:
    """Name the chats. Your own alarm goes here."""
    log.warning("%d customers wait, in chats %s", len(chats), ", ".join(map(str, chats)))


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Raise the alarm when customers wait and nobody has their chats",
    params={
        "minutes": Param(
            15,
            type="integer",
            minimum=1,
            title="Minutes without an answer",
            description="A chat counts once its customer has waited for so long",
        ),
        "at_least": Param(
            5,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Chats",
            description="The alarm is raised once so many chats wait",
        ),
    },
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_nobody_answers() -> None:
    # [START howto_sensor_chats]
    waiting = ChatsSensor(
        task_id="waiting",
        assignee="unassigned",
        waiting_for="{{ params.minutes * 60 }}",
        at_least="{{ params.at_least }}",
        deferrable=True,
        timeout=timedelta(minutes=25),
        soft_fail=True,
    )
    raise_alarm(waiting.output)  # type: ignore[arg-type]
    # [END howto_sensor_chats]


example_helpcrunch_nobody_answers()
