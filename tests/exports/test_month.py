"""Thirty nights of chats, customers and messages, with silent changes, deletions, crashes and a day left out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exporting import apply
from in_process import Killed, client_of

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.listings import ListingExport
from airflow_provider_helpcrunch.exports.manifest import Manifest, read_manifest
from airflow_provider_helpcrunch.exports.messages import MessagesExport
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CHATS, CUSTOMERS, MESSAGES
from airflow_provider_helpcrunch.storage import Target, read_records

pytestmark = pytest.mark.once

TABLES = {"chats": CHATS, "customers": CUSTOMERS, "messages": MESSAGES}
RESPELLED = {"status", "rating"}
"""Fields of a chat that the client gives one spelling; the original is beside them."""


class Warehouse:
    """
    Exports of one account, and the state that its changes lead to.

    :param folder: where they are
    :param account: the account
    :param file_format: format of the objects
    """

    def __init__(self, folder: Path, account: Sandbox, file_format: str) -> None:
        self.account = account
        self.format = file_format
        self.truth = folder / f"truth.{file_format}"
        self.bases = {name: BasePath(str(folder / name)) for name in ("chats", "customers", "messages")}
        self.states: dict[str, dict[int, Any]] = {name: {} for name in self.bases}
        self.now = 1_800_000_000.0
        self.last: dict[int, int] = {}
        self.moved: set[int] = set()
        """Chats whose ``lastMessageId`` has changed since the export of the messages before."""

    def started(self, name: str, run: str) -> Run:
        return Run(self.bases[name], Resource(TABLES[name], self.format), run, lambda: self.now)

    def engine(self, name: str, started: Run, **options: Any) -> ListingExport | MessagesExport:
        if name == "chats":
            return ListingExport(started, lambda client: client.iter_chats(page_size=20))
        if name == "customers":
            return ListingExport(started, lambda client: client.iter_customers(page_size=20))
        return MessagesExport(started, self.chats, private_notes=True, **options)

    def chats(self) -> Iterator[Any]:
        manifest = read_manifest(self.bases["chats"], "chats")
        assert manifest is not None
        return self.rows("chats", manifest.snapshot)

    def rows(self, name: str, objects: list[Any]) -> Iterator[Any]:
        for each in objects:
            yield from read_records(f"{self.bases[name]}/{each.path}", table=TABLES[name])

    def true(self, name: str) -> dict[int, Any]:
        """Return the records of the account by id, as an object of this format holds them."""
        records = self.account.truth(name)
        Target.resolve(str(self.truth), TABLES[name]).write(iter(records))
        rows = read_records(str(self.truth), table=TABLES[name])
        # The client adds fields of its own.
        return {
            record["id"]: {field: row[field] for field in record}
            for row, record in zip(rows, records, strict=True)
        }

    def note_moved(self) -> None:
        """Compare ``lastMessageId`` of all chats with what it was the last time."""
        now = {row["id"]: row["lastMessageId"] for row in self.chats()}
        self.moved = {chat for chat, last in now.items() if self.last.get(chat) != last}
        self.last = now

    def export(self, name: str, run: str, **options: Any) -> Manifest:
        self.now += 60
        with self.started(name, run) as started:
            return self.engine(name, started, **options).run(client_of(self.account))

    def check(self, name: str, manifest: Manifest, *, edits_are_seen: bool = False) -> None:
        """Hold a snapshot against the account, and the changes so far against the snapshot."""
        snapshot = {row["id"]: row for row in self.rows(name, manifest.snapshot)}
        assert len(snapshot) == manifest.records == sum(each.records for each in manifest.snapshot)
        true = self.true(name)
        if name == "messages":
            true = {number: row for number, row in true.items() if row["type"] != "tech"}
            # A private note, or a message that arrives behind the last one, leaves no trace in its chat: it is found
            # when the chat moves.
            if not edits_are_seen:
                chats = {row["id"]: row["lastMessageId"] for row in self.chats()}
                hidden = {
                    number
                    for number, row in true.items()
                    if row["chat"] not in self.moved and number != chats[row["chat"]]
                }
                true = {number: row for number, row in true.items() if number not in hidden - snapshot.keys()}
        assert snapshot.keys() == true.keys()
        for number, record in true.items():
            exported, volatile = snapshot[number], RESPELLED if name == "chats" else set()
            if name == "messages" and not edits_are_seen:
                volatile = {"text", "edited", "updatedAt", "read"}
            differing = {
                field for field in record if field not in volatile and exported[field] != record[field]
            }
            assert not differing, (number, {field: (exported[field], record[field]) for field in differing})
            if name == "chats":
                assert exported["statusRaw"] == record["status"]
        apply(self.states[name], list(self.rows(name, manifest.changes)))
        assert self.states[name] == snapshot


def dying(error: type[BaseException], after: int) -> Callable[[BasePath, str, bytes], None]:
    """Return a ``BasePath.write`` that fails at a write."""
    honest, count = BasePath.write, 0

    def write(base: BasePath, name: str, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == after:
            raise error
        honest(base, name, data)

    return write


FAILING = {7: Killed, 12: HelpCrunchStorageError, 19: Killed}
LEFT_OUT, RUN_AGAIN = 22, 15


@pytest.mark.parametrize(
    ("seed", "file_format"),
    [
        (1, "jsonl"),
        *(pytest.param(seed, kind, marks=pytest.mark.long) for seed, kind in ((2, "csv"), (3, "parquet"))),
    ],
)
def test_a_month(seed: int, file_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    account = Sandbox(agents=5, chats=70, messages=4, seed=seed, rate_limit=10**6)
    warehouse = Warehouse(tmp_path, account, file_format)

    def fail(name: str, day: int) -> None:
        """Let the first try of the night fail at one of its writes."""
        patch.setattr(BasePath, "write", dying(FAILING[day], chance.randint(2, 9)))
        warehouse.export(name, f"day {day}")

    for day in range(31):
        if day:
            a_night(account, chance)
        for name in warehouse.bases if day != LEFT_OUT else ():
            if day in FAILING:
                with monkeypatch.context() as patch, pytest.raises(FAILING[day]):
                    fail(name, day)
            if name == "messages":
                warehouse.note_moved()
            manifest = warehouse.export(name, f"day {day}")
            if day == RUN_AGAIN and name == "chats":
                account.night(silent=3, messages=1)
                manifest = warehouse.export(name, f"day {day}")  # replaces it, before anyone used its changes
            assert manifest.warnings == []
            warehouse.check(name, manifest)
    warehouse.check("messages", warehouse.export("messages", "the end", full=True), edits_are_seen=True)


def a_night(account: Sandbox, chance: random.Random) -> None:
    """Let people work for a night."""
    account.night(
        chats=3,
        customers=2,
        messages=8,
        late_messages=2,
        message_edits=2,
        silent=6,
        closed=2,
        customer_edits=4,
        deletions=chance.choice((0, 1)),
        lost_chats=chance.choice((0, 1)),
    )
