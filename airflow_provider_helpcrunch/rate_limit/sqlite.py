"""Store of one machine: every process of one user shares the slots in a SQLite file."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import tempfile
import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError
from airflow_provider_helpcrunch.forks import pause_while_forking, renew_after_fork
from airflow_provider_helpcrunch.rate_limit.store import LONGEST_FLIGHT, LONGEST_PAUSE, Unreachable, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

BUSY = 5.0
"""Seconds to wait for another process that holds the file."""

FORK = 1.0
"""Most seconds that a fork waits."""

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS slot (id INTEGER PRIMARY KEY, free_at REAL NOT NULL)",
    "CREATE INDEX IF NOT EXISTS slot_free_at ON slot (free_at)",
    "CREATE TABLE IF NOT EXISTS pause (until REAL NOT NULL)",
    "INSERT INTO pause SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM pause)",
)

PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Errors that may be gone at the next try: another process holds the file, or the disk is full."""


class SQLiteStore:
    """
    A store in a file, which every process of one user on this machine shares.

    :param path: the file; created if missing
    :param limit: requests in any ``period``
    :param period: length of the window in seconds
    :param clock: wall-clock seconds, the same for all processes (``time.time``)
    :raises HelpCrunchBudgetStoreError: the file cannot be created or opened
    """

    def __init__(self, path: Path, limit: int, period: float, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._limit = limit
        self._period = period
        self._clock = clock
        self._paused_until = 0.0
        # Never dropped: SQLite forbids a forked process even to close its parent's connection, as garbage collection
        # would do.
        self._inherited: list[sqlite3.Connection] = []
        self._forget_connection()
        renew_after_fork(self)
        pause_while_forking(self)
        self._refuse_unusable()

    def _refuse_unusable(self) -> None:
        """Raise at once if the file can never be used; one that is only busy may be free for the first request."""
        try:
            with self._lock:
                self._connected()
        except (sqlite3.Error, OSError) as error:
            if self._unreachable(error).lasting:
                raise HelpCrunchBudgetStoreError(self._cannot_be_used(error)) from error

    def _forget_connection(self) -> None:
        """Leave connecting to the next use, whose caller then gets any error."""
        # A new lock, because in a forked process the thread that held the old one does not exist.
        self._lock = threading.Lock()
        self._is_paused = False
        self._is_ready = False
        self._db: sqlite3.Connection | None = None

    def before_fork(self) -> None:
        """Wait until no thread is inside SQLite: its own locks would stay locked in the child."""
        # With a timeout: a thread holds the lock for up to BUSY seconds while another process has the file, and a task
        # must not be slow to start because of that.
        self._is_paused = self._lock.acquire(timeout=FORK)

    def after_fork_in_parent(self) -> None:
        """Let the threads continue."""
        if self._is_paused:
            self._is_paused = False
            self._lock.release()

    def after_fork(self) -> None:
        """Leave the parent's connection open and unused."""
        if self._db is not None:
            self._inherited.append(self._db)
        self._forget_connection()

    def acquire(self) -> int | Wait | Unreachable:
        """Acquire a free slot (see :class:`.store.Store`)."""
        try:
            return self._acquire()
        except (sqlite3.Error, OSError) as error:
            return self._unreachable(error)

    def _acquire(self) -> int | Wait:
        with self._transaction() as db:
            now, paused_until = self._begin(db)
            if now < paused_until:
                return Wait(paused_until - now, paused=True)
            slot, free_at = db.execute(
                "SELECT id, free_at FROM slot WHERE id < ? ORDER BY free_at LIMIT 1", (self._limit,)
            ).fetchone()
            if now < free_at:
                # A slot in use may be released at any moment, and be free one period later.
                return Wait(min(free_at - now, self._period), paused=False)
            # In use until its release; this time counts only if the process dies before that.
            taken_until = now + LONGEST_FLIGHT + self._period
            db.execute("UPDATE slot SET free_at = ? WHERE id = ?", (taken_until, slot))
            return int(slot)

    def release(self, slot: int) -> None:
        """
        Start the slot's period (see :class:`.store.Store`).

        If that cannot be written, the slot stays in use a little longer, which is safe. It must not raise: the request
        was made, and its result must be reported.
        """
        try:
            with self._transaction() as db:
                db.execute("UPDATE slot SET free_at = ? WHERE id = ?", (self._clock() + self._period, slot))
        except (sqlite3.Error, OSError) as error:
            log.warning(
                "%s A finished request could not be released, so its permit stays in use for longer than needed.",
                self._cannot_be_used(error),
            )

    def pause(self, seconds: float) -> None:
        """Pause every process (see :class:`.store.Store`); this one even if the pause cannot be written."""
        until = self._clock() + min(seconds, LONGEST_PAUSE)
        # Also kept here, so that a full disk does not let this process go on after a 429.
        self._paused_until = max(self._paused_until, until)
        try:
            with self._transaction() as db:
                # A shorter pause must not cut a longer one short. But no pause ends later than LONGEST_PAUSE from now;
                # one that seems to was written before the clock was set back, and is replaced.
                stale = "UPDATE pause SET until = ? WHERE until NOT BETWEEN ? AND ?"
                db.execute(stale, (until, until, self._clock() + LONGEST_PAUSE))
        except (sqlite3.Error, OSError) as error:
            log.warning(
                "%s The pause after a 429 could not be shared, so only this process pauses.",
                self._cannot_be_used(error),
            )

    def wait_time(self, slots: int) -> float | Unreachable:
        """Return the seconds until ``slots`` slots are free (see :class:`.store.Store`)."""
        try:
            with self._transaction() as db:
                now, paused_until = self._begin(db)
                nth = "SELECT free_at FROM slot WHERE id < ? ORDER BY free_at LIMIT 1 OFFSET ?"
                (free_at,) = db.execute(nth, (self._limit, slots - 1)).fetchone()
                return max(0.0, float(free_at) - now, paused_until - now)
        except (sqlite3.Error, OSError) as error:
            return self._unreachable(error)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()

    def _begin(self, db: sqlite3.Connection) -> tuple[float, float]:
        """Return the current time and the end of the pause, after repairing times if the clock was set back."""
        now = self._clock()
        latest = now + LONGEST_FLIGHT + self._period + 1.0
        # No time is ever written this far ahead, so the clock has been set back. The stored times then say nothing
        # about when their slots were used, and any slot may have been used just now.
        if db.execute("SELECT max(free_at) FROM slot").fetchone()[0] > latest:
            db.execute("UPDATE slot SET free_at = ?", (now + self._period,))
        (paused_until,) = db.execute("SELECT until FROM pause").fetchone()
        if paused_until and not now < paused_until <= now + LONGEST_PAUSE:
            db.execute("UPDATE pause SET until = 0")
            paused_until = 0.0
        own = self._paused_until if self._paused_until <= now + LONGEST_PAUSE else 0.0
        return now, max(float(paused_until), own)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _committed(self._connected()) as db:
            yield db

    def _connected(self) -> sqlite3.Connection:
        """Return the connection to the file, with all tables and slots in it."""
        if self._db is None:
            # The lock of this object lets one thread in at a time; SQLite's own check would allow only the first.
            self._db = sqlite3.connect(
                self._path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
        if not self._is_ready:
            self._prepare(self._db)
            self._is_ready = True
        return self._db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Create what is missing in the file; other processes may be doing the same."""
        # Syncing would slow down every request. Without it a power cut may lose the latest permits, but they count for
        # hardly longer than a reboot takes.
        db.execute("PRAGMA synchronous=OFF")
        # Faster but optional: while another process has the file open, the switch may fail.
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("PRAGMA journal_mode=WAL")
        with _committed(db):
            for statement in SCHEMA:
                db.execute(statement)
            # Slots are only ever added: one above a smaller limit may be in use by a task that still has the larger.
            (slots,) = db.execute("SELECT count(*) FROM slot").fetchone()
            db.executemany("INSERT INTO slot VALUES (?, 0)", ((slot,) for slot in range(slots, self._limit)))

    def _unreachable(self, error: Exception) -> Unreachable:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        # SQLite's extended codes have the basic one in their low byte.
        return Unreachable(self._cannot_be_used(error), lasting=code & 0xFF not in PASSING)

    def _cannot_be_used(self, error: Exception) -> str:
        return (
            f"The rate limit store {self._path} cannot be used ({error}). "
            "Delete the file if it is damaged, or set rate_limit_store on the connection to a place that works."
        )


@contextlib.contextmanager
def _committed(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Commit everything done inside the block, or nothing."""
    # IMMEDIATE takes the write lock now, waiting for it. A transaction that reads first and then wants to write fails
    # at once where another process has written in between.
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    finally:
        if db.in_transaction:  # something failed; a full disk ends the transaction by itself
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")


def private_directory(path: Path) -> Path:
    """
    Return a directory that only the current user can access; create it if missing.

    :param path: the directory
    :raises HelpCrunchBudgetStoreError: it belongs to somebody else or is open to others
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_private = not path.is_symlink() and _is_private(path)
    except OSError as error:
        msg = f"The rate limit store directory {path} cannot be created ({error}); set rate_limit_store to another."
        raise HelpCrunchBudgetStoreError(msg) from error
    if not is_private:
        msg = (
            f"Only this user may have access to the directory {path} of the rate limit store (mode 0700, not a link). "
            "Remove it or correct its mode, or set rate_limit_store on the connection to another directory."
        )
        raise HelpCrunchBudgetStoreError(msg)
    return path


def _is_private(path: Path) -> bool:
    """
    Return whether only the current user can access a directory, as far as its filesystem shows that.

    SMB mounts such as Azure Files show the same owner and mode for everything and let nobody change them. There, even a
    file that was created for this user alone looks as open as the directory.
    """
    directory = path.lstat()
    if directory.st_uid == os.getuid() and not directory.st_mode & 0o077:
        return True
    if not os.access(path, os.W_OK | os.X_OK):
        return False
    with tempfile.NamedTemporaryFile(dir=path) as probe:
        made = os.fstat(probe.fileno())
    return made.st_uid == directory.st_uid and bool(made.st_mode & 0o077)
