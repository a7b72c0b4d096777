"""How HelpCrunch shows a chat: its documented shapes, switchable where the documentation contradicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.team import (
    FIRST_AGENT_ID,
    FIRST_DEPARTMENT_ID,
    agent,
    department_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.chat_data import Chat
    from airflow_provider_helpcrunch.sandbox.records import Record
    from airflow_provider_helpcrunch.sandbox.settings import ChatFields, OnHold, Timestamps

NEW_FIELDS = ("createdWith", "applicationId", "readByAgent", "readByCustomer")


def _digits(time: int) -> str:
    return str(time // 1000)


def _seconds(time: int) -> int:
    return time // 1000


def _fraction(time: int) -> str:
    return f"{time // 1000}.{time % 1000:03d}"


_TIMES: dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
    "string": (_digits, _fraction),
    "integer": (_seconds, _seconds),
    "fractional": (_fraction, _fraction),
}


class ChatShape:
    """
    Makes the records of chats.

    :param seed: the seed of the account, which names its agents
    :param timestamps: ``string`` (digits, ``closedAt`` with a fraction), ``integer`` or ``fractional``
    :param on_hold: the spelling of that status
    :param fields: ``new``, or ``old`` without what newer pages added
    """

    def __init__(self, seed: int, timestamps: Timestamps, on_hold: OnHold, fields: ChatFields) -> None:
        self._seed = seed
        self._time, self._closing_time = _TIMES[timestamps]
        self._on_hold = on_hold
        self._old = fields == "old"

    def record(self, chat: Chat) -> Record:
        """Return a fresh record of a chat."""
        made = {
            "id": chat.id,
            "status": self._on_hold if chat.status == "onhold" else chat.status,
            "closedBy": chat.closed_by,
            "closedAt": None if chat.closed_at is None else self._closing_time(chat.closed_at),
            "createdAt": self._time(chat.created_at),
            "lastMessageAt": self._at(chat.last_message_at),
            "lastCustomerMessageAt": self._at(chat.last_customer_message_at),
            "lastMessageText": chat.last_message_text,
            "lastMessageId": chat.last_message_id,
            "lastCommunicatedAgentId": chat.last_agent,
            "rating": chat.rating,
            "readByAgent": chat.read_by_agent,
            "readByCustomer": chat.read_by_customer,
            "createdWith": chat.created_with,
            "snoozedUntil": self._at(chat.snoozed_until),
            "applicationId": chat.application,
            "agents": [self._agent(each) for each in chat.agents],
            "customer": chat.customer.short(),
            "assignee": None if chat.assignee is None else self._agent(chat.assignee),
            "department": None if chat.department is None else _department(chat.department),
        }
        return {name: made[name] for name in made if name not in NEW_FIELDS} if self._old else made

    def _at(self, time: int | None) -> Any:
        return None if time is None else self._time(time)

    def _agent(self, agent_id: int) -> Record:
        return agent(self._seed, agent_id - FIRST_AGENT_ID)


def _department(department_id: int) -> Record:
    return {"id": department_id, "name": department_name(department_id - FIRST_DEPARTMENT_ID)}
