"""Trigger for an ``AssetWatcher``: events for chats that are new, closed or without an assignee."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers import base
from airflow.triggers.base import TriggerEvent

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted

# What polls is imported in the triggerer only: parsing a DAG file must cost next to nothing.
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from airflow.triggers.base import BaseEventTrigger

    from airflow_provider_helpcrunch.chats.watching import SetCursor, TimeCursor
    from airflow_provider_helpcrunch.triggers.stream import ChatsStream, Poll

    Cursor = SetCursor | TimeCursor
else:
    # Before Airflow 3.0 there are no watchers, but the module can be imported.
    BaseEventTrigger = getattr(base, "BaseEventTrigger", base.BaseTrigger)

EVENTS = ("new", "closed", "unassigned")
"""The kinds of events."""

MOST_CHATS = 1_000
"""Most chats in one event."""

LONGEST_INTERVAL = 86_400.0

LONGEST_KEEPING = 10.0
"""Most seconds that keeping a cursor may take."""


class ChatsEventTrigger(BaseEventTrigger):
    """
    Watches the chats of an account, and fires an event when some are new, closed or unassigned. Airflow 3.0 or newer.

    .. code-block:: python

        unassigned = Asset(
            "helpcrunch_unassigned",
            watchers=[AssetWatcher(name="unassigned", trigger=ChatsEventTrigger("unassigned"))],
        )

    Kinds of events:

    - ``new``: chats that were created, in any status. One request per poll and 100 chats of the last five minutes.
    - ``closed``: chats that were closed. The same cost.
    - ``unassigned``: open chats that nobody has, and somebody had, or that did not exist, in the poll before. One
      request per poll and 100 chats that are not closed, because the API cannot search for them.

    The payload is ``{"event", "department", "chats": [ids], "count"}``, with at most 1,000 chats; more make several
    events. It is in ``extra["payload"]`` of the asset event.

    What is there when the watch begins is no event. Since Airflow 3.3 the trigger keeps what it has reported in the
    state store of its asset, and goes on there after a restart: no event is missed, and none repeated unless the
    triggerer was killed between storing an event and the cursor. The asset must be the trigger's only one. Before 3.3
    the watch begins anew with each start of the triggerer.

    Since Airflow 3.3, watchers with the same ``event``, ``helpcrunch_conn_id`` and ``poll_interval`` share one poll.

    :param event: ``new``, ``closed`` or ``unassigned``
    :param department: only chats of the department with this id. Default: all
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param poll_interval: seconds between two polls, or a ``timedelta``; 1 second to a day (60)
    :raises HelpCrunchConfigurationError: an argument is wrong, or Airflow is older than 3.0

    API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
    """

    def __init__(
        self,
        event: str,
        *,
        department: int | None = None,
        helpcrunch_conn_id: str = "helpcrunch_default",
        poll_interval: float | timedelta = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.event = event
        self.department = department
        self.helpcrunch_conn_id = helpcrunch_conn_id
        self.poll_interval = (
            poll_interval.total_seconds() if isinstance(poll_interval, timedelta) else poll_interval
        )
        self._stored: Cursor | None = None
        self._check_arguments()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the import path of the class and its arguments, from which Airflow rebuilds the trigger."""
        return "airflow_provider_helpcrunch.triggers.events.ChatsEventTrigger", {
            "event": self.event,
            "department": self.department,
            "helpcrunch_conn_id": self.helpcrunch_conn_id,
            "poll_interval": self.poll_interval,
        }

    def shared_stream_key(self) -> Hashable:
        """Return what watchers that share a poll have in common; they may differ in their department."""
        return "helpcrunch", self.helpcrunch_conn_id, self.event, self.poll_interval

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> ChatsStream:
        """
        Return the stream of polls; Airflow calls this once for all watchers that share it.

        :param kwargs: the arguments of one of them
        """
        from airflow_provider_helpcrunch.triggers.stream import ChatsStream

        return ChatsStream(kwargs["helpcrunch_conn_id"], kwargs["event"], kwargs["poll_interval"])

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """
        Yield the events of this watcher.

        :param shared_stream: the polls
        """
        from airflow_provider_helpcrunch.triggers.polling import load

        await load()
        cursor = self._stored = await self._load()
        async for poll in shared_stream:
            if cursor is not None and not poll.covers(cursor.since):
                continue
            new, cursor = self._news(poll, cursor)
            for start in range(0, len(new), MOST_CHATS):
                yield self._event(new[start : start + MOST_CHATS])
            poll.is_read(cursor.since, None if cursor == self._stored else partial(self._keep, cursor))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the events of this watcher, with a poll of its own: before Airflow 3.3 there is no shared one."""
        from airflow_provider_helpcrunch.triggers.stream import polls_of

        polls = polls_of(self.create_shared_stream_producer(self.serialize()[1]))
        async for event in self.filter_shared_stream(polls):
            yield event

    def _check_arguments(self) -> None:
        if not hasattr(base, "BaseEventTrigger"):
            msg = "ChatsEventTrigger needs Airflow 3.0 or newer; on older versions, use ChatsSensor."
        elif self.event not in EVENTS:
            msg = f"event must be new, closed or unassigned, not {quoted(self.event)}."
        elif self.department is not None and not _is_whole(self.department):
            msg = (
                f"department must be a HelpCrunch id (a whole number above 0), not {quoted(self.department)}."
            )
        elif not _is_text(self.helpcrunch_conn_id):
            msg = f"helpcrunch_conn_id must be the id of an Airflow connection, not {quoted(self.helpcrunch_conn_id)}."
        elif not _is_interval(self.poll_interval):
            msg = (
                "poll_interval must be a timedelta or a number of seconds from 1 to 86400 (a day), not "
                f"{quoted(self.poll_interval)}."
            )
        else:
            return
        raise HelpCrunchConfigurationError(msg)

    def _news(self, poll: Poll, cursor: Cursor | None) -> tuple[list[int], Cursor]:
        """Return the ids of the chats that are new to this watcher, and the next cursor."""
        from airflow_provider_helpcrunch.chats.watching import KINDS

        mine = [row for row in poll.rows if self.department in (None, row.department)]
        if cursor is None:
            return [], KINDS[self.event].cursor.first(poll.rows, mine, poll.since)
        return cursor.after(poll.rows, mine)

    def _event(self, chats: list[int]) -> TriggerEvent:
        # Ids alone: the payload is stored with the asset event, and shown to everybody who sees the asset.
        payload = {
            "event": self.event,
            "department": self.department,
            "chats": chats,
            "count": len(chats),
        }
        return TriggerEvent(payload)  # type: ignore[no-untyped-call]

    @property
    def _key(self) -> str:
        """The key of the cursor in the state store of the asset, which may have several watchers."""
        department = "all" if self.department is None else self.department
        return f"helpcrunch_{self.helpcrunch_conn_id}_{self.event}_{department}"

    async def _load(self) -> Cursor | None:
        """Return the cursor that an earlier run has kept; ``None`` if there is none, or Airflow keeps none."""
        from airflow_provider_helpcrunch.chats.watching import KINDS

        store = getattr(self, "asset_state_store", None)
        if store is None:
            return None
        try:
            kept = await store.aget(self._key)
        except ValueError as error:
            self.log.error(
                "Events that happen while the triggerer is down will be missed: this trigger watches for several "
                "assets, and its cursor can be kept for one. Keep one, and schedule several DAGs on it. (%s)",
                error,
            )
            self.asset_state_store = None
            return None
        try:
            return None if kept is None else KINDS[self.event].cursor.from_json(kept)
        except (KeyError, TypeError, ValueError) as error:
            # Somebody may have changed it in Airflow. Raised, it would end the trigger again and again.
            self.log.error(
                "The watch begins anew, and events since it last ran are missed: the cursor %s in the asset's state "
                "store cannot be read (%r).",
                self._key,
                error,
            )
            return None

    async def _keep(self, cursor: Cursor) -> None:
        """Keep a cursor. If that fails, the one of the next poll is kept instead."""
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return
        try:
            # A triggerer that stops has lost its supervisor already, and would wait for the answer for ever.
            await asyncio.wait_for(store.aset(self._key, cursor.to_json()), LONGEST_KEEPING)
        except Exception as error:
            self.log.warning("The cursor could not be kept, so a restart now would repeat events: %s", error)
        else:
            self._stored = cursor


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_interval(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 1 <= value <= LONGEST_INTERVAL
