"""Exports of chats: the snapshot is the truth, the changes lead from one to the next, and a crash costs one page."""

from __future__ import annotations

import contextlib
import json
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from exporting import Exports, apply, truth
from in_process import Killed, client_of

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchConfigurationError,
    HelpCrunchPaginationError,
    HelpCrunchRateLimitError,
    HelpCrunchStorageError,
)
from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.digests import Digests
from airflow_provider_helpcrunch.exports.listings import ListingExport
from airflow_provider_helpcrunch.exports.manifest import ExportedObject, Manifest
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.exports.staging import LONGEST_SILENCE
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import CHATS, CUSTOMERS
from airflow_provider_helpcrunch.storage import read_records


class TestContents:
    def test_the_first_export_has_everything_as_inserted(self, exports: Exports, account: Sandbox) -> None:
        manifest = exports.run(account, "day 0")
        assert exports.snapshot(manifest) == truth(account)
        assert {row["change"] for row in exports.changes(manifest)} == {"inserted"}
        assert (manifest.records, manifest.inserted, manifest.sequence) == (95, 95, 1)
        assert exports.head()["run"] == "day 0"

    @pytest.mark.parametrize("file_format", ["jsonl", "jsonl.gz", "json", "csv", "parquet"])
    def test_the_next_one_finds_every_change(self, file_format: str, tmp_path: Path) -> None:
        exports, account = Exports(tmp_path / "lake", file_format), Sandbox(agents=4, chats=60)
        state = exports.snapshot(exports.run(account, "day 0"))
        opened = [chat for chat in account.chats if chat["status"] == "opened"]
        account.update_chat(opened[0]["id"], status="closed")
        account.update_chat(opened[1]["id"], assignee=None if opened[1]["assignee"] else 1001)
        account.insert_chats(2, assignee=1001)
        manifest = exports.run(account, "day 1")
        assert (manifest.inserted, manifest.updated, manifest.deleted, manifest.unchanged) == (2, 2, 0, 58)
        apply(state, exports.changes(manifest))
        assert state == exports.snapshot(manifest)
        if file_format.startswith("json"):
            assert state == truth(account)

    @pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
    def test_a_deleted_customer_is_written_as_it_was(self, file_format: str, tmp_path: Path) -> None:
        account, resource = Sandbox(agents=1, chats=20), Resource(CUSTOMERS, file_format)

        def export(run: str) -> Manifest:
            with Run(BasePath(str(tmp_path)), resource, run, lambda: 1_800_000_000.0) as started:
                return ListingExport(started, lambda client: client.iter_customers()).run(client_of(account))

        def rows(objects: list[ExportedObject]) -> dict[int, Any]:
            read = [read_records(str(tmp_path / each.path), table=CUSTOMERS) for each in objects]
            return {row["id"]: row for row in chain(*read)}

        before = rows(export("day 0").snapshot)
        gone = next(number for number, row in before.items() if row["customData"] not in (None, "{}", {}))
        client_of(account).delete_customer(gone)
        change = rows(export("day 1").changes)[gone]
        assert change.pop("change") == "deleted"
        assert change.pop("seenAt")
        assert change == before[gone]

    def test_nothing_changed(self, exports: Exports, account: Sandbox) -> None:
        exports.run(account, "day 0")
        manifest = exports.run(account, "day 1")
        assert exports.changes(manifest) == []
        assert (manifest.inserted, manifest.updated, manifest.deleted, manifest.unchanged) == (0, 0, 0, 95)
        assert [(each.records, each.path.endswith(".jsonl")) for each in manifest.changes] == [(0, True)]

    def test_an_account_without_chats(self, exports: Exports) -> None:
        manifest = exports.run(Sandbox(agents=1, chats=0), "day 0")
        assert exports.snapshot(manifest) == {}

    def test_when_a_change_was_seen(self, exports: Exports, account: Sandbox) -> None:
        exports.run(account, "day 0")
        exports.now += 86_400
        account.insert_chats(1, assignee=1001)
        (row,) = exports.changes(exports.run(account, "day 1"))
        assert row["seenAt"] == 1_800_086_400

    def test_other_columns_make_every_record_count_as_updated(
        self, exports: Exports, account: Sandbox
    ) -> None:
        exports.run(account, "day 0")
        exports.resource = Resource(CHATS, "jsonl", "other columns")
        manifest = exports.run(account, "day 1")
        assert "unchanged records count as updated" in manifest.warnings[0]

    @pytest.mark.parametrize("records", [1, 99, 100, 101, 450])
    def test_costs_one_request_a_page(self, records: int, exports: Exports) -> None:
        account = Sandbox(agents=2, chats=records)
        manifest = exports.run(account, "day 0", page_size=100)
        assert manifest.requests == len(account.journal) <= 1.02 * records / 99 + 2


class TestCrashes:
    @pytest.mark.parametrize("kill", [Killed, HelpCrunchStorageError])
    @pytest.mark.parametrize("writes", range(1, 36))
    def test_cost_one_page_at_most_and_lose_nothing(
        self,
        writes: int,
        kill: type[BaseException],
        exports: Exports,
        account: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A worker dies, or the storage fails, at each write of an export, before or after it."""
        state = exports.snapshot(exports.run(account, "day 0"))
        account.update_chat(account.chats[0]["id"], assignee=1003)
        exports.now += 86_400
        before, count = len(account.journal), 0
        honest = BasePath.write

        def dying(base: BasePath, name: str, data: bytes) -> None:
            nonlocal count
            count += 1
            if count == writes and writes % 2:
                raise kill
            honest(base, name, data)
            if count == writes:
                raise kill

        with monkeypatch.context() as patch:
            patch.setattr(BasePath, "write", dying)
            try:
                exports.run(account, "day 1")
            except kill:
                assert exports.head()["run"] in ("day 0", "day 1")
        exports.now += 60
        manifest = exports.run(account, "day 1")
        assert exports.snapshot(manifest) == truth(account)
        apply(state, exports.changes(manifest))
        assert state == truth(account)
        (needed,) = {12}  # pages of ten, overlapping by one, of 95 chats, and the end
        if count >= writes and exports.head()["token"] == manifest.token:
            assert len(account.journal) - before - 2 <= 2 * needed
        assert not [name for name in exports.files() if name.startswith("staging")]
        in_use = {each.path for each in manifest.objects}
        assert {name for name in exports.files() if "day-1" in name and "manifest" not in name} == in_use

    def test_read_at_most_one_page_again(self, exports: Exports, account: Sandbox) -> None:
        whole = len(account.journal)
        exports.run(account, "day 0")
        needed = len(account.journal) - whole
        for permits in range(1, needed):
            before = len(account.journal)
            with pytest.raises(HelpCrunchRateLimitError):
                exports.run(account, f"run {permits}", requests=permits)
            exports.run(account, f"run {permits}")
            assert len(account.journal) - before <= needed + 1

    def test_a_key_that_is_refused_keeps_the_pages(self, exports: Exports, account: Sandbox) -> None:
        account.add_fault(Fault("status", status=401, path="/v1/chats", nth=5))
        with pytest.raises(HelpCrunchAuthError):
            exports.run(account, "day 0")
        assert not (exports.base / "manifest.json").exists()
        manifest = exports.run(account, "day 0")
        assert exports.snapshot(manifest) == truth(account)
        offsets = [entry.offset for entry in account.journal if entry.path == "/v1/chats"]
        assert len(offsets) - len(set(offsets)) <= 2

    def test_chats_that_come_and_go_between_the_tries(self, exports: Exports, account: Sandbox) -> None:
        with pytest.raises(HelpCrunchRateLimitError):
            exports.run(account, "day 0", requests=4)
        account.insert_chats(30, assignee=1001)
        manifest = exports.run(account, "day 0")
        assert exports.snapshot(manifest).keys() == truth(account).keys()

    @pytest.mark.parametrize("seed", range(6))
    def test_a_listing_that_was_refused_is_not_published_by_its_retry(
        self, seed: int, exports: Exports
    ) -> None:
        """A page came from another order, so the pages do not hold all chats: the next try begins again."""
        account = Sandbox(agents=4, chats=95, seed=seed, rate_limit=10**6)
        account.add_fault(Fault("shuffle", path="/v1/chats", nth=3))
        for _ in range(3):
            with contextlib.suppress(HelpCrunchPaginationError):
                manifest = exports.run(account, "day 0")
                break
        assert exports.snapshot(manifest) == truth(account)

    def test_a_damaged_page_is_refused_with_the_way_out(self, exports: Exports, account: Sandbox) -> None:
        with pytest.raises(HelpCrunchRateLimitError):
            exports.run(account, "day 0", requests=4)
        part = next(name for name in exports.files() if name.endswith(".jsonl"))
        (exports.base / part).write_bytes(b'{"id": 1')
        with pytest.raises(
            HelpCrunchStorageError, match="damaged: delete .*claim.json to begin this run again"
        ):
            exports.run(account, "day 0")
        (exports.base / "staging" / "claim.json").unlink()
        assert exports.snapshot(exports.run(account, "day 0")) == truth(account)


class TestRuns:
    def test_another_one_that_publishes_in_between(self, exports: Exports, account: Sandbox) -> None:
        engine = exports.engine("day 0")
        exports.run(account, "meanwhile")
        with pytest.raises(HelpCrunchStorageError, match="has just finished an export"):
            engine.run(client_of(account))
        assert exports.run(account, "day 0").sequence == 2

    @pytest.mark.parametrize("ahead", [40, 86_400 * 30])
    def test_a_clock_that_was_wrong(self, ahead: float, exports: Exports, account: Sandbox) -> None:
        exports.now += ahead
        with pytest.raises(Killed):
            self.killed_in_the_middle(exports, account)
        exports.now -= ahead
        if ahead > 86_400:
            first = exports.run(account, "day 1")
            exports.now -= 500
            assert exports.run(account, "day 2").started_at > first.started_at
        else:
            with pytest.raises(HelpCrunchStorageError, match="is exporting to"):
                exports.run(account, "day 1")

    def test_the_latest_may_be_run_again(self, exports: Exports, account: Sandbox) -> None:
        exports.run(account, "day 0")
        account.update_chat(account.chats[0]["id"], assignee=1002)
        first = exports.run(account, "day 1")
        account.update_chat(account.chats[1]["id"], assignee=1002)
        again = exports.run(account, "day 1")
        assert (first.updated, again.updated, again.sequence) == (1, 2, 2)
        assert exports.snapshot(again) == truth(account)
        assert not {each.path for each in first.objects} & exports.files()

    def test_the_first_may_be_run_again(self, exports: Exports, account: Sandbox) -> None:
        exports.run(account, "day 0")
        account.insert_chats(1, assignee=1001)
        again = exports.run(account, "day 0")
        assert (again.inserted, again.sequence, again.before) == (96, 1, None)

    def test_an_earlier_one_is_refused(self, exports: Exports, account: Sandbox) -> None:
        for day in range(3):
            exports.run(account, f"day {day}")
        sent = len(account.journal)
        with pytest.raises(HelpCrunchConfigurationError, match="later exports stand on it"):
            exports.run(account, "day 1")
        assert len(account.journal) == sent

    def test_two_at_once_are_refused(self, exports: Exports, account: Sandbox) -> None:
        with pytest.raises(Killed):
            self.killed_in_the_middle(exports, account)
        with pytest.raises(HelpCrunchStorageError, match="is exporting to .*max_active_runs=1"):
            exports.run(account, "day 1")
        manifest = exports.run(account, "day 0")
        assert exports.snapshot(manifest) == truth(account)

    def test_a_dead_one_gives_way(self, exports: Exports, account: Sandbox) -> None:
        with pytest.raises(Killed):
            self.killed_in_the_middle(exports, account)
        exports.now += LONGEST_SILENCE + 1
        manifest = exports.run(account, "day 1")
        assert exports.snapshot(manifest) == truth(account)
        assert not [name for name in exports.files() if "staging" in name or "day-0" in name]

    def test_one_that_failed_gives_way_at_once(self, exports: Exports, account: Sandbox) -> None:
        with pytest.raises(HelpCrunchRateLimitError):
            exports.run(account, "day 0", requests=4)
        assert exports.run(account, "day 1").run == "day 1"

    def test_a_worker_that_comes_back_stops(self, exports: Exports, account: Sandbox) -> None:
        """The network was gone, Airflow started another try, and now the first one goes on."""
        engine, client = exports.engine("day 0"), client_of(account)
        get = client._transport.call
        done: list[Any] = []

        def slow(*arguments: Any, **options: Any) -> Any:
            if not done and len(account.journal) == 5:
                done.append(exports.run(account, "day 0"))
            return get(*arguments, **options)

        client._transport.call = slow  # type: ignore[method-assign]
        with pytest.raises(HelpCrunchStorageError, match="Another worker has taken over"):
            engine.run(client)
        assert exports.head()["token"] == done[0].token
        assert exports.snapshot(done[0]) == truth(account)
        assert not [name for name in exports.files() if "staging" in name]

    def test_an_object_that_is_deleted_before_it_was_published(
        self, exports: Exports, account: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = BasePath.write_json

        def delete_first(base: BasePath, name: str, value: Any) -> None:
            write(base, name, value)
            if isinstance(value, Manifest) and name == value.name:
                (exports.base / value.snapshot[0].path).unlink()

        monkeypatch.setattr(BasePath, "write_json", delete_first)
        with pytest.raises(HelpCrunchStorageError, match="was deleted or changed before it was published"):
            exports.run(account, "day 0")
        assert not (exports.base / "manifest.json").exists()

    def test_an_object_that_cannot_be_deleted(self, exports: Exports) -> None:
        (exports.base / "folder").mkdir(parents=True)
        with pytest.raises(HelpCrunchStorageError, match=r"folder' cannot be deleted: \w+Error"):
            BasePath(str(exports.base)).delete("folder")

    @staticmethod
    def killed_in_the_middle(exports: Exports, account: Sandbox) -> None:
        engine, client = exports.engine("day 0"), client_of(account)
        get = client._transport.call

        def dying(*arguments: Any, **options: Any) -> Any:
            if len(account.journal) == 5:
                raise Killed
            return get(*arguments, **options)

        client._transport.call = dying  # type: ignore[method-assign]
        engine.run(client)


class TestBadInput:
    """One sentence, nothing sent, nothing written."""

    @pytest.fixture(autouse=True)
    def nothing_is_sent_or_written(self, exports: Exports, account: Sandbox) -> Any:
        yield
        assert len(account.journal) == 0
        assert {name for name in exports.files() if "staging" in name or "runs" in name} == set()

    def test_a_base_path_that_is_a_file(self, exports: Exports) -> None:
        exports.base.parent.mkdir(parents=True)
        exports.base.write_text("something")
        with pytest.raises(HelpCrunchConfigurationError, match="is a file: an export needs a directory"):
            exports.engine("day 0")
        assert exports.base.read_text() == "something"
        exports.base.unlink()

    @pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"helpcrunch_export": 1}', "\x00\xff"])
    def test_a_manifest_that_is_none(self, content: str, exports: Exports) -> None:
        exports.base.mkdir(parents=True)
        (exports.base / "manifest.json").write_text(content)
        with pytest.raises(
            HelpCrunchConfigurationError, match=r"not the manifest of an export.*move manifest.json"
        ):
            exports.engine("day 0")

    def test_a_manifest_of_another_resource_or_version(self, exports: Exports, tmp_path: Path) -> None:
        other = Exports(exports.base)
        account = Sandbox(agents=1, chats=3)
        manifest = other.run(account, "day 0")
        for field, value, words in (
            ("resource", "agents", "of agents"),
            ("helpcrunch_export", 2, "version 2"),
        ):
            changed = {**json.loads((other.base / "manifest.json").read_text()), field: value}
            (other.base / "manifest.json").write_text(json.dumps(changed))
            with pytest.raises(HelpCrunchConfigurationError, match=words):
                Run(BasePath(str(other.base)), other.resource, "day 1")
        for each in manifest.objects:
            (other.base / each.path).unlink()
        for left in exports.base.rglob("*.json"):
            left.unlink()

    def test_digests_that_were_deleted(self, exports: Exports) -> None:
        manifest = exports.run(Sandbox(agents=1, chats=3), "day 0")
        (exports.base / manifest.state.path).unlink()
        with pytest.raises(
            HelpCrunchStorageError, match="is missing: restore it, or begin with another base_path"
        ):
            exports.run(Sandbox(agents=1, chats=3), "day 1")
        shutil.rmtree(exports.base)

    def test_digests_that_are_cut_off(self) -> None:
        with pytest.raises(HelpCrunchStorageError, match="digests of the export before are damaged: restore"):
            Digests(b"cut off")

    def test_damaged_digests(self, exports: Exports) -> None:
        account = Sandbox(agents=1, chats=3)
        manifest = exports.run(account, "day 0")
        (exports.base / manifest.state.path).write_bytes(b"damaged")
        with pytest.raises(HelpCrunchStorageError, match="is damaged"):
            exports.run(account, "day 1")
        for left in exports.base.rglob("*"):
            if left.is_file():
                left.unlink()
