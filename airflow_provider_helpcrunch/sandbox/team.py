"""Agents and departments of the account: pure functions of its seed."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox.records import Record, digest

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.records import Records

FIRST_NAMES = (
    *("Ada", "Bohdan", "Clara", "Dmytro", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas"),
    *("Kateryna", "Liam", "Mina", "Nadia", "Olek", "Priya", "Rosa", "Sami", "Tamar", "Viktor"),
)
LAST_NAMES = (
    *("Adler", "Bondar", "Costa", "Egede", "Fischer", "Garcia", "Hrytsenko", "Ivanova", "Jansen"),
    *("Kovalenko", "Lindgren", "Moreau", "Novak", "Okafor", "Petrenko", "Rossi", "Tanaka", "Varga"),
)
DEPARTMENT_NAMES = ("Support", "Sales", "Billing", "Returns", "Onboarding", "Partners", "Logistics")
# Of a hundred agents: 3 admins, 7 supervisers, 20 who only chat, 70 agents.
ROLE_BOUNDS = (("admin", 3), ("superviser", 10), ("agentChatOnly", 30), ("agent", 100))
APPLICATIONS = (
    *(
        ("Website", "Shop", "web"),
        ("iOS app", "Shop for iOS", "ios"),
        ("Android app", "Shop for Android", "android"),
    ),
    ("Telegram", "Shop on Telegram", "telegram"),
)
APPLICATION_IDS = range(1, 1 + len(APPLICATIONS))
FIRST_AGENT_ID = 1001
FIRST_DEPARTMENT_ID = 101


def agent(seed: int, serial: int, canary: str = "") -> Record:
    """
    Return one agent in the documented shape. The first one is always an admin, as every account has one.

    :param seed: the seed of the account
    :param serial: its number in order of creation, from 0
    :param canary: a string for name and email
    """
    drawn = digest(seed, "agent", serial)
    share = drawn // 1000 % 100 if serial else 0
    first, last = FIRST_NAMES[drawn % len(FIRST_NAMES)], LAST_NAMES[drawn // 7 % len(LAST_NAMES)]
    name, address = f"{first} {last}", f"{first}.{last}.{FIRST_AGENT_ID + serial}@shop.example".lower()
    return {
        "id": FIRST_AGENT_ID + serial,
        "name": f"{name} {canary}" if canary else name,
        "email": f"{canary}.{address}" if canary else address,
        "role": next(role for role, bound in ROLE_BOUNDS if share < bound),
    }


def applications() -> list[Record]:
    """Return fresh copies of the account's applications, which are the same in every account."""
    return [
        {"id": number, "name": name, "displayName": shown, "active": True, "type": kind}
        for number, (name, shown, kind) in zip(APPLICATION_IDS, APPLICATIONS, strict=True)
    ]


def department_name(index: int) -> str:
    """Return the name of a department by its place, from 0."""
    round_, place = divmod(index, len(DEPARTMENT_NAMES))
    return DEPARTMENT_NAMES[place] + (f" {round_ + 1}" if round_ else "")


class Departments:
    """
    The departments, each with those of the account's agents who belong to it now.

    Every agent is in one, and one in eight in two of them.
    """

    def __init__(self, count: int, agents: Records, seed: int) -> None:
        self.count = count
        self._agents = agents
        self._seed = seed
        self._chance = random.Random(seed)
        self._cache: tuple[list[int], list[bytes]] = ([], [])

    def page(self, offset: int, limit: int, *, shuffled: bool = False) -> tuple[list[bytes], int]:
        """Return encoded departments and their number, like :meth:`Records.page`."""
        rows = self._encoded()
        if shuffled:
            rows = self._chance.sample(rows, len(rows))
        return rows[offset : offset + limit], len(rows)

    def all(self) -> list[Record]:
        """Return fresh copies of all departments, in order."""
        return [json.loads(row) for row in self._encoded()]

    def _encoded(self) -> list[bytes]:
        serials = self._agents.serials()
        known, rows = self._cache
        if not rows or known != serials:
            rows = [self._row(index, members) for index, members in enumerate(self._members(serials))]
            self._cache = serials, rows
        return rows

    def _members(self, serials: list[int]) -> list[list[int]]:
        members: list[list[int]] = [[] for _ in range(self.count)]
        for serial in serials if self.count else ():
            drawn = digest(self._seed, "department", serial)
            homes = {drawn % self.count, (drawn + (drawn >> 8 & 7 == 0)) % self.count}
            for home in homes:
                members[home].append(serial)
        return members

    def _row(self, index: int, members: list[int]) -> bytes:
        name = department_name(index)
        agents = b",".join(self._agents.encoded(serial) for serial in members)
        return b'{"id":%d,"name":"%s","agents":[%s]}' % (FIRST_DEPARTMENT_ID + index, name.encode(), agents)
