"""
The chats of the account, which several threads may read and change.

They are made when somebody first asks for one. What costs a walk through all of them is kept until a change
touches it: an order by one of the sort keys, the chats a search found, the JSON of a record.
"""

from __future__ import annotations

import random
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.answers import encode
from airflow_provider_helpcrunch.sandbox.chat_data import (
    FIRST_CHAT_ID,
    Cast,
    Chat,
    begun,
    chat,
)
from airflow_provider_helpcrunch.sandbox.chat_words import OPEN
from airflow_provider_helpcrunch.sandbox.customers import FIRST_CUSTOMER_ID, Customer, customer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.chat_search import Query
    from airflow_provider_helpcrunch.sandbox.chat_shape import ChatShape
    from airflow_provider_helpcrunch.sandbox.clock import Clock
    from airflow_provider_helpcrunch.sandbox.faults import Place
    from airflow_provider_helpcrunch.sandbox.records import Record

SORTS = ("created_at", "last_customer_message_at", "last_message_at", "closed_at")
# Searches whose results are kept between two changes.
REMEMBERED = 32


class Chats:
    """
    All chats, in the order of their ids, which is that of their creation.

    :param cast: how many there are at the start, and who may appear in these
    :param clock: the account's clock
    :param shape: how a chat is shown
    """

    def __init__(self, cast: Cast, clock: Clock, shape: ChatShape) -> None:
        self._cast = cast
        self._clock = clock
        self._shape = shape
        self._lock = threading.RLock()
        self._chance = random.Random(cast.seed)
        self._encoded: dict[int, bytes] = {}
        self._orders: dict[str, list[int]] = {}
        self._results: dict[Query, list[int]] = {}
        self._taken: list[tuple[int, int]] = []

    @cached_property
    def _chats(self) -> dict[int, Chat]:
        return {FIRST_CHAT_ID + serial: chat(self._cast, serial) for serial in range(self._cast.chats)}

    def page(
        self, query: Query, offset: int, limit: int, *, shuffled: bool = False
    ) -> tuple[list[bytes], int]:
        """
        Return encoded chats ``[offset, offset + limit)`` of a search and how many it finds, at one moment.

        :param shuffled: read from an order that is drawn for this call
        """
        with self._lock:
            found = self._found(query)
            if shuffled:
                found = self._chance.sample(found, len(found))
            return [self._row(chat_id) for chat_id in found[offset : offset + limit]], len(found)

    def encoded(self, chat_id: int) -> bytes:
        """
        Return one chat as JSON.

        :raises KeyError: there is none
        """
        with self._lock:
            return self._row(chat_id)

    def get(self, chat_id: int) -> Chat | None:
        """Return one chat, if there is one."""
        with self._lock:
            return self._chats.get(chat_id)

    def records(self, wanted: Callable[[Chat], bool] | None = None) -> list[Record]:
        """
        Return fresh copies as the API shows them, in the order of the ids.

        :param wanted: of which chats; default: all
        """
        with self._lock:
            chats = list(filter(wanted, self._chats.values()))
        return [self._shape.record(each) for each in chats]

    def record(self, chat_id: int) -> Record:
        """
        Return a fresh copy of one chat as the API shows it.

        :raises KeyError: there is none
        """
        with self._lock:
            return self._shape.record(self._chats[chat_id])

    def customer(self, customer_id: int) -> Customer | None:
        """Return a customer of the account, if there is one."""
        serial = customer_id - FIRST_CUSTOMER_ID
        return customer(self._cast.seed, serial) if 0 <= serial < self._cast.customers else None

    def customers(self) -> list[Customer]:
        """Return all customers, in the order of their ids."""
        return [customer(self._cast.seed, serial) for serial in range(self._cast.customers)]

    def create(self, of: Customer | None = None, **values: Any) -> int:
        """
        Add a chat that is later than all others, and return its id.

        :param of: the customer; default: any
        :param values: what it has beside the defaults of :class:`~.chat_data.Chat`
        """
        with self._lock:
            now = self._clock.tick()
            number = FIRST_CHAT_ID + len(self._chats)
            of = of or customer(self._cast.seed, number % self._cast.customers)
            self._chats[number] = begun(Chat(number, now, of, updated_at=now, **values))
            self._orders.clear()
            self._results.clear()
            return number

    def change(self, chat_id: int, **values: Any) -> None:
        """
        Change fields of one chat, the way a write or a person does.

        A chat that gets the status closed gets ``closed_at`` and, without another one, an agent as the one
        who closed it; a chat that leaves it loses both. Nothing else changes by itself.

        :raises KeyError: there is none
        """
        with self._lock:
            before = self._chats[chat_id]
            now = self._clock.tick()
            status = values.get("status", before.status)
            if status != before.status and "closed" in (status, before.status):
                closing = status == "closed"
                values.setdefault("closed_by", "agent" if closing else None)
                values.setdefault("closed_at", now if closing else None)
            after = self._chats[chat_id] = before._replace(**{"updated_at": now, **values})
            for key in SORTS:
                if getattr(before, key) != getattr(after, key):
                    self._orders.pop(key, None)
            self._encoded.pop(chat_id, None)
            self._results.clear()

    def take(self, rows: int, at: Place, agent: int | None, by: int) -> None:
        """
        Let a person take open chats which are not theirs yet, and note each in :attr:`taken`.

        :param rows: how many; fewer where there are fewer
        :param at: the earliest (``front``), the latest (``end``) or any (``random``)
        :param agent: of whom, ``None`` for any chats, unassigned ones included
        :param by: the id of the agent who takes them
        """
        with self._lock:
            open_ = [each for each in self._chats.values() if each.status in OPEN and each.assignee != by]
            ids = [each.id for each in open_ if agent in (None, each.assignee)]
            rows = min(rows, len(ids))
            picked = {"front": ids[:rows], "end": ids[len(ids) - rows :]}.get(at)
            for chat_id in self._chance.sample(ids, rows) if picked is None else picked:
                self.change(chat_id, assignee=by)
                self._taken.append((chat_id, by))

    @property
    def taken(self) -> list[tuple[int, int]]:
        """What :meth:`take` took so far: chat and taker."""
        with self._lock:
            return self._taken.copy()

    def _row(self, chat_id: int) -> bytes:
        row = self._encoded.get(chat_id)
        if row is None:
            row = self._encoded[chat_id] = encode(self._shape.record(self._chats[chat_id]))
        return row

    def _found(self, query: Query) -> list[int]:
        found = self._results.get(query)
        if found is None:
            chats = self._chats
            found = [each.id for each in query.select([chats[each] for each in self._order(query.sort)])]
            if query.descending:
                found.reverse()
            if len(self._results) >= REMEMBERED:
                self._results.clear()
            self._results[query] = found
        return found

    def _order(self, key: str) -> list[int]:
        """Return all ids by a sort key and then by id; what has no such time comes first, as in MySQL."""
        order = self._orders.get(key)
        if order is None:
            order = list(self._chats)
            if key != "created_at":
                chats = self._chats
                order.sort(key=lambda chat_id: getattr(chats[chat_id], key) or 0)
            self._orders[key] = order
        return order
