"""Records as HelpCrunch sends them: the documented shapes, switchable where the documentation contradicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.customer_data import Customer
from airflow_provider_helpcrunch.sandbox.team import (
    FIRST_AGENT_ID,
    FIRST_DEPARTMENT_ID,
    agent,
    department_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.chat_data import Chat
    from airflow_provider_helpcrunch.sandbox.messages import Message
    from airflow_provider_helpcrunch.sandbox.records import Record
    from airflow_provider_helpcrunch.sandbox.settings import Settings

NEW_CUSTOMER_FIELDS = ("createdFrom", "integrationId")
NEW_CHAT_FIELDS = ("createdWith", "applicationId", "readByAgent", "readByCustomer")


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


class Shape:
    """
    Makes the records of chats, messages, customers and events.

    :param settings: the switches
    :param customer: returns a customer by id; ``None``: there is none any more
    """

    def __init__(self, settings: Settings, customer: Callable[[int], Customer | None]) -> None:
        self._seed = settings.seed
        self._canary = settings.canary
        self._customer = customer
        self._time, self._closing_time = _TIMES[settings.timestamps]
        self._on_hold = settings.on_hold
        self._old = settings.shape == "old"
        self._pairs = settings.custom_data == "array"

    def chat(self, chat: Chat) -> Record:
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
            "customer": self._contact(chat.customer),
            "assignee": None if chat.assignee is None else self._agent(chat.assignee),
            "department": None if chat.department is None else _department(chat.department),
        }
        return {name: made[name] for name in made if name not in NEW_CHAT_FIELDS} if self._old else made

    def message(self, message: Message) -> Record:
        """Return a fresh record of a message."""
        agent = None if message.agent is None else self._agent(message.agent)
        if agent and message.type == "tech":
            del agent["name"]
        elif agent and self._old:
            agent = {"id": agent["id"], "name": agent["name"]}
        return {
            "id": message.id,
            "chat": message.chat,
            "from": message.sender,
            "agent": agent,
            "type": message.type,
            "text": message.text,
            "read": message.read,
            "edited": message.edited,
            "createdAt": self._closing_time(message.created_at),
            "updatedAt": self._at(message.updated_at),
            "broadcastType": message.broadcast,
        }

    def customer(self, customer: Customer) -> Record:
        """Return a fresh record of a customer."""
        device = customer.device and customer.device._asdict()
        if device:
            device["userAgent"] = device.pop("user_agent")
        data = customer.custom_data
        made: Record = {
            "id": customer.id,
            "name": customer.name,
            "email": customer.email,
            "userId": customer.user_id,
            "company": customer.company,
            "phone": customer.phone,
            "firstSeen": self._at(customer.first_seen),
            "lastSeen": self._at(customer.last_seen),
            "location": {
                "regionCode": customer.region,
                "countryCode": customer.country,
                "city": customer.city,
            },
            "device": device,
            "unsubscribed": customer.unsubscribed,
            "blocked": customer.blocked,
            "source": customer.source,
            "referer": customer.referer,
            "lastPage": customer.last_page,
            "locale": customer.locale,
            "createdFrom": customer.created_from,
            "integrationId": customer.integration_id,
            "notes": customer.notes,
            "tags": [{"name": name, "color": color} for name, color in customer.tags],
            "customData": [{"property": name, "value": value} for name, value in data]
            if self._pairs
            else dict(data),
        }
        return {name: made[name] for name in made if name not in NEW_CUSTOMER_FIELDS} if self._old else made

    def event(self, number: int, now: int, asked: Record) -> Record:
        """Return the record of an event that was recorded now."""
        made = {"id": number, "name": asked["name"], "data": asked["data"], "createdAt": self._time(now)}
        return {**made, "customer": int(asked["customer"])} if self._old else made

    def _contact(self, customer_id: int) -> Record:
        """Return the short form of a customer that chats embed."""
        there = self._customer(customer_id) or Customer(customer_id)
        return {"id": there.id, "name": there.name, "email": there.email, "userId": there.user_id}

    def _at(self, time: int | None) -> Any:
        return None if time is None else self._time(time)

    def _agent(self, agent_id: int) -> Record:
        return agent(self._seed, agent_id - FIRST_AGENT_ID, self._canary)


def _department(department_id: int) -> Record:
    return {"id": department_id, "name": department_name(department_id - FIRST_DEPARTMENT_ID)}
