"""
Watch over the chats of an account: what is new since a cursor, found by reading again and again.

HelpCrunch sends no events and has no ``updatedAt``, so each kind of event has its own reading and its own cursor:

- New and closed chats have a time (``createdAt``, ``closedAt``). A reading covers everything since the cursor's time,
  which stays :data:`OVERLAP` seconds behind the latest chat, because a chat may become visible after one with a later
  time. The cursor holds the chats of those seconds, so that none is reported twice.
- No time says when a chat lost its assignee. A reading covers all unassigned chats, and those that were not among them
  in the reading before are new.

Cursors are values: :meth:`TimeCursor.after` and :meth:`SetCursor.after` return the next one. What was found counts as
reported once the next cursor is kept.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.chats.selection import Selection
from airflow_provider_helpcrunch.chats.waiting import OpenChats, search_pages
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.ids import check_id, id_in
from airflow_provider_helpcrunch.exceptions import HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.schema import Record

OVERLAP = 300.0
"""Seconds that a cursor stays behind the latest chat."""

MOST_RECENT = 1_000
"""Most chats that a cursor of times holds; more than that in the last seconds shorten the overlap."""

MOST_UNASSIGNED = 5_000
"""Most chats that a cursor of unassigned chats holds: those with the highest ids. With ids of nine digits it stays
below 64 KiB of JSON, above which Airflow's state store warns."""


class Row(NamedTuple):
    """
    What a watch knows of a chat.

    :param id: its id
    :param at: when the event happened, in UNIX seconds; 0 if HelpCrunch does not record it
    :param department: id of its department; ``None`` if it has none
    """

    id: int
    at: float
    department: int | None


class TimeWatch:
    """
    Reads the chats that were created, or closed, since a moment.

    :param time: the field with the time: ``createdAt`` or ``closedAt``
    """

    def __init__(self, time: str) -> None:
        self._time = time

    def read(self, client: HelpCrunchClient, since: float) -> list[Row]:
        """
        Return the chats since a moment. One request for up to 100 of them.

        :param client: the account
        :param since: the moment, in UNIX seconds
        :raises HelpCrunchError: a request failed, or the pages do not join
        """
        asked = [Filter(f"chats.{self._time}", ">=", datetime.fromtimestamp(since, UTC))]
        rows = (self._row(chat) for chats in search_pages(client, asked) for chat in chats)
        return [row for row in rows if row.at >= since]

    def _row(self, chat: Record) -> Row:
        moment = parse_timestamp(chat.get(self._time))
        if moment is None:
            msg = f"HelpCrunch sent the chat {chat.get('id')} without a readable {self._time}."
            raise HelpCrunchResponseError(msg)
        return Row(check_id("id", chat["id"]), moment.timestamp(), id_in(chat, "department"))


class UnassignedWatch:
    """Reads all open chats that nobody has."""

    def __init__(self) -> None:
        self._open = OpenChats()
        self._unassigned = Selection(None)

    def read(self, client: HelpCrunchClient, since: float) -> list[Row]:
        """
        Return the unassigned chats. One request for each 100 chats that are not closed: the API cannot search for them.

        :param client: the account
        :param since: not used: no time says since when a chat has been unassigned
        :raises HelpCrunchError: a request failed, or the pages do not join
        """
        rows = {
            number: Row(number, 0.0, id_in(chat, "department"))
            # Proven: an empty answer by mistake would make an event of every chat in the next poll.
            for chats in self._open.pages(client, proven=True)
            for chat in chats
            if self._unassigned.concerns(chat) and self._unassigned.has_status(chat)
            for number in [check_id("id", chat["id"])]
        }
        return list(rows.values())


@dataclass(frozen=True, slots=True)
class TimeCursor:
    """
    Cursor of events that have a time.

    :param since: everything since this moment, in UNIX seconds, is read again
    :param recent: the chats since then that are known, each with the time of its event
    """

    since: float
    recent: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def first(cls, rows: Sequence[Row], mine: Iterable[Row], since: float) -> TimeCursor:
        """
        Return the cursor of a watch that begins: everything that is there is known.

        :param rows: all chats of the reading
        :param mine: those that the watch is about
        :param since: the moment that the reading goes back to
        """
        return cls(since).after(rows, mine)[1]

    def after(self, rows: Sequence[Row], mine: Iterable[Row]) -> tuple[list[int], TimeCursor]:
        """
        Return the ids of the chats that are new, the earliest first, and the next cursor.

        :param rows: all chats of a reading that goes back to :attr:`since`
        :param mine: those that the watch is about. Another one may still become so, within :data:`OVERLAP` seconds
        """
        found = sorted((row for row in mine if row.at >= self.since), key=lambda row: (row.at, row.id))
        new = [row.id for row in found if self.recent.get(row.id) != row.at]
        latest = max((row.at for row in rows), default=self.since)
        since = max(self.since, latest - OVERLAP)
        recent = {**self.recent, **{row.id: row.at for row in found}}
        if sum(at >= since for at in recent.values()) > MOST_RECENT:
            # Chats of one second are kept together, or one of them would be reported again.
            since = max(since, float(int(heapq.nlargest(MOST_RECENT, recent.values())[-1])))
        return new, TimeCursor(since, {number: at for number, at in recent.items() if at >= since})

    def to_json(self) -> dict[str, Any]:
        """Return the cursor as plain JSON."""
        return {"since": self.since, "recent": [[number, at] for number, at in sorted(self.recent.items())]}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> TimeCursor:
        """
        Return the cursor that :meth:`to_json` wrote.

        :param written: the plain JSON
        :raises KeyError, TypeError, ValueError: it is something else
        """
        return cls(float(written["since"]), {int(number): float(at) for number, at in written["recent"]})


@dataclass(frozen=True, slots=True)
class SetCursor:
    """
    Cursor of unassigned chats, which have no time.

    :param known: the chats of the latest reading
    :param floor: chats with an id up to this are not reported: there were more than :data:`MOST_UNASSIGNED` (0)
    """

    known: frozenset[int]
    floor: int = 0

    @property
    def since(self) -> float:
        """The moment that a reading must go back to: any."""
        return float("inf")

    @classmethod
    def first(cls, rows: Sequence[Row], mine: Iterable[Row], since: float) -> SetCursor:
        """
        Return the cursor of a watch that begins: everything that is there is known.

        :param rows: all chats of the reading
        :param mine: those that the watch is about
        :param since: not used
        """
        return cls(frozenset()).after(rows, mine)[1]

    def after(self, rows: Sequence[Row], mine: Iterable[Row]) -> tuple[list[int], SetCursor]:
        """
        Return the ids of the chats that are new, the lowest first, and the next cursor.

        :param rows: all unassigned chats
        :param mine: those that the watch is about
        """
        ids = sorted(row.id for row in mine)
        new = [number for number in ids if number not in self.known and number > self.floor]
        floor = ids[-MOST_UNASSIGNED - 1] if len(ids) > MOST_UNASSIGNED else 0
        return new, SetCursor(frozenset(ids[-MOST_UNASSIGNED:]), floor)

    def to_json(self) -> dict[str, Any]:
        """Return the cursor as plain JSON."""
        return {"known": sorted(self.known), "floor": self.floor}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> SetCursor:
        """
        Return the cursor that :meth:`to_json` wrote.

        :param written: the plain JSON
        :raises KeyError, TypeError, ValueError: it is something else
        """
        return cls(frozenset(map(int, written["known"])), int(written["floor"]))


class Kind(NamedTuple):
    """
    A kind of event.

    :param watch: makes what reads its chats
    :param cursor: the class of its cursors
    """

    watch: Callable[[], TimeWatch | UnassignedWatch]
    cursor: type[TimeCursor] | type[SetCursor]


KINDS: dict[str, Kind] = {
    "new": Kind(lambda: TimeWatch("createdAt"), TimeCursor),
    "closed": Kind(lambda: TimeWatch("closedAt"), TimeCursor),
    "unassigned": Kind(UnassignedWatch, SetCursor),
}
"""The kinds of events that can be watched."""
