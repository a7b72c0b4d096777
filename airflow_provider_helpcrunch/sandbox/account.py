"""
The data of the account: a pure function of a seed, until somebody inserts or deletes.

Records are made when a page first asks for them, and encoded once: an account of 100,000 agents starts at
once, and a page costs a join of bytes.
"""

from __future__ import annotations

import json
import random
import threading
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.chats import Chats

Record: TypeAlias = dict[str, Any]
Position: TypeAlias = Literal["front", "end", "random"] | int

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
FIRST_AGENT_ID = 1001
FIRST_DEPARTMENT_ID = 101


def digest(seed: int, topic: str, serial: int) -> int:
    """Return a number below 2**32 that looks drawn, and is the same each time."""
    return zlib.crc32(f"{seed}:{topic}:{serial}".encode())


def agent(seed: int, serial: int) -> Record:
    """
    Return one agent in the documented shape. The first one is always an admin, as every account has one.

    :param seed: the seed of the account
    :param serial: its number in order of creation, from 0
    """
    drawn = digest(seed, "agent", serial)
    share = drawn // 1000 % 100 if serial else 0
    first, last = FIRST_NAMES[drawn % len(FIRST_NAMES)], LAST_NAMES[drawn // 7 % len(LAST_NAMES)]
    return {
        "id": FIRST_AGENT_ID + serial,
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{FIRST_AGENT_ID + serial}@shop.example".lower(),
        "role": next(role for role, bound in ROLE_BOUNDS if share < bound),
    }


def department_name(index: int) -> str:
    """Return the name of a department by its place, from 0."""
    round_, place = divmod(index, len(DEPARTMENT_NAMES))
    return DEPARTMENT_NAMES[place] + (f" {round_ + 1}" if round_ else "")


class Records:
    """
    An ordered list of records which several threads may read and change.

    The order is a rank of its own, not that of the ids: what is inserted in front shifts all behind it.
    """

    def __init__(self, count: int, make: Callable[[int], Record], chance: random.Random) -> None:
        self._make = make
        self._chance = chance
        self._order = list(range(count))
        self._created = count
        self._encoded: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def page(self, offset: int, limit: int, *, shuffled: bool = False) -> tuple[list[bytes], int]:
        """
        Return the encoded records ``[offset, offset + limit)`` and the number of all records, at one moment.

        :param shuffled: read from an order that is drawn anew for this call
        """
        with self._lock:
            total = len(self._order)
            order = self._chance.sample(self._order, total) if shuffled else self._order
            serials = order[offset : offset + limit]
        return [self.encoded(serial) for serial in serials], total

    def encoded(self, serial: int) -> bytes:
        """Return one record as JSON."""
        row = self._encoded.get(serial)
        if row is None:
            row = self._encoded[serial] = json.dumps(self._make(serial), separators=(",", ":")).encode()
        return row

    @property
    def created(self) -> int:
        """How many records were ever made: their serial numbers are those below."""
        return self._created

    def serials(self) -> list[int]:
        """Return the serial numbers of all records, in order."""
        with self._lock:
            return self._order.copy()

    def all(self) -> list[Record]:
        """Return fresh copies of all records, in order."""
        return [self._make(serial) for serial in self.serials()]

    def insert(self, rows: int, at: Position) -> list[Record]:
        """
        Add records with fresh ids and return them.

        :param rows: how many
        :param at: ``front``, ``end``, ``random`` (each at a place of its own) or an index (all in one block)
        """
        with self._lock:
            added = list(range(self._created, self._created + rows))
            self._created += rows
            if at == "random":
                for serial in added:
                    self._order.insert(self._chance.randint(0, len(self._order)), serial)
            else:
                start = 0 if at == "front" else len(self._order) if at == "end" else at
                self._order[start:start] = added
        return [self._make(serial) for serial in added]

    def delete(self, rows: int, at: Position) -> list[Record]:
        """Remove records, at most as many as there are, and return them; arguments as for :meth:`insert`."""
        with self._lock:
            rows = min(rows, len(self._order))
            if at == "random":
                removed = self._chance.sample(self._order, rows)
            elif at == "end":
                removed = self._order[len(self._order) - rows :]
            else:
                start = 0 if at == "front" else at
                removed = self._order[start : start + rows]
            gone = set(removed)
            self._order = [serial for serial in self._order if serial not in gone]
        return [self._make(serial) for serial in removed]

    def remove(self, serial: int) -> bool:
        """Remove one record and say whether it was there."""
        with self._lock:
            there = serial in self._order
            if there:
                self._order.remove(serial)
        return there


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
