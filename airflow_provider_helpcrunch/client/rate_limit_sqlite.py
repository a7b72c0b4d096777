"""The request budget of one machine: every process of one user shares a SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.client.rate_limit_stores import LONGEST_FLIGHT, LONGEST_PAUSE, Wait
from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
        """Take a free slot (see :class:`.rate_limit_stores.Store`)."""
        with self._transaction() as db:
            now, paused_until = self._begin(db)
            if now < paused_until:
                return Wait(paused_until - now, paused=True)
            slot, free_at = db.execute(
                "SELECT id, free_at FROM slot WHERE id < ? ORDER BY free_at LIMIT 1", (self._limit,)
            ).fetchone()
            if now < free_at:
                return Wait(min(free_at - now, self._period), paused=False)
            taken_until = now + LONGEST_FLIGHT + self._period
            db.execute("UPDATE slot SET free_at = ? WHERE id = ?", (taken_until, slot))
            return int(slot)

    def settle(self, slot: int) -> None:
        """Start the slot's period (see :class:`.rate_limit_stores.Store`)."""
        with self._transaction() as db:
            db.execute("UPDATE slot SET free_at = ? WHERE id = ?", (self._clock() + self._period, slot))

    def pause(self, seconds: float) -> None:
        """Stop every process (see :class:`.rate_limit_stores.Store`)."""
        with self._transaction() as db:
            now = self._clock()
            until = now + min(seconds, LONGEST_PAUSE)
            stale = "UPDATE pause SET until = ? WHERE until NOT BETWEEN ? AND ?"
            db.execute(stale, (until, until, now + LONGEST_PAUSE))

    def wait(self, slots: int) -> float:
        """Return the seconds until so many slots are free (see :class:`.rate_limit_stores.Store`)."""
        with self._transaction() as db:
            now, paused_until = self._begin(db)
            nth = "SELECT free_at FROM slot WHERE id < ? ORDER BY free_at LIMIT 1 OFFSET ?"
            (free_at,) = db.execute(nth, (self._limit, slots - 1)).fetchone()
            return max(0.0, float(free_at) - now, paused_until - now)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _begin(self, db: sqlite3.Connection) -> tuple[float, float]:
        """Return the time and the end of the pause, with what a clock that was set back has left behind mended."""
        now = self._clock()
        latest = now + LONGEST_FLIGHT + self._period + 1.0
        # A time further ahead than any that can be written says nothing any more: the slot may just have been used.
        if db.execute("SELECT max(free_at) FROM slot").fetchone()[0] > latest:
            db.execute("UPDATE slot SET free_at = ?", (now + self._period,))
        (paused_until,) = db.execute("SELECT until FROM pause").fetchone()
        if paused_until and not now < paused_until <= now + LONGEST_PAUSE:
            db.execute("UPDATE pause SET until = 0")
            paused_until = 0.0
        return now, float(paused_until)

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
