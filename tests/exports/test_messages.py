"""Exports of messages: only what moved is read, and every shortfall is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_process import client_of, send_ids_as_text

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
    HelpCrunchRateLimitError,
    HelpCrunchStorageError,
)
from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.manifest import Manifest
from airflow_provider_helpcrunch.exports.messages import MessagesExport
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import MESSAGES
from airflow_provider_helpcrunch.storage import read_records


class Messages:
    """
    Exports of all messages of an account.

    :param folder: the base path
    :param account: the account
    """

    def __init__(self, folder: Path, account: Sandbox, file_format: str = "jsonl") -> None:
        self.base = BasePath(str(folder))
        self.account = account
        self.file_format = file_format

    def run(
        self,
        run: str,
        requests: int = 5_000,
        lying: int = 0,
        nameless: int = 0,
        chats: list[Any] | None = None,
        **options: Any,
    ) -> Manifest:
        """
        Run an export.

        HelpCrunch says of the chat ``lying`` that it has a later message than it sends, and of ``nameless`` none.
        """
        chats = client_of(self.account).list_chats() if chats is None else chats
        for chat in chats:
            if chat["id"] == lying:
                chat["lastMessageId"] = (chat["lastMessageId"] or 0) + 10**9
            if chat["id"] == nameless:
                chat["lastMessageId"] = None
        with Run(self.base, Resource(MESSAGES, self.file_format), run) as started:
            engine = MessagesExport(started, lambda: chats, **options)
            return engine.run(client_of(self.account, requests))

    def rows(self, objects: list[Any]) -> list[dict[str, Any]]:
        return [row for each in objects for row in read_records(f"{self.base}/{each.path}", table=MESSAGES)]

    def read_since(self, place: int) -> list[str]:
        """Return the paths of the messages requested since a place in the journal."""
        return [
            entry.path for entry in list(self.account.journal)[place:] if entry.path.endswith("/messages")
        ]

    def true(self, *, notes: bool = False) -> set[int]:
        return {
            row["id"]
            for row in self.account.truth("messages")
            if row["type"] != "tech" and (notes or row["type"] != "private")
        }


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(agents=4, chats=25, messages=6, tech_messages=True, rate_limit=10**6)


@pytest.fixture
def messages(tmp_path: Path, account: Sandbox) -> Messages:
    return Messages(tmp_path / "messages", account)


@pytest.mark.parametrize("file_format", ["jsonl", "csv.gz", "parquet"])
def test_notes_are_left_out_and_system_rows_kept_apart(
    file_format: str, tmp_path: Path, account: Sandbox
) -> None:
    messages = Messages(tmp_path / "m", account, file_format)
    account.update_chat(account.chats[0]["id"], assignee=1003)
    manifest = messages.run("day 0")
    rows = messages.rows(manifest.snapshot)
    assert {row["id"] for row in rows} == messages.true()
    assert [row["chat"] for row in rows] == sorted(row["chat"] for row in rows)
    assert {row["type"] for row in messages.rows(manifest.system)} <= {"tech"}
    manifest = messages.run("day 1", private_notes=True, full=True)
    assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true(notes=True)


def test_only_chats_that_moved_are_read(messages: Messages, account: Sandbox) -> None:
    messages.run("day 0")
    chats = [chat["id"] for chat in account.chats if chat["lastMessageId"]]
    for chat in chats[3:5]:
        client_of(account).send_message(chat, "one more", agent=1002)
    place = len(account.journal)
    manifest = messages.run("day 1")
    assert messages.read_since(place) == [f"/v1/chats/{chat}/messages" for chat in sorted(chats[3:5])]
    assert (manifest.inserted, manifest.updated, manifest.deleted) == (2, 0, 0)
    assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_ids_that_are_texts(
    file_format: str, tmp_path: Path, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_ids_as_text(monkeypatch)
    messages = Messages(tmp_path / "m", account, file_format)
    first = messages.run("day 0")
    assert (first.warnings, {int(row["id"]) for row in messages.rows(first.snapshot)}) == (
        [],
        messages.true(),
    )
    second = messages.run("day 1")
    assert (second.warnings, second.requests, second.unchanged) == ([], 0, first.records)


@pytest.mark.parametrize("many", [99, 100, 101, 250])
def test_a_long_chat(many: int, messages: Messages, account: Sandbox) -> None:
    chat = next(chat["id"] for chat in account.chats if chat["lastMessageId"])
    messages.run("day 0")
    with client_of(account) as client:
        for number in range(many):
            client.send_message(chat, f"{number}", agent=1002)
    manifest = messages.run("day 1")
    assert manifest.inserted == many
    assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()


def test_a_crash_in_the_middle_of_a_long_chat_costs_one_page(messages: Messages, account: Sandbox) -> None:
    chat = next(chat["id"] for chat in account.chats if chat["lastMessageId"])
    with client_of(account) as client:
        for number in range(450):
            client.send_message(chat, f"{number}", agent=1002)
    place = len(account.journal)
    manifest = messages.run("whole")
    needed = len(messages.read_since(place))
    for permits in range(1, needed):
        other = Messages(Path(f"{messages.base}-{permits}"), account)
        place = len(account.journal)
        with pytest.raises(HelpCrunchRateLimitError):
            other.run("day 0", permits)
        manifest = other.run("day 0")
        assert {row["id"] for row in other.rows(manifest.snapshot)} == messages.true()
        assert len(messages.read_since(place)) <= needed + 1


def test_an_edit_is_seen_by_a_full_export_alone(messages: Messages, account: Sandbox) -> None:
    messages.run("day 0", private_notes=True)
    edited = {each.id for each in account.night(message_edits=5)}
    assert messages.run("day 1", private_notes=True).updated == 0
    manifest = messages.run("day 2", private_notes=True, full=True)
    assert {row["id"] for row in messages.rows(manifest.changes) if row["change"] == "updated"} == edited


def test_a_chat_that_is_gone_takes_its_messages_along(tmp_path: Path) -> None:
    account = Sandbox(agents=4, chats=25, messages=6, rate_limit=10**6)
    messages = Messages(tmp_path / "m", account)
    messages.run("day 0")
    account.night(deletions=1, lost_chats=2)
    manifest = messages.run("day 1")
    assert manifest.deleted > 0
    assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()


class TestShortfalls:
    def test_a_last_message_that_never_comes_is_told_and_looked_for_again(
        self, messages: Messages, account: Sandbox
    ) -> None:
        chat = next(chat["id"] for chat in account.chats if chat["lastMessageId"])
        manifest = messages.run("day 0", lying=chat)
        assert f"The next run reads them again: {chat}" in manifest.warnings[-1]
        assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()
        place = len(account.journal)
        manifest = messages.run("day 1")
        assert messages.read_since(place) == [f"/v1/chats/{chat}/messages"]
        assert manifest.warnings == []

    def test_a_late_message_makes_the_chat_be_read_whole(self, messages: Messages, account: Sandbox) -> None:
        messages.run("day 0")
        (late,) = account.night(late_messages=1)
        client_of(account).send_message(late.chat, "after it", agent=1002)
        manifest = messages.run("day 1")
        assert late.id in {row["id"] for row in messages.rows(manifest.changes)}
        assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()


@pytest.mark.parametrize(
    "chat",
    [{"id": 1}, {"lastMessageId": 1}, {"id": "x", "lastMessageId": 1}, {"id": 1, "lastMessageId": "hash"}],
)
def test_chats_without_the_fields_are_refused(
    chat: dict[str, Any], messages: Messages, account: Sandbox
) -> None:
    engine = MessagesExport(Run(messages.base, Resource(MESSAGES, "jsonl"), "day 0"), lambda: [chat])
    with pytest.raises(HelpCrunchConfigurationError, match="need the fields id and lastMessageId"):
        engine.run(client_of(account))
    assert len(account.journal) == 0


class TestHostileAccounts:
    """Whatever HelpCrunch sends, nothing is deleted or left out without a word."""

    @staticmethod
    def chat_of(account: Sandbox) -> int:
        """Return a chat that has messages."""
        return next(chat["id"] for chat in account.chats if chat["lastMessageId"])

    def test_404_for_messages_of_a_chat_that_exists(self, messages: Messages, account: Sandbox) -> None:
        messages.run("day 0")
        account.add_fault(Fault("status", status=404, path="*/messages", times=0))
        with pytest.raises(HelpCrunchNotFoundError):
            messages.run("day 1", full=True)
        account.clear_faults()
        assert messages.run("day 1", full=True).deleted == 0

    def test_404_for_everything_after_a_chat_that_is_gone(self, messages: Messages, account: Sandbox) -> None:
        messages.run("day 0")
        chats = client_of(account).list_chats()
        chat = self.chat_of(account)
        client_of(account).delete_customer(account.chat(chat)["customer"]["id"])
        sent = len(account.journal)
        Messages(Path(f"{messages.base}-other"), account).run("day 1", chats=chats)
        paths = [entry.path for entry in list(account.journal)[sent:]]
        confirmed = paths.index("/v1/chats/search") + 1
        account.add_fault(Fault("status", status=404, nth=confirmed + 1, times=0))
        with pytest.raises(HelpCrunchNotFoundError):
            messages.run("day 1", chats=chats, full=True)
        account.clear_faults()
        manifest = messages.run("day 1", chats=chats, full=True)
        assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()

    def test_a_chat_that_is_gone_between_two_tries(self, messages: Messages, account: Sandbox) -> None:
        messages.run("day 0")
        with pytest.raises(HelpCrunchRateLimitError):
            messages.run("day 1", 5, full=True)
        first = min(chat["id"] for chat in account.chats)
        client_of(account).delete_customer(account.chat(first)["customer"]["id"])
        assert first not in {chat["id"] for chat in account.chats}
        manifest = messages.run("day 1", full=True)
        assert first not in {row["chat"] for row in messages.rows(manifest.snapshot)}
        assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()

    def test_a_chat_that_is_gone_since_the_chats_were_listed(
        self, messages: Messages, account: Sandbox
    ) -> None:
        messages.run("day 0")
        chats = client_of(account).list_chats()
        chat = self.chat_of(account)
        client_of(account).delete_customer(account.chat(chat)["customer"]["id"])
        manifest = messages.run("day 1", chats=chats, full=True)
        assert chat not in {row["chat"] for row in messages.rows(manifest.snapshot)}
        assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()

    def test_a_short_reading_deletes_nothing(self, messages: Messages, account: Sandbox) -> None:
        chat = self.chat_of(account)
        before = {row["id"] for row in messages.rows(messages.run("day 0").snapshot)}
        client_of(account).send_message(chat, "one more", agent=1002)
        account.add_fault(Fault("empty_page", path=f"/v1/chats/{chat}/messages", times=0))
        manifest = messages.run("day 1")
        assert manifest.deleted == 0
        assert before <= {row["id"] for row in messages.rows(manifest.snapshot)}
        assert f"reads them again: {chat}" in manifest.warnings[-1]
        account.clear_faults()
        manifest = messages.run("day 2")
        assert {row["id"] for row in messages.rows(manifest.snapshot)} == messages.true()
        assert manifest.warnings == []

    def test_a_last_message_that_is_no_longer_named(self, messages: Messages, account: Sandbox) -> None:
        messages.run("day 0")
        place = len(account.journal)
        chat = self.chat_of(account)
        messages.run("day 1", nameless=chat)
        assert messages.read_since(place) == [f"/v1/chats/{chat}/messages"]

    def test_a_message_between_the_list_of_chats_and_the_reading(
        self, messages: Messages, account: Sandbox
    ) -> None:
        chat = self.chat_of(account)
        chats = client_of(account).list_chats()
        client_of(account).send_message(chat, "meanwhile", agent=1002)
        messages.run("day 0", chats=chats)
        place = len(account.journal)
        manifest = messages.run("day 1")
        assert messages.read_since(place) == [f"/v1/chats/{chat}/messages"]
        assert (manifest.inserted, manifest.deleted, manifest.warnings) == (0, 0, [])

    def test_a_retry_that_asks_for_everything(self, messages: Messages, account: Sandbox) -> None:
        messages.run("day 0", private_notes=True)
        edited = {each.id for each in account.night(message_edits=5)}
        for chat in [chat["id"] for chat in account.chats if chat["lastMessageId"]][:2]:
            client_of(account).send_message(chat, "one more", agent=1002)
        with pytest.raises(HelpCrunchRateLimitError):
            messages.run("day 1", 1, private_notes=True)
        manifest = messages.run("day 1", private_notes=True, full=True)
        assert edited <= {row["id"] for row in messages.rows(manifest.changes)}

    def test_a_damaged_snapshot(self, messages: Messages, account: Sandbox) -> None:
        path = Path(str(messages.base)) / messages.run("day 0").snapshot[0].path
        path.write_bytes(path.read_bytes().partition(b"\n")[2])
        client_of(account).send_message(self.chat_of(account), "one more", agent=1002)
        with pytest.raises(HelpCrunchStorageError, match="is missing or damaged: restore it"):
            messages.run("day 1")
