"""
Where the account's request budget is kept: one process (memory) or one machine (a SQLite file).

All stores keep the same thing: ``limit`` slots and, for each, the time from which it may be used again. A request
takes a free slot, and when its answer is there the slot is free again one ``period`` later. So every slot is used
at most once in any ``period`` *as the server sees it*: the server saw the first request before its answer arrived
and sees the second after the slot was taken, however late the network delivers either of them. That is the whole
proof that no rolling window ever holds more than ``limit`` requests.

A process that dies between the two leaves its slot taken for :data:`LONGEST_FLIGHT` more seconds.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_FLIGHT = 60.0
"""Seconds that a request may be under way before its slot is given to another one."""

LONGEST_PAUSE = 3600.0
"""Seconds for which one 429 can stop everyone; also how far a stored time is believed after the clock was set back."""


class Wait(NamedTuple):
    """
    Why no slot is free, and how long that will last at least.

    :param seconds: from now
    :param paused: whether a 429 stopped everyone; else the slots are all in use
    """

    seconds: float
    paused: bool


class Store(Protocol):
    """What a budget needs from its store. Every method is safe to call from any thread."""

    def take(self) -> int | Wait:
        """Take a free slot and return it, or the wait until one may be free at the earliest."""

    def settle(self, slot: int) -> None:
        """Say that the answer to the request in ``slot`` is there."""

    def pause(self, seconds: float) -> None:
        """Stop everyone who shares the store for ``seconds``."""

    def wait(self, slots: int) -> float:
        """Return the seconds until so many slots are free, if nobody takes them; 0.0 when they are now."""

    def close(self) -> None:
        """Give up what the store holds open."""


class _Slots:
    """What the memory stores of one account share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.free_at: list[float] = []
        self.paused_until = 0.0


class MemoryStore:
    """
    The budget of one process; all its threads share it.

    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    :param clock: seconds since any fixed moment
    :param slots: the slots of an account that other stores use too
    """

    _accounts: dict[str, _Slots] = {}  # noqa: RUF012

    def __init__(
        self,
        limit: int,
        period: float,
        clock: Callable[[], float] = time.monotonic,
        slots: _Slots | None = None,
    ) -> None:
        self._limit = limit
        self._period = period
        self._clock = clock
        self._slots = slots or _Slots()
        with self._slots.lock:
            self._slots.free_at += [0.0] * (limit - len(self._slots.free_at))

    @classmethod
    def shared(cls, name: str, limit: int, period: float) -> MemoryStore:
        """Return a store of the account ``name``, which all threads of this process share."""
        return cls(limit, period, slots=cls._accounts.setdefault(name, _Slots()))

    def take(self) -> int | Wait:
        """Take a free slot (see :class:`Store`)."""
        slots = self._slots
        with slots.lock:
            now = self._clock()
            if slots.paused_until > now:
                return Wait(slots.paused_until - now, paused=True)
            mine = slots.free_at[: self._limit]
            free_at = min(mine)
            if free_at > now:
                return Wait(min(free_at - now, self._period), paused=False)
            slot = mine.index(free_at)
            slots.free_at[slot] = now + LONGEST_FLIGHT + self._period
            return slot

    def settle(self, slot: int) -> None:
        """Start the slot's period (see :class:`Store`)."""
        with self._slots.lock:
            self._slots.free_at[slot] = self._clock() + self._period

    def pause(self, seconds: float) -> None:
        """Stop every thread (see :class:`Store`)."""
        with self._slots.lock:
            until = self._clock() + min(seconds, LONGEST_PAUSE)
            self._slots.paused_until = max(self._slots.paused_until, until)

    def wait(self, slots: int) -> float:
        """Return the seconds until so many slots are free (see :class:`Store`)."""
        with self._slots.lock:
            free_at: float = sorted(self._slots.free_at[: self._limit])[slots - 1]
            return max(0.0, max(free_at, self._slots.paused_until) - self._clock())

    def close(self) -> None:
        """Do nothing: other clients of the process may share the slots."""


class SQLiteStore:
    """
    The budget of one machine: every process of one user shares a file.

    :param path: the file; made when missing
    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    :param clock: wall-clock seconds, the same for all processes
    :raises HelpCrunchBudgetStoreError: the file cannot be made or opened
    """

    def __init__(self, path: Path, limit: int, period: float, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._limit = limit
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        with self._typed_errors():
            if not path.exists():
                _make_database(path)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            # A power cut may cost the last permits, which a reboot outlasts; a sync to disk would cost every request.
            self._db.execute("PRAGMA synchronous=OFF")
        with self._transaction() as db:
            (slots,) = db.execute("SELECT count(*) FROM slot").fetchone()
            db.executemany("INSERT INTO slot VALUES (?, 0)", ((slot,) for slot in range(slots, limit)))

    def take(self) -> int | Wait:
        """Take a free slot (see :class:`Store`)."""
        with self._transaction() as db:
            now = self._clock()
            (paused_until,) = db.execute("SELECT until FROM pause").fetchone()
            # Times further ahead than any that can be written stem from a clock that was set back since.
            if now < paused_until <= now + LONGEST_PAUSE:
                return Wait(paused_until - now, paused=True)
            slot, free_at = db.execute(
                "SELECT id, free_at FROM slot WHERE id < ? ORDER BY free_at LIMIT 1", (self._limit,)
            ).fetchone()
            if now < free_at <= now + LONGEST_FLIGHT + self._period:
                return Wait(min(free_at - now, self._period), paused=False)
            taken_until = now + LONGEST_FLIGHT + self._period
            db.execute("UPDATE slot SET free_at = ? WHERE id = ?", (taken_until, slot))
            return int(slot)

    def settle(self, slot: int) -> None:
        """Start the slot's period (see :class:`Store`)."""
        with self._transaction() as db:
            db.execute("UPDATE slot SET free_at = ? WHERE id = ?", (self._clock() + self._period, slot))

    def pause(self, seconds: float) -> None:
        """Stop every process (see :class:`Store`)."""
        with self._transaction() as db:
            now = self._clock()
            until = now + min(seconds, LONGEST_PAUSE)
            stale = "UPDATE pause SET until = ? WHERE until NOT BETWEEN ? AND ?"
            db.execute(stale, (until, until, now + LONGEST_PAUSE))

    def wait(self, slots: int) -> float:
        """Return the seconds until so many slots are free (see :class:`Store`)."""
        with self._transaction() as db:
            now = self._clock()
            (paused_until,) = db.execute("SELECT until FROM pause").fetchone()
            # Times further ahead than any that can be written stem from a clock that was set back since.
            nth = (
                "SELECT CASE WHEN free_at > ? THEN 0 ELSE free_at END AS free FROM slot WHERE id < ? "
                "ORDER BY free LIMIT 1 OFFSET ?"
            )
            bounds = (now + LONGEST_FLIGHT + self._period, self._limit, slots - 1)
            (free_at,) = db.execute(nth, bounds).fetchone()
            paused_until = paused_until if paused_until <= now + LONGEST_PAUSE else 0.0
            return max(0.0, float(free_at) - now, float(paused_until) - now)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._typed_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            finally:
                self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            msg = (
                f"The request budget in {self._path} cannot be used ({error}). "
                "Delete the file if it is damaged, or set rate_limit_store on the connection to a place that works."
            )
            raise HelpCrunchBudgetStoreError(msg) from error


def _make_database(path: Path) -> None:
    """Make the file complete under another name first, so that no process ever opens half of it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder, "budget")
        db = sqlite3.connect(draft)
        db.executescript(
            """
            PRAGMA journal_mode=WAL;
            CREATE TABLE slot (id INTEGER PRIMARY KEY, free_at REAL NOT NULL);
            CREATE INDEX slot_free_at ON slot (free_at);
            CREATE TABLE pause (until REAL NOT NULL);
            INSERT INTO pause VALUES (0);
            """
        )
        db.close()
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)


def private_directory(path: Path) -> Path:
    """
    Return ``path`` as a directory that is the current user's alone; make it when missing.

    :raises HelpCrunchBudgetStoreError: it belongs to somebody else or is open to others
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        msg = f"The directory {path} for the request budget cannot be made ({error}); set rate_limit_store to another."
        raise HelpCrunchBudgetStoreError(msg) from error
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or path.is_symlink():
        msg = (
            f"The directory {path} for the request budget must belong to this user alone (mode 0700, no link). "
            "Remove it or mend its mode, or set rate_limit_store on the connection to another directory."
        )
        raise HelpCrunchBudgetStoreError(msg)
    return path
