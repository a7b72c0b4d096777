"""One HelpCrunch account: its agents, departments, customers, chats and all else that requests read and change."""

from __future__ import annotations

import random
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_helpcrunch.sandbox.chat_data import Cast
from airflow_provider_helpcrunch.sandbox.chats import Chats
from airflow_provider_helpcrunch.sandbox.customers import Customers
from airflow_provider_helpcrunch.sandbox.records import Record, Records, digest
from airflow_provider_helpcrunch.sandbox.shape import Shape
from airflow_provider_helpcrunch.sandbox.team import (
    FIRST_AGENT_ID,
    FIRST_DEPARTMENT_ID,
    Departments,
    agent,
    applications,
)

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.clock import Clock
    from airflow_provider_helpcrunch.sandbox.happenings import Happening
    from airflow_provider_helpcrunch.sandbox.settings import Settings

Row = TypeVar("Row")


class Account:
    """
    One HelpCrunch account.

    :param settings: how many of each it has at the start, and how they are sent
    :param clock: its clock
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        seed = settings.seed
        # Two customers for three chats: some come again. A few without a chat can be given one.
        customers = 10 + settings.chats * 2 // 3
        cast = Cast(
            seed,
            settings.agents,
            settings.departments,
            customers,
            settings.chats,
            clock.start,
            settings.messages,
            settings.canary,
        )
        self.settings = settings
        self.cast = cast
        self.clock = clock
        self.lock = threading.RLock()
        self.chance = random.Random(seed)
        self.agents = Records(
            settings.agents, partial(agent, seed, canary=settings.canary), random.Random(seed)
        )
        self.departments = Departments(settings.departments, self.agents, seed)
        self.shape = Shape(settings, lambda number: self.customers.get(number))
        self.customers = Customers(cast, clock, self.shape, self.lock)
        self.chats = Chats(cast, clock, self.shape, self.lock)
        self.applications = applications()
        self.unsubscribed: set[int] = set()
        self.events: list[Record] = []
        self.nights = 0
        self.happenings: list[Happening] = []
        self.organization: Record = {
            "id": 1 + digest(seed, "organization", 0) % 100_000,
            "domain": settings.domain,
            "teamOnline": True,
            "chatEnabled": True,
        }

    def change_customer(self, customer_id: int, **values: Any) -> None:
        """
        Change fields of a customer, which the chats of the customer show at once.

        :raises KeyError: there is none
        """
        with self.lock:
            self.customers.change(customer_id, **values)
            self.chats.forget_json()

    def delete_customer(self, customer_id: int) -> list[int]:
        """
        Remove a customer with their chats, unless the account keeps these, and return the ids of the chats.

        :raises KeyError: there is none
        """
        with self.lock:
            self.customers.delete(customer_id)
            gone = [] if self.settings.keep_chats else self.chats.of_customer(customer_id)
            for chat in gone:
                self.chats.remove(chat)
            self.chats.forget_json()
            return gone

    def open_chat(self, customer: int | None = None, **values: Any) -> int:
        """Add a chat of a customer, by default of any, and return its id."""
        with self.lock:
            if customer is None:
                ids = self.customers.ids()
                customer = ids[(len(self.chats.ids()) * 7) % len(ids)]
            return self.chats.create(customer, **values)

    def record_event(self, asked: Record) -> Record:
        """Record what a customer did, and return the event."""
        with self.lock:
            made = self.shape.event(1 + len(self.events), self.clock.tick(), asked)
            self.events.append({**made, "customer": int(asked["customer"])})
            return made

    def shuffled(self, rows: list[Row]) -> list[Row]:
        """Return rows in an order that is drawn for this call."""
        return self.chance.sample(rows, len(rows))

    def has_agent(self, agent_id: int) -> bool:
        """Say whether an agent is in the account now."""
        return agent_id - FIRST_AGENT_ID in self.agents.serials()

    def has_department(self, department_id: int) -> bool:
        """Say whether there is such a department."""
        return 0 <= department_id - FIRST_DEPARTMENT_ID < self.departments.count

    def knew_agent(self, agent_id: int) -> bool:
        """Say whether an agent is in the account, or ever was."""
        return 0 <= agent_id - FIRST_AGENT_ID < self.agents.created

    def remove_agent(self, agent_id: int) -> bool:
        """Let an agent leave and say whether there was one; chats stay assigned to those who left."""
        return self.agents.remove(agent_id - FIRST_AGENT_ID)

    def last_agent(self) -> int | None:
        """Return the id of the last agent in the server's order, if there is any."""
        serials = self.agents.serials()
        return FIRST_AGENT_ID + serials[-1] if serials else None
