"""
### An agent leaves: their open chats go to others

Press *Trigger*, enter who leaves, and run it twice: first with *Dry run* on, which only shows who would get which chat;
then with *Dry run* off, which moves the chats. Both times the log of the last task, `check`, has a table of everybody's
open chats before and after, and a report lists every chat.

*Who leaves* is HelpCrunch's id of the agent, a number. If you do not know it, enter any number and leave *Dry run* on:
the log of the task `pick_targets` lists all agents with their ids. From then on the form of Airflow 3 suggests them by
name, if tasks run on the machine that reads this file: each run keeps the names in `helpcrunch/agents.txt` in Airflow's
folder.

A chat that somebody takes in the meantime is left alone. If a chat cannot be moved, all others still are, and `check`
fails and names it. Run the DAG again: it continues with what is left. Do the same if new chats have arrived for the
agent. To prevent that, first make sure in HelpCrunch that the agent is assigned no new chats.

Cost: one request for each chat, one for each agent who gets chats (with *fewest open chats*, one more for each who may
get some), and a few more. HelpCrunch allows 120 a minute.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key. If tasks run on more
than one machine, all of them must be able to reach `base_path`: use, for example, `s3://my_aws@my-bucket/helpcrunch`,
where `my_aws` is an Airflow connection.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

try:
    from airflow.sdk import Asset, Param, dag, task
except ImportError:  # Airflow 2.11
    from airflow.datasets import Dataset
    from airflow.decorators import dag, task
    from airflow.models import Param

    REASSIGNMENTS = Dataset("x-helpcrunch://reassignments")
else:
    # Represents the reports, wherever they are. The extra of each event is the receipt of that run's report.
    REASSIGNMENTS = Asset(
        name="HelpCrunch reassignments", uri="x-helpcrunch://reassignments", group="HelpCrunch"
    )
try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow before 3.2
    from airflow.exceptions import AirflowFailException

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

log = logging.getLogger(__name__)

# In Airflow's own folder, because everybody can read /tmp.
BASE_PATH = str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "helpcrunch")

AGENTS = Path(BASE_PATH, "agents.txt")


def who_may_leave() -> dict[str, Any]:
    """Return what the form asks for: an id, and once a run on this machine has seen the agents, one of them too."""
    # A DAG file must not ask HelpCrunch itself.
    try:
        agents = AGENTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {"type": "integer", "minimum": 1}
    pattern = r"^(.*\(\d+\)|[1-9]\d*)$"
    return {"type": ["string", "integer"], "minimum": 1, "pattern": pattern, "examples": agents}


def keep_for_the_form(agents: list[dict[str, Any]]) -> None:
    """Keep the agents for :func:`who_may_leave`, sorted by name."""
    names = sorted(f"{' '.join(str(agent['name']).split())} ({agent['id']})" for agent in agents)
    new = AGENTS.with_suffix(".new")
    try:
        AGENTS.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.touch(0o600)
        new.write_text("\n".join(names), encoding="utf-8")
        new.replace(AGENTS)
    except OSError as error:
        log.warning("The form of this DAG will not suggest these agents: %s", error)


@task(show_return_value_in_logs=False)
def pick_targets(agents: list[dict[str, Any]], leaver: str, named: str) -> list[int]:
    """Return the ids of the agents who get the chats: those that were named, or else all but the one who leaves."""
    from airflow_provider_helpcrunch.log_tables import log_table

    rows = [f"{agent['id']:>10}  {agent['name']} <{agent['email']}>, {agent['role']}" for agent in agents]
    keep_for_the_form(agents)
    log_table(log, "All agents with their ids", "\n".join(rows))
    if int(leaver) not in {agent["id"] for agent in agents}:
        log.warning("The account has no agent %s (any more); chats that are still theirs are moved.", leaver)
    if named.strip():
        return [int(number) for number in named.split(",")]
    return [agent["id"] for agent in agents if agent["id"] != int(leaver)]


# [START howto_client_search_chats]
def open_chats(agent: int) -> list[int]:
    """Return the ids of an agent's open chats, with one request for each 100 of them and at least one."""
    from airflow_provider_helpcrunch.client.filters import Filter
    from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

    filters = [Filter("chats.assignee", "=", agent), Filter("chats.status", "!=", "closed")]
    with HelpCrunchHook() as hook:
        found = hook.client.search_chats(filters)
    return [chat["id"] for chat in found if chat["status"] not in ("closed", "empty")]


# [END howto_client_search_chats]


def read_report(receipt: dict[str, Any]) -> tuple[Counter[int], list[str]]:
    """Return how many chats each agent got or would get, and the problems."""
    from airflow_provider_helpcrunch.storage import read_records

    gets: Counter[int] = Counter()
    problems = []
    for change in read_records(receipt):
        if change["outcome"] in ("changed", "planned"):
            gets[int(change["after"])] += 1
        else:
            problems.append(f"chat {change['id']}: {change['outcome']}, {change['error']}")
    return gets, problems


@task(show_return_value_in_logs=False)
def check(
    result: dict[str, Any], agents: list[dict[str, Any]], leaver: str, dry_run: str
) -> dict[str, dict[str, int]]:
    """Log everybody's open chats before and after; fail if a chat that should have been moved was not."""
    from airflow_provider_helpcrunch.log_tables import log_table

    gets, problems = read_report(result["report"])
    source, moved, is_planned = int(leaver), gets.total(), dry_run == "True"
    names = {agent["id"]: f"{agent['name']} ({agent['id']})" for agent in agents}
    left = open_chats(source)
    table = {}
    for agent, change in [(source, -moved), *sorted(gets.items())]:
        now = len(left) if agent == source else len(open_chats(agent))
        before = now if is_planned else now - change
        table[names.get(agent, f"agent {agent}")] = {"before": before, "after": before + change}
    rows = [f"{counts['before']:>7}  {counts['after']:>5}  {name}" for name, counts in table.items()]
    log.info(
        "%d chats %s moved; report: %s", moved, "would be" if is_planned else "were", result["report"]["path"]
    )
    if is_planned:
        log.info("That was a dry run: nothing was changed. To do it, trigger this again with Dry run off.")
    log_table(log, "Open chats before and after", "\n".join([" before  after", *rows]))

    if left and not is_planned:
        problems.append(f"Open chats of agent {source} now: {', '.join(map(str, left[:20]))}")
    if problems:
        said = "\n".join(problems[:20])
        msg = f"Not every chat of agent {source} was moved. Trigger this again for the rest.\n{said}"
        raise AirflowFailException(msg)
    return table


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Give the open chats of an agent who leaves to others, first as a dry run",
    params={
        "agent_id": Param(
            **who_may_leave(),
            title="Who leaves",
            description="HelpCrunch's id of the agent, or a name that the form suggests. If it suggests none and you "
            "do not know the id, enter any number and leave Dry run on: the log of pick_targets lists all agents with "
            "their ids",
        ),
        "to_agents": Param(
            None,
            type=["null", "string"],
            pattern=r"^\s*(\d+\s*(,\s*\d+\s*)*)?$",
            title="Who takes over",
            description="Ids of the agents who get the chats, separated by commas, such as 1002, 1003. Empty: all "
            "agents except the one who leaves",
        ),
        "strategy": Param(
            "round_robin",
            type="string",
            enum=["round_robin", "least_loaded"],
            values_display={
                "round_robin": "Each in turn",
                "least_loaded": "Always the agent with the fewest open chats",
            },
            title="Who gets which chat",
            description="Each in turn, or always the agent with the fewest open chats at that moment",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="On: nothing is changed, and the log shows what would happen. Off: the chats are moved",
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
def example_helpcrunch_agent_leaves() -> None:
    list_agents = ListAgentsOperator(task_id="list_agents", helpcrunch_conn_id="helpcrunch_default")
    # A suggestion ends with the id in parentheses.
    leaver = "{{ (params.agent_id | string).rpartition('(')[2].rstrip(')') }}"
    dry_run = "{{ params.dry_run }}"
    targets = pick_targets(list_agents.output, leaver, "{{ params.to_agents or '' }}")  # type: ignore[arg-type]

    # [START howto_operator_reassign_chats]
    # In Airflow 3 a manual run may have no logical date, and so no `ts`. It has `run_after` instead.
    moment = "{{ (dag_run.logical_date or dag_run.run_after) | ts_nodash }}"
    name = "{{ 'dry-run' if params.dry_run else 'moved' }}-{{ ti.try_number }}.csv"
    reassign = ReassignChatsOperator(
        task_id="reassign",
        helpcrunch_conn_id="helpcrunch_default",
        from_agents=leaver,
        to_agents=targets,
        # Safe in a template only because the form has two choices: any other text would name a function to call.
        strategy="{{ params.strategy }}",
        dry_run=dry_run,
        # Users who do not know the id yet enter any number and read the list of agents in the log.
        allow_unknown_agents=dry_run,
        report_path="{{ params.base_path }}/reassignments/agent=" + leaver + "/" + moment + "/" + name,
        on_error="report",
        outlets=[REASSIGNMENTS],
    )
    # [END howto_operator_reassign_chats]
    check(reassign.output, list_agents.output, leaver, dry_run)  # type: ignore[arg-type]


example_helpcrunch_agent_leaves()
