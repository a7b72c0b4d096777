"""Exports of an account in process, held against its truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from in_process import client_of

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.listings import ListingExport
from airflow_provider_helpcrunch.exports.manifest import Manifest
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CHATS
from airflow_provider_helpcrunch.storage import read_records

Rows = dict[int, dict[str, Any]]


class Exports:
    """
    Exports of the chats of one account.

    :param base: the base path
    :param file_format: format of the objects
    """

    def __init__(self, base: Path, file_format: str = "jsonl") -> None:
        self.base = base
        self.resource = Resource(CHATS, file_format)
        self.now = 1_800_000_000.0

    def started(self, run: str) -> Run:
        return Run(BasePath(str(self.base)), self.resource, run, lambda: self.now)

    def engine(self, run: str | Run, page_size: int = 10) -> ListingExport:
        started = run if isinstance(run, Run) else self.started(run)
        return ListingExport(started, lambda client: client.iter_chats(page_size=page_size))

    def run(self, account: Sandbox, run: str, page_size: int = 10, requests: int = 5_000) -> Manifest:
        """Export as a task does, with so many requests."""
        with self.started(run) as started:
            return self.engine(started, page_size).run(client_of(account, requests))

    def snapshot(self, manifest: Manifest) -> Rows:
        """Return the records of a snapshot by id, after holding its objects against the manifest."""
        rows = [row for each in manifest.snapshot for row in self.read(each.path)]
        assert len(rows) == manifest.records == len({row["id"] for row in rows})
        for each in manifest.objects:
            data = (self.base / each.path).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (each.bytes, each.sha256)
        return {row["id"]: row for row in rows}

    def changes(self, manifest: Manifest) -> list[dict[str, Any]]:
        rows = [row for each in manifest.changes for row in self.read(each.path)]
        assert len({row["id"] for row in rows}) == len(rows)
        return rows

    def read(self, name: str) -> list[dict[str, Any]]:
        return list(read_records(str(self.base / name), table=self.resource.table))

    def head(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.base / "manifest.json").read_text())
        return found

    def files(self) -> set[str]:
        return {str(path.relative_to(self.base)) for path in self.base.rglob("*") if path.is_file()}


def truth(account: Sandbox, list_all: Callable[[HelpCrunchClient], list[Any]] | None = None) -> Rows:
    """Return all chats as a client gets them, read in one go while nothing changes."""
    client = client_of(account)
    found = list_all(client) if list_all else client.list_chats()
    return {record["id"]: dict(record) for record in found}


def apply(state: Rows, changes: list[dict[str, Any]]) -> None:
    """Apply the changes of an export to the state before it."""
    for row in changes:
        record = {name: value for name, value in row.items() if name not in ("change", "seenAt")}
        if row["change"] == "deleted":
            assert state.pop(row["id"], None) is not None, "a record was deleted that was not there"
        else:
            assert (row["id"] in state) == (row["change"] == "updated")
            state[row["id"]] = record
