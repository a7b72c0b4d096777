"""A budget file that is locked, full, damaged or on a poor filesystem: no change that was made becomes an error."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter
from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError
from airflow_provider_helpcrunch.rate_limit import sqlite as module
from airflow_provider_helpcrunch.rate_limit.limiter import open_rate_limiter
from airflow_provider_helpcrunch.rate_limit.sqlite import SQLiteStore, private_directory
from airflow_provider_helpcrunch.rate_limit.store import Unreachable, Wait
from airflow_provider_helpcrunch.sandbox import Sandbox


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY", 0.1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore(tmp_path / "budget", 5, 1.0)
    yield made
    made.close()


@pytest.fixture
def locked(tmp_path: Path, store: SQLiteStore) -> Iterator[Callable[[], None]]:
    """Hold the file as another process does, until the function that is returned is called."""
    other = sqlite3.connect(tmp_path / "budget", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    yield lambda: other.execute("ROLLBACK") and None
    other.close()


class Broken:
    """A connection whose writes fail, as on a disk that is full or has a defect."""

    def __init__(self, connection: sqlite3.Connection, statement: str, code: int) -> None:
        self._connection, self._statement, self._code = connection, statement, code

    def execute(self, sql: str, *values: Any) -> Any:
        if sql.startswith(self._statement):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = self._code
            raise error
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("statement", ["BEGIN", "UPDATE", "COMMIT"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY])
def test_settling_and_pausing_never_fail(statement: str, code: int, store: SQLiteStore) -> None:
    slot = store.acquire()
    assert isinstance(slot, int)
    sound = store._db
    store._db = Broken(sound, statement, code)  # type: ignore[assignment]
    store.release(slot)
    store.pause(500.0)
    store._db = sound
    assert not sound.in_transaction
    waited = store.acquire()
    assert isinstance(waited, Wait)  # this process pauses although the file does not know it
    assert waited.paused


@pytest.mark.usefixtures("locked")
def test_of_a_locked_file_neither(store: SQLiteStore) -> None:
    store.release(0)
    store.pause(1.0)
    assert isinstance(store.acquire(), Unreachable)
    assert isinstance(store.wait_time(1), Unreachable)


def test_what_was_not_settled_counts_for_longer_and_never_for_less(tmp_path: Path) -> None:
    now = 1_700_000_000.0
    store = SQLiteStore(tmp_path / "budget", 2, 1.0, clock=lambda: now)
    slots = [store.acquire(), store.acquire()]
    sound, store._db = store._db, Broken(store._db, "UPDATE", sqlite3.SQLITE_FULL)  # type: ignore[assignment]
    store.release(slots[0])  # type: ignore[arg-type]
    store._db = sound
    now += 30
    assert isinstance(store.acquire(), Wait)
    now += 31.5
    assert isinstance(store.acquire(), int)
    store.close()


def test_taking_waits_for_a_locked_file(store: SQLiteStore, locked: Callable[[], None]) -> None:
    budget = RateLimiter(store, 5, 1.0)
    began = time.monotonic()
    threading.Timer(0.5, locked).start()
    with budget.permit(30.0, threading.Event()):
        assert time.monotonic() - began >= 0.4


@pytest.mark.usefixtures("locked")
def test_taking_fails_at_once_where_that_is_wanted(store: SQLiteStore) -> None:
    budget = RateLimiter(store, 5, 1.0, on_failure="fail")
    with (
        pytest.raises(HelpCrunchBudgetStoreError, match="database is locked"),
        budget.permit(30.0, threading.Event()),
    ):
        pass


@pytest.mark.usefixtures("locked")
def test_a_client_may_be_made_while_the_file_is_locked(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "budget", 5, 1.0).close()


def test_a_change_that_was_made_is_reported_although_its_permit_cannot_be_settled(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient], store: SQLiteStore
) -> None:
    account = sandbox(chats=5)
    caller = client(account, budget=RateLimiter(store, 5, 1.0))
    release = store.release

    def release_on_a_full_disk(slot: int) -> None:
        sound = store._db
        store._db = Broken(sound, "UPDATE", sqlite3.SQLITE_FULL)  # type: ignore[assignment]
        release(slot)
        store._db = sound

    store.release = release_on_a_full_disk  # type: ignore[method-assign]
    chat, agent = account.chats[0]["id"], account.agents[1]["id"]
    assert caller.update_chat_assignee(chat, agent)["assignee"]["id"] == agent
    assert account.chat(chat)["assignee"]["id"] == agent


def test_a_disk_that_is_really_full(tmp_path: Path, store: SQLiteStore) -> None:
    slot = store.acquire()
    assert isinstance(slot, int)
    store._db.execute("CREATE TABLE ballast (text)")
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store._db.executemany("INSERT INTO ballast VALUES (?)", [("x" * 1000,)] * 1000)
    store.release(slot)
    assert isinstance(store.acquire(), int | Wait | Unreachable)


class TestPoorFilesystem:
    """SMB mounts show one owner and one mode for everything, and let nobody change them."""

    def test_a_directory_that_is_as_open_as_all_files_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.fstat

        def open_to_all(descriptor: int) -> os.stat_result:
            status = list(real(descriptor))
            status[stat.ST_MODE] = stat.S_IFREG | 0o777
            return os.stat_result(status)

        directory = tmp_path / "mount"
        directory.mkdir()
        directory.chmod(0o777)
        with pytest.raises(HelpCrunchBudgetStoreError, match="Only this user"):
            private_directory(directory)
        monkeypatch.setattr(os, "fstat", open_to_all)
        assert private_directory(directory) == directory

    def test_somebody_elses_directory_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory = tmp_path / "theirs"
        directory.mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
        with pytest.raises(HelpCrunchBudgetStoreError, match="Only this user"):
            private_directory(directory)


def test_without_a_temporary_directory_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(HelpCrunchBudgetStoreError) as caught:
        open_rate_limiter("sqlite://", api_key="k", base_url="u")
    assert "TMPDIR" in str(caught.value)
    assert "rate_limit_store" in str(caught.value)
    open_rate_limiter("memory://", api_key="k", base_url="u").close()
