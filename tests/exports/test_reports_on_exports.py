"""Reports on what exports leave, held against the account."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from exporting import Exports, truth

from airflow_provider_helpcrunch import reports
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.exports.run import Resource
from airflow_provider_helpcrunch.privacy import Privacy
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CHATS
from airflow_provider_helpcrunch.storage.location import Location, locate

pytest.importorskip("duckdb")


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    return Exports(tmp_path / "lake" / "chats", "parquet")


@pytest.fixture
def connection() -> Iterator[Any]:
    with reports.connect() as connection:
        yield connection


def test_chats_of_the_latest_export(exports: Exports, account: Sandbox, connection: Any) -> None:
    exports.run(account, "day 0")
    account.insert_chats(3, assignee=1001)
    exports.run(account, "day 1")
    reports.views(connection, chats=reports.snapshot_files(str(exports.base)))
    chats = truth(account)
    rows = reports.report(connection, "chats_per_agent")
    assert sum(row["created"] for row in rows) == len(chats) == 98
    for row in rows:
        own = [chat for chat in chats.values() if (chat["assignee"] or {}).get("id") == row["agent"]]
        statuses = [chat["status"] for chat in own]
        assert (row["created"], row["closed"]) == (len(own), statuses.count("closed"))
        assert row["open_now"] == len([status for status in statuses if status not in ("closed", "empty")])
    closed = {number for number, chat in chats.items() if chat["status"] == "closed"}
    assert {row["chat"] for row in reports.report(connection, "time_to_close")} == closed


def test_reassignments_of_all_exports(exports: Exports, account: Sandbox, connection: Any) -> None:
    first, second, third = [chat["id"] for chat in account.chats if chat["status"] == "opened"][:3]
    for number in (first, second, third):
        account.update_chat(number, assignee=1001)
    exports.run(account, "day 0")
    moves = [(first, 1002), (first, 1003), (second, None)]
    days = [datetime.fromtimestamp(exports.now, UTC)]
    for day, (number, to) in enumerate(moves, 1):
        exports.now += 86_400
        days.append(datetime.fromtimestamp(exports.now, UTC))
        account.update_chat(number, assignee=to)
        account.update_chat(third, status="closed" if day % 2 else "opened")
        exports.run(account, f"day {day}")
    files = reports.change_files(str(exports.base))
    assert len(files) == 4
    reports.views(connection, chat_changes=files)
    rows = reports.report(connection, "reassignments")
    assert [
        (row["chat"], row["kind"], row["from_agent"], row["to_agent"], row["seen_before"], row["seen"])
        for row in rows
    ] == [
        (first, "reassigned", 1001, 1002, days[0], days[1]),
        (first, "reassigned", 1002, 1003, days[1], days[2]),
        (second, "unassigned", 1001, None, days[2], days[3]),
    ]


def test_an_export_without_the_assignee_is_no_reassignment(
    exports: Exports, account: Sandbox, connection: Any
) -> None:
    moved = next(chat["id"] for chat in account.chats if chat["status"] == "opened")
    account.update_chat(moved, assignee=1001)
    few = Privacy.of(CHATS, ["status", "createdAt"])
    without = Resource(few.table, "parquet", few.fingerprint)
    for day, resource in enumerate([exports.resource, without, exports.resource]):
        exports.resource = resource
        exports.now += 86_400
        manifest = exports.run(account, f"day {day}")
        assert manifest.inserted + manifest.updated == len(account.chats)
        account.update_chat(moved, assignee=1002)
    reports.views(connection, chat_changes=reports.change_files(str(exports.base)))
    assert [
        (row["chat"], row["from_agent"], row["to_agent"])
        for row in reports.report(connection, "reassignments")
    ] == [(moved, 1001, 1002)]


def test_changes_end_where_a_manifest_was_deleted(exports: Exports, account: Sandbox) -> None:
    for day in range(3):
        exports.run(account, f"day{day}")
    (exports.base / "runs" / "run=day0" / "manifest.json").unlink()
    files = reports.change_files(f"{exports.base}/")
    assert [Path(file).parent.name for file in files] == ["run=day1", "run=day2"]


def test_urls_come_without_the_connection_id(
    exports: Exports, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = [each.path for each in exports.run(account, "day 0").snapshot]

    def remote(path: str) -> Location:
        text = path.replace(str(exports.base), "s3://lake@bucket/chats")
        is_manifest = path.endswith("manifest.json")
        return locate(path) if is_manifest else Location(text, "")

    monkeypatch.setattr(reports, "locate", remote)
    assert reports.snapshot_files(str(exports.base)) == [f"s3://bucket/chats/{name}"]


def test_no_export(tmp_path: Path) -> None:
    for files in (reports.snapshot_files, reports.change_files):
        with pytest.raises(HelpCrunchConfigurationError, match="There is no export at .*manifest"):
            files(str(tmp_path))


def test_another_format(tmp_path: Path, account: Sandbox) -> None:
    exports = Exports(tmp_path / "lake")
    exports.run(account, "day 0")
    with pytest.raises(HelpCrunchConfigurationError, match=r"Reports read Parquet, .* of the format jsonl\."):
        reports.snapshot_files(str(exports.base))


def test_a_damaged_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(HelpCrunchConfigurationError, match="not the manifest of an export, or is damaged"):
        reports.snapshot_files(str(tmp_path))
