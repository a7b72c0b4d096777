"""One HelpCrunch account: its agents, departments, chats and organization."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox.records import Record, Records, digest
from airflow_provider_helpcrunch.sandbox.team import (
    FIRST_AGENT_ID,
    FIRST_DEPARTMENT_ID,
    Departments,
    agent,
)

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.chats import Chats


class Account:
    """
    One HelpCrunch account.

    :param agents: how many agents it starts with
    :param departments: how many departments it has
    :param seed: the same seed gives the same account
    :param chats: its chats
    """

    def __init__(self, *, agents: int, departments: int, seed: int, chats: Chats) -> None:
        self.agents = Records(agents, partial(agent, seed), random.Random(seed))
        self.departments = Departments(departments, self.agents, seed)
        self.chats = chats
        self.organization: Record = {
            "id": 1 + digest(seed, "organization", 0) % 100_000,
            "domain": "shop.example",
            "teamOnline": True,
            "chatEnabled": True,
        }

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
