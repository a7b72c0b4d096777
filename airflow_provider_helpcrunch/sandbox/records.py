"""
Ordered records that are a pure function of a seed, until somebody inserts or deletes.

Records are made when a page first asks for them, and encoded once: an account of 100,000 agents starts at
once, and a page costs a join of bytes.
"""

from __future__ import annotations

import json
import threading
import zlib
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Record: TypeAlias = dict[str, Any]
Position: TypeAlias = Literal["front", "end", "random"] | int


def digest(seed: int, topic: str, serial: int) -> int:
    """Return a number below 2**32 that looks drawn, and is the same each time."""
    return zlib.crc32(f"{seed}:{topic}:{serial}".encode())


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

        :param shuffled: read from an order that is drawn for this call
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
        """The number of records ever made: their serial numbers are those below."""
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
