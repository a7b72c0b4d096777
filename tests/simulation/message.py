"""Scenario of one message that must never be sent twice, and what its chat must show afterwards."""

from __future__ import annotations

from typing import Any

from scenarios import COLLEAGUE, LEAVER, task
from world import BROKEN, READS, World, Wrong

from airflow_provider_helpcrunch.operators.messages import SendMessageOperator

TEXT = "Your parcel is on its way."
MESSAGES = "/v1/messages"


def message(world: World) -> None:
    """A message is sent while people write in its chat, requests fail and workers die; it may have been said before."""
    chance = world.chance
    account = world.open(agents=6, chats=0, message_status=chance.choice((200, 201)))
    chat = world.arrive(LEAVER)
    is_note = chance.random() < 0.5
    arguments: dict[str, Any] = {
        "chat_id": chat,
        "text": TEXT,
        "type": "private" if is_note else "message",
        "agent_id": chance.choice((None, COLLEAGUE)) if is_note else COLLEAGUE,
        "markdown_text": chance.choice((None, None, f"**{TEXT}**")),
    }

    def say(text: str) -> None:
        kind = arguments["type"]
        account._state.account.chats.say(chat, text, agent=arguments["agent_id"], type_=kind)

    said_before = chance.random() < 0.3
    if said_before:
        say(arguments["markdown_text"] or TEXT)
    world.faults((*BROKEN, "latency", "status"), most=2, refusals=(400,), path=MESSAGES)
    world.faults(READS, most=1, method="GET")
    world.people([lambda: say("Hello?")], pause=chance.choice((0.5, 3.0)), most=chance.choice((0, 5)))
    try:
        result = task(world, lambda: SendMessageOperator(task_id="message", **arguments), lives=4)
    finally:
        applied = [request for request in account.requests(MESSAGES) if request.applied]
        if len(applied) > 1:
            text = f"the message was sent {len(applied)} times"
            raise Wrong(text)
    # Without a store, an older message with the same text counts as sent.
    if not applied and not (said_before and not result["sent"]):
        text = f"the result says that the message was sent: {result}"
        raise Wrong(text)
