"""Exports on S3, over HTTP and through an Airflow connection: their base path is a prefix, and holds the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from in_process import client_of

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.listings import ListingExport
from airflow_provider_helpcrunch.exports.manifest import Manifest, read_manifest
from airflow_provider_helpcrunch.exports.messages import MessagesExport
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CHATS, MESSAGES
from airflow_provider_helpcrunch.storage import read_records

if TYPE_CHECKING:
    from conftest import S3

NIGHT = {"chats": 3, "messages": 6, "silent": 4, "closed": 2, "deletions": 1}
FORMATS = ("jsonl", "parquet")


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(agents=4, chats=25, messages=3, rate_limit=None)


class Lake:
    """Exports of chats and messages below one prefix."""

    def __init__(self, s3: S3, file_format: str) -> None:
        self._url = f"{s3.url}/lake"
        self._format = file_format

    def started(self, table: Any, run: str) -> Run:
        base = BasePath(f"{self._url}/{table.name}")
        return Run(base, Resource(table, self._format), run, lambda: 1_800_000_000.0)

    def night(self, account: Sandbox, run: str) -> None:
        self.chats(account, run)
        with self.started(MESSAGES, run) as started:
            MessagesExport(started, lambda: self.rows("chats").values()).run(client_of(account))

    def chats(self, account: Sandbox, run: str) -> None:
        with self.started(CHATS, run) as started:
            ListingExport(started, lambda client: client.iter_chats(page_size=10)).run(client_of(account))

    def rows(self, name: str) -> dict[int, dict[str, Any]]:
        base = BasePath(f"{self._url}/{name}")
        manifest = read_manifest(base, name)
        assert isinstance(manifest, Manifest)
        rows = [row for each in manifest.snapshot for row in read_records(f"{self._url}/{name}/{each.path}")]
        assert len(rows) == len({row["id"] for row in rows})
        return {row["id"]: row for row in rows}


@pytest.mark.parametrize("file_format", [pytest.param(FORMATS[0], marks=pytest.mark.long), *FORMATS[1:]])
def test_two_nights_equal_the_truth(file_format: str, s3: S3, account: Sandbox) -> None:
    lake = Lake(s3, file_format)
    for day in ("day 1", "day 2"):
        lake.night(account, day)
        chats = {chat["id"]: chat["lastMessageText"] for chat in account.truth("chats")}
        assert {number: chat["lastMessageText"] for number, chat in lake.rows("chats").items()} == chats
        messages = {
            each["id"]: each["text"] for each in account.truth("messages") if each["type"] == "message"
        }
        assert {number: row["text"] for number, row in lake.rows("messages").items()} == messages
        account.night(28_800, **NIGHT)


def test_an_upload_that_fails_leaves_the_night_before(s3: S3, account: Sandbox) -> None:
    lake = Lake(s3, "jsonl")
    lake.chats(account, "day 1")
    before = lake.rows("chats")
    account.night(28_800, **NIGHT)
    s3.cut = lambda method, query: "before" if method == "PUT" else None
    with pytest.raises(HelpCrunchStorageError):
        lake.chats(account, "day 2")
    s3.cut = lambda method, query: None
    assert lake.rows("chats") == before
    lake.chats(account, "day 2")
    assert lake.rows("chats").keys() == {chat["id"] for chat in account.truth("chats")}


def test_a_prefix_of_something_else_is_refused(s3: S3, account: Sandbox) -> None:
    s3.client.put_object(Bucket="bucket", Key="lake/chats/manifest.json", Body=b'{"name": "theirs"}')
    sent = len(account.journal)
    with pytest.raises(HelpCrunchConfigurationError):
        Lake(s3, "jsonl").chats(account, "day 1")
    assert len(account.journal) == sent
    assert s3.listing() == {"lake/chats/manifest.json": b'{"name": "theirs"}'}
