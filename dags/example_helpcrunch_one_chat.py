"""
### One chat goes to one agent, with a note

A form for a single chat: its id, which is the last part of its address in HelpCrunch, the id of the agent who gets it,
and a private note for them, which no customer sees. One request assigns the chat, and the chat that HelpCrunch sends
back must show the agent. The note is sent at most once, even if its task is retried.

For all chats of an agent there is `example_helpcrunch_agent_leaves`, and for a plan of many changes
`example_helpcrunch_own_plan`.

**Needs** the connection `helpcrunch_default`, of type *HelpCrunch*, with the account's API key.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import Param, dag
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag
    from airflow.models import Param

from airflow_provider_helpcrunch.operators.chats import UpdateChatAssigneeOperator
from airflow_provider_helpcrunch.operators.messages import SendMessageOperator


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # For a lost worker or a busy machine: requests are retried by themselves, and a wrong key fails at once.
    default_args={"owner": "support-operations", "retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    description="Give one chat to an agent, with a note",
    params={
        "chat_id": Param(
            type="integer",
            minimum=1,
            title="Chat",
            description="Id of the chat: the last part of its address in HelpCrunch",
        ),
        "assignee_id": Param(
            type="integer", minimum=1, title="Agent", description="Id of the agent who gets the chat"
        ),
        "note": Param(
            "This chat is yours now: please take it from here.",
            type="string",
            minLength=1,
            title="Note",
            description="A private note in the chat, which no customer sees",
        ),
    },
    tags=["example", "helpcrunch"],
)
def example_helpcrunch_one_chat() -> None:
    # [START howto_operator_update_chat_assignee]
    give = UpdateChatAssigneeOperator(
        task_id="give",
        chat_id="{{ params.chat_id }}",
        assignee_id="{{ params.assignee_id }}",
    )
    # [END howto_operator_update_chat_assignee]

    # [START howto_operator_send_message]
    note = SendMessageOperator(
        task_id="note",
        chat_id="{{ params.chat_id }}",
        type="private",
        text="{{ params.note }}",
    )
    # [END howto_operator_send_message]
    give >> note


example_helpcrunch_one_chat()
