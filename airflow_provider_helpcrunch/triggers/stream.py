"""
Stream of polls that all watchers of one connection and one kind of event share.

Airflow runs it once for all of them, hands each poll to each watcher, and says when every event that they made of it is
stored in its database. Only then are their cursors kept. So a triggerer that dies in between makes them see the same
poll again, and nothing is lost.

The stream does not know the watchers. They answer through the :class:`Poll`: how far back the next one has to go, and
what is to be kept once this one is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchError, HelpCrunchRateLimitError
from airflow_provider_helpcrunch.plurals import duration
from airflow_provider_helpcrunch.triggers.polling import load, poll

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

    from airflow_provider_helpcrunch.chats.watching import Row, TimeWatch, UnassignedWatch
else:
    try:
        from airflow.triggers.shared_stream import SharedStreamProducer
    except ImportError:  # Airflow before 3.3
        SharedStreamProducer = object

log = logging.getLogger(__name__)

FIRST_REACH = 600.0
"""Seconds that the first poll goes back: further than the clocks of HelpCrunch and this machine may differ."""

SETTLING = 1.0
"""Seconds in which the watchers of a triggerer that starts may subscribe, and say how far back they need."""

LONGEST_PAUSE = 600.0
"""Most seconds between two polls that fail, unless the interval is longer."""


class Poll:
    """
    What one poll found.

    :param since: the moment that it goes back to, in UNIX seconds
    :param rows: the chats
    :param stream: the stream that it is from
    """

    def __init__(self, since: float, rows: Sequence[Row], stream: ChatsStream) -> None:
        self.since = since
        self.rows = rows
        self.kept: list[Callable[[], Awaitable[None]]] = []
        self._stream = stream

    def covers(self, since: float) -> bool:
        """
        Say whether the poll goes back far enough for a watcher; if not, let another one follow at once.

        :param since: the moment that the watcher has to go back to, in UNIX seconds
        """
        if self.since <= since:
            return True
        self._stream.want(since, at_once=True)
        return False

    def is_read(self, since: float, keep: Callable[[], Awaitable[None]] | None = None) -> None:
        """
        Tell the stream that a watcher has read the poll.

        :param since: the moment that the watcher has to go back to in the next poll, in UNIX seconds
        :param keep: keeps the watcher's cursor; called once its events are stored. ``None``: nothing has changed
        """
        self._stream.want(since)
        if keep is not None:
            self.kept.append(keep)


class ChatsStream(SharedStreamProducer):
    """
    Polls for one kind of event, without an end.

    It never fails: Airflow would start it again every second, and spend the account's rate limit on that. After a
    failure, even a permanent one such as a wrong key, it logs the reason and polls again, less and less often.

    :param helpcrunch_conn_id: the Airflow connection
    :param event: the kind of event, a name of :data:`~.watching.KINDS`
    :param poll_interval: seconds between two polls
    """

    def __init__(self, helpcrunch_conn_id: str, event: str, poll_interval: float) -> None:
        self._conn_id = helpcrunch_conn_id
        self._event = event
        self._interval = poll_interval
        self._since = time.time() - FIRST_REACH
        self._wanted: list[float] = []
        self._at_once = asyncio.Event()
        self._failures = 0

    def want(self, since: float, *, at_once: bool = False) -> None:
        """
        Let the next poll go back far enough.

        :param since: the moment, in UNIX seconds
        :param at_once: whether it should follow at once (``False``)
        """
        self._wanted.append(since)
        if at_once:
            self._at_once.set()

    async def open_stream(self) -> AsyncIterator[tuple[Poll, Poll]]:
        """Yield polls, each also as what :meth:`advance` gets later."""
        await load()
        from airflow_provider_helpcrunch.chats.watching import KINDS

        watch = KINDS[self._event].watch()
        await asyncio.sleep(SETTLING)
        while True:
            if (found := await self._poll(watch)) is not None:
                yield found, found
            await self._pause()

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Keep the cursors of polls that are reported.

        :param batch: polls whose events are stored, in order
        """
        for item in batch:
            # Where a watcher failed, nobody's cursor is kept, for it is not said which one it was. It begins again at
            # its old cursor; the others' are kept after the next poll.
            if item.outcome.is_clean:
                for keep in item.broker_payload.kept:
                    await keep()

    async def _poll(self, watch: TimeWatch | UnassignedWatch) -> Poll | None:
        since = min(self._wanted, default=self._since)
        try:
            rows = await poll(self._conn_id, partial(watch.read, since=since))
        except HelpCrunchRateLimitError as error:
            log.info("No poll for %s chats this time: %s", self._event, error)
        except HelpCrunchError as error:
            self._count_failure(error)
        # Airflow's own errors too, such as a connection that is not there or not readable for now.
        except Exception as error:
            self._count_failure(error, exc_info=True)
        else:
            self._failures, self._since = 0, since
            self._wanted.clear()
            return Poll(since, rows, self)
        return None

    def _count_failure(self, error: Exception, **details: Any) -> None:
        self._failures += 1
        log.error(
            "The poll for %s chats failed, %d in a row; the next one is in %s: %s",
            self._event,
            self._failures,
            duration(self._seconds()),
            error,
            **details,
        )

    def _seconds(self) -> float:
        """Return the seconds until the next poll: twice as many after each failure."""
        return max(self._interval, min(self._interval * 2.0 ** min(self._failures, 10), LONGEST_PAUSE))

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_once.wait(), self._seconds())
            # Other watchers may have to go back too: one poll serves them all.
            await asyncio.sleep(SETTLING)
        self._at_once.clear()


async def polls_of(stream: ChatsStream) -> AsyncIterator[Poll]:
    """
    Yield the polls of a stream to a single watcher, without Airflow's manager between them.

    :param stream: the stream
    """
    async for found, _ in stream.open_stream():
        yield found
