"""The operators that export, against a sandbox over HTTP: what they return, refuse, defer, and never write."""

from __future__ import annotations

import functools
import gzip
import hmac
import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_names import OutletEvents
from airflow_process import run as run_process
from hand_time import HandTime
from in_process import Killed

from airflow_provider_helpcrunch import reports
from airflow_provider_helpcrunch._airflow import Asset, TaskDeferred
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchRateLimitError,
    HelpCrunchStorageError,
)
from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.exports.staging import CLAIM
from airflow_provider_helpcrunch.operators import progress
from airflow_provider_helpcrunch.operators.exports import (
    ExportAgentsOperator,
    ExportChatsOperator,
    ExportCustomersOperator,
    ExportDepartmentsOperator,
    ExportMessagesOperator,
)
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CHATS
from airflow_provider_helpcrunch.storage import read_records

Result = dict[str, Any]
SALT = "hX4vQ9mZ2kT7bR5w"
CANARY = "Zephyrine"
LISTINGS: dict[str, Any] = {
    "chats": ExportChatsOperator,
    "customers": ExportCustomersOperator,
    "agents": ExportAgentsOperator,
    "departments": ExportDepartmentsOperator,
}
COUNTS = ("records", "inserted", "updated", "deleted", "unchanged")


class Lake:
    """
    Directory with the exports of one account.

    :param path: the directory
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def task(self, resource: str, **arguments: Any) -> Any:
        """Return an operator that exports a resource."""
        arguments = {"task_id": resource, "base_path": str(self.path / resource), **arguments}
        if resource == "messages":
            return ExportMessagesOperator(**{"chats_path": str(self.path / "chats"), **arguments})
        return LISTINGS[resource](**arguments)

    def run(self, resource: str, run: str = "day 0", **arguments: Any) -> Result:
        found: Result = self.task(resource, **arguments).execute({"run_id": run})
        return found

    def files(self) -> dict[str, bytes]:
        """Return all files by their path, unpacked."""
        paths = (path for path in self.path.rglob("*") if path.is_file())
        return {str(path.relative_to(self.path)): content_of(path) for path in paths}


def content_of(path: Path) -> bytes:
    """Return what is in a file, unpacked."""
    if path.suffix == ".parquet":
        return path.read_bytes() + str(list(read_records(str(path)))).encode()
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def counts(result: Result) -> tuple[int, ...]:
    return tuple(result[name] for name in COUNTS)


def rows(receipts: list[Result]) -> list[Result]:
    return [row for receipt in receipts for row in read_records(receipt)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def account(sandbox: Callable[..., Sandbox], connection: Callable[..., None]) -> Sandbox:
    server = sandbox(agents=5, departments=2, chats=30, messages=4)
    connection(server, requests_per_minute=10_000)
    return server


class TestResults:
    @pytest.mark.parametrize("resource", LISTINGS)
    def test_the_first_run(self, resource: str, account: Sandbox, lake: Lake) -> None:
        result = lake.run(resource)
        expected = len(account.truth(resource))
        assert counts(result) == (expected, expected, 0, 0, 0)
        assert result["path"] == f"{lake.path / resource}/manifest.json"
        assert (result["run"], result["warnings"]) == (f"day 0 {resource}", [])
        assert result["requests"] == len(account.journal)
        assert {row["id"] for row in rows(result["snapshot"])} == {
            row["id"] for row in account.truth(resource)
        }
        files = [*result["snapshot"], *result["changes"]]
        assert {receipt["format"] for receipt in files} == {"jsonl.gz"}
        assert result["bytes"] == sum(Path(receipt["path"]).stat().st_size for receipt in files)
        assert json.loads(json.dumps(result)) == result
        assert json.loads(Path(result["path"]).read_text())["run"] == result["run"]

    def test_the_second_run_finds_changes(self, account: Sandbox, lake: Lake) -> None:
        lake.run("chats")
        account.update_chat(account.chats[0]["id"], assignee=1003)
        account.update_chat(account.chats[1]["id"], assignee=1004)
        account.insert_chats(3, assignee=1001)
        result = lake.run("chats", "day 1")
        assert (result["records"], result["inserted"], result["deleted"]) == (33, 3, 0)
        assert 1 <= result["updated"] <= 2
        assert len(rows(result["changes"])) == result["inserted"] + result["updated"]

    def test_messages_of_the_chats_that_moved(self, account: Sandbox, lake: Lake, client: Any) -> None:
        lake.run("chats")
        first = lake.run("messages")
        assert first["records"] == first["inserted"] > 30
        chat = next(chat["id"] for chat in account.chats if chat["lastMessageId"])
        client(account).send_message(chat, "one more", agent=1002)
        lake.run("chats", "day 1")
        sent = len(account.journal)
        second = lake.run("messages", "day 1")
        assert counts(second) == (first["records"] + 1, 1, 0, 0, first["records"])
        assert [entry.path for entry in list(account.journal)[sent:]] == [f"/v1/chats/{chat}/messages"]

    def test_the_same_run_again_replaces_its_export(self, account: Sandbox, lake: Lake) -> None:
        lake.run("chats")
        account.insert_chats(1, assignee=1001)
        first = lake.run("chats", "day 1")
        account.insert_chats(1, assignee=1001)
        again = lake.run("chats", "day 1")
        assert (first["inserted"], again["inserted"]) == (1, 2)
        assert not Path(first["snapshot"][0]["path"]).exists()
        with pytest.raises(HelpCrunchConfigurationError, match="later exports stand on it"):
            lake.run("chats", "day 0")

    @pytest.mark.parametrize("file_format", ["json", "csv.gz", "parquet"])
    def test_messages_by_chats_of_any_format(self, file_format: str, account: Sandbox, lake: Lake) -> None:
        lake.run("chats", file_format=file_format)
        result = lake.run("messages", file_format=file_format)
        assert {int(row["id"]) for row in rows(result["snapshot"])} == {
            row["id"] for row in account.truth("messages") if row["type"] not in ("tech", "private")
        }
        paths = [entry.path for entry in account.journal if entry.path.endswith("/messages")]
        assert len(paths) == len([chat for chat in account.chats if chat["lastMessageId"]])

    def test_run_key_names_the_run(self, account: Sandbox, lake: Lake) -> None:
        result = lake.run("agents", run_key="night of the 3rd")
        assert result["run"] == "night of the 3rd"
        with pytest.raises(HelpCrunchConfigurationError, match="run_key is needed"):
            lake.task("agents").execute({})

    def test_page_size_counts_for_messages_too(self, account: Sandbox, lake: Lake) -> None:
        lake.run("chats", page_size=10)
        sent = len(account.journal)
        assert {entry.query["limit"] for entry in account.journal} == {"10"}
        lake.run("messages", page_size=50)
        assert {entry.query["limit"] for entry in list(account.journal)[sent:]} == {"50"}

    def test_notes_that_are_no_longer_wanted_leave_the_snapshot(self, account: Sandbox, lake: Lake) -> None:
        lake.run("chats")
        lake.run("messages", private_notes=True)
        result = lake.run("messages", "day 1")
        assert not [row for row in rows(result["snapshot"]) if row["private"]]
        assert "unchanged records count as updated" in result["warnings"][0]
        assert result["updated"] == result["records"]

    def test_outlets_get_the_result_and_their_partition(self, account: Sandbox, lake: Lake) -> None:
        class Event:
            extra: Any = None

            def __init__(self) -> None:
                self.partitions: list[str] = []

            def add_partitions(self, key: str) -> None:
                self.partitions.append(key)

        asset = Asset("helpcrunch://agents")
        events: Any = OutletEvents([(asset, Event())])
        task = lake.task("agents", outlets=[asset], partition_key="2026-01-02")
        result = task.execute({"run_id": "day 0", "outlet_events": events})
        assert events[asset].extra == result
        assert events[asset].partitions == ["2026-01-02"]

    def test_an_airflow_without_partitions(self, account: Sandbox, lake: Lake) -> None:
        asset = Asset("helpcrunch://agents")
        events: Any = OutletEvents([(asset, type("Event", (), {"extra": None})())])
        task = lake.task("agents", outlets=[asset], partition_key="2026-01-02")
        assert task.execute({"run_id": "day 0", "outlet_events": events}) == events[asset].extra


class Deferrals:
    """
    Plays the part of Airflow: waits as the trigger would, and lets another worker's operator go on.

    :param time: the clock by which the limit goes
    :param make: returns a new operator
    """

    def __init__(self, time: HandTime, make: Callable[[], Any]) -> None:
        self._time = time
        self._make = make
        self.all: list[TaskDeferred] = []

    def run(self, run: str, waiting: Callable[[], None] = lambda: None) -> Result:
        """
        Execute the task to its end.

        :param run: Airflow's run id
        :param waiting: called each time it was deferred
        """
        step, context = self._make().execute, {"run_id": run}
        while True:
            try:
                return step(context)  # type: ignore[no-any-return]
            except TaskDeferred as deferred:
                self.all.append(deferred)
                waiting()
                _, trigger = deferred.trigger.serialize()
                self._time.sleep(trigger["until"] - self._time())
                event = json.loads(json.dumps(trigger["state"]))
                step = functools.partial(getattr(self._make(), deferred.method_name), event=event)


class TestDeferral:
    @pytest.fixture
    def limit(
        self,
        sandbox: Callable[..., Sandbox],
        connection: Callable[..., None],
        hand_time: HandTime,
    ) -> Callable[[int], Sandbox]:
        """Start accounts of so many chats, with six requests a minute."""

        def start(chats: int) -> Sandbox:
            server = sandbox(agents=5, chats=chats, messages=2, rate_limit=6, clock=hand_time.busy)
            connection(server, requests_per_minute=6, rate_limit_store="sqlite://")
            return server

        return start

    @pytest.fixture
    def defer(self, hand_time: HandTime) -> Callable[..., Deferrals]:
        return functools.partial(Deferrals, hand_time)

    @pytest.fixture
    def limited(self, limit: Callable[[int], Sandbox]) -> Sandbox:
        return limit(160)

    def test_another_worker_goes_on_at_the_next_page(
        self, limited: Sandbox, lake: Lake, defer: Callable[..., Deferrals]
    ) -> None:
        deferrals = defer(lambda: lake.task("chats", page_size=10, deferrable=True))
        result = deferrals.run("day 0")
        assert len(deferrals.all) >= 2
        assert result["records"] == 160
        assert {row["id"] for row in rows(result["snapshot"])} == {chat["id"] for chat in limited.chats}
        offsets = [entry.offset for entry in limited.journal]
        needed = 19  # pages of ten, overlapping by one, of 160 chats; and a look behind the last
        assert len(offsets) <= needed + 1
        assert result["requests"] == len(offsets)
        assert not [name for name in lake.files() if "staging" in name]

    def test_messages_go_on_too(
        self, limit: Callable[[int], Sandbox], lake: Lake, defer: Callable[..., Deferrals]
    ) -> None:
        limited = limit(25)
        lake.run("chats")
        sent = len(limited.journal)
        deferrals = defer(lambda: lake.task("messages", deferrable=True))
        result = deferrals.run("day 0")
        assert len(deferrals.all) >= 2
        assert {row["id"] for row in rows(result["snapshot"])} == {
            row["id"] for row in limited.truth("messages") if row["type"] not in ("tech", "private")
        }
        needed = len([chat for chat in limited.chats if chat["lastMessageId"]])
        assert len(limited.journal) - sent <= needed + 1

    def test_waiting_never_holds_the_slot(
        self, limited: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch, defer: Callable[..., Deferrals]
    ) -> None:
        waited: list[float] = []
        monkeypatch.setattr(progress, "count_usage", lambda usage: waited.append(usage.budget_wait))
        deferrals = defer(lambda: lake.task("chats", page_size=10, deferrable=True))
        deferrals.run("day 0")
        assert len(waited) == len(deferrals.all) + 1
        assert max(waited) < 10  # seconds of a minute

    def test_another_run_does_not_take_its_pages(
        self, limited: Sandbox, lake: Lake, defer: Callable[..., Deferrals]
    ) -> None:
        deferrals = defer(lambda: lake.task("chats", page_size=10, deferrable=True))
        refused: list[str] = []

        def waiting() -> None:
            with pytest.raises(HelpCrunchStorageError, match="Run 'day 0 .*' is exporting") as caught:
                lake.run("chats", "day 1")
            refused.append(str(caught.value))

        assert deferrals.run("day 0", waiting)["records"] == 160
        assert refused

    @pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in its slot"])
    def test_at_no_moment_can_another_run_begin(
        self,
        *,
        deferrable: bool,
        limit: Callable[[int], Sandbox],
        lake: Lake,
        monkeypatch: pytest.MonkeyPatch,
        defer: Callable[..., Deferrals],
    ) -> None:
        """Not while the first one reads, not while it waits for the limit, not in between."""
        limited = limit(100)
        honest, claims = BasePath.write, []

        def write(base: BasePath, name: str, data: bytes) -> None:
            honest(base, name, data)
            if name == CLAIM:
                with pytest.raises(HelpCrunchStorageError, match="Run 'day 0 .*' is exporting"):
                    Run(base, Resource(CHATS, "jsonl.gz"), "day 1").claim()
                claims.append(json.loads(data))

        monkeypatch.setattr(BasePath, "write", write)
        deferrals = defer(lambda: lake.task("chats", page_size=10, deferrable=deferrable))
        assert deferrals.run("day 0")["records"] == len(limited.chats)
        assert len({claim["token"] for claim in claims}) == len(deferrals.all) + 1
        assert bool(deferrals.all) is deferrable
        # At least one for each page, and one for each deferral.
        assert len(claims) >= 11 + len(deferrals.all)

    def test_when_patience_is_used_up_it_fails_and_lets_others_begin(
        self, limited: Sandbox, lake: Lake
    ) -> None:
        with pytest.raises(TaskDeferred):
            lake.task("chats", page_size=10, deferrable=True).execute({"run_id": "day 0"})
        task = lake.task("chats", page_size=10, deferrable=True, patience=1)
        with pytest.raises(HelpCrunchRateLimitError):
            task.execute_complete({"run_id": "day 0"}, {"waited": 0.9})
        claim = json.loads((lake.path / "chats" / "staging" / "claim.json").read_text())
        assert claim["alive_at"] == 0.0

    def test_without_deferrable_it_waits(self, limited: Sandbox, lake: Lake) -> None:
        assert lake.run("chats", page_size=10)["records"] == 160


CHAT = "lastMessageText customer agents assignee"
PERSONAL = {
    "chats": CHAT,
    "customers": (
        "name email userId company phone location device source referer lastPage integrationId notes tags customData"
    ),
    "messages": "text agent",
}
HASHED = {
    "chats": (
        "lastMessageText customer.name customer.email customer.userId agents.name agents.email assignee.name "
        "assignee.email"
    ),
    "customers": (
        "name email userId company phone location.city device.ip device.userAgent source referer lastPage "
        "integrationId notes customData"
    ),
    "messages": "text agent.name agent.email",
}
KEPT = {
    "chats": ["status", "lastMessageId", "customer.id"],
    "customers": ["firstSeen"],
    "messages": ["createdAt", "from"],
}
CHOICES: dict[str, Callable[[str], Result]] = {
    "kept": lambda resource: {"columns": KEPT[resource]},
    "left out": lambda resource: {"columns": [f"-{name}" for name in PERSONAL[resource].split()]},
    "hashed": lambda resource: {"hash": HASHED[resource].split(), "hash_salt": SALT},
}


class TestPrivacy:
    @pytest.fixture
    def account(self, sandbox: Callable[..., Sandbox], connection: Callable[..., None]) -> Sandbox:
        server = sandbox(agents=4, chats=25, messages=3, canary=CANARY)
        connection(server, requests_per_minute=10_000)
        return server

    @pytest.mark.parametrize("choice", CHOICES)
    @pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
    @pytest.mark.parametrize("resource", PERSONAL)
    def test_what_is_excluded_is_nowhere(
        self,
        resource: str,
        file_format: str,
        choice: str,
        account: Sandbox,
        lake: Lake,
        task_log: Callable[[Any], list[str]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        if resource == "messages":
            lake.run("chats", columns=["lastMessageId"])
        task = lake.task(resource, file_format=file_format, **CHOICES[choice](resource))
        lines = task_log(task)
        result = task.execute({"run_id": "day 0"})
        account.night(deletions=2, lost_chats=2)
        if resource == "messages":
            lake.run("chats", "day 1", columns=["lastMessageId"])
        again = lake.run(resource, "day 1", file_format=file_format, **CHOICES[choice](resource))
        assert result["records"]
        traces = [json.dumps([result, again]), *lines, caplog.text]
        assert not [trace for trace in traces if CANARY in trace or SALT in trace]
        self.assert_absent(lake)

    @pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
    @pytest.mark.parametrize("resource", PERSONAL)
    def test_nor_is_it_in_changes_after_an_export_that_had_it(
        self, resource: str, file_format: str, account: Sandbox, lake: Lake
    ) -> None:
        here = {"base_path": str(lake.path / "here"), "file_format": file_format}
        lake.run("chats")
        lake.run(resource, **here)
        account.night(deletions=2, lost_chats=2)
        lake.run("chats", "day 1")
        result = lake.run(resource, "day 1", **here, **CHOICES["kept"](resource))
        assert result["deleted"] > 0
        for receipt in [*result["snapshot"], *result["changes"]]:
            assert CANARY.encode() not in content_of(Path(receipt["path"]))
        assert len(rows(result["changes"])) == result["records"] + result["deleted"]

    @pytest.mark.parametrize("choice", CHOICES)
    @pytest.mark.parametrize("resource", PERSONAL)
    def test_a_worker_that_dies_leaves_nothing_in_staging(
        self,
        resource: str,
        choice: str,
        account: Sandbox,
        lake: Lake,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if resource == "messages":
            lake.run("chats", columns=["lastMessageId"])
        honest, written = BasePath.write, []

        def dying(base: BasePath, name: str, data: bytes) -> None:
            honest(base, name, data)
            written.append(name)
            if len(written) == 9:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(BasePath, "write", dying)
            with pytest.raises(Killed):
                lake.run(resource, page_size=5, **CHOICES[choice](resource))
        assert [name for name, content in lake.files().items() if "staging" in name and content]
        self.assert_absent(lake)

    def test_the_canary_is_there_without_a_choice(self, account: Sandbox, lake: Lake) -> None:
        """The tests above look for something that can be found."""
        lake.run("chats")
        for resource in ("customers", "messages"):
            lake.run(resource)
        found = {name.split("/")[0] for name, content in lake.files().items() if CANARY.encode() in content}
        assert found == set(PERSONAL)

    def test_a_report_by_agent_of_hashed_names(self, account: Sandbox, lake: Lake) -> None:
        """The ids stay, and a name has the same hash in every export."""
        pytest.importorskip("duckdb")
        hashed = {"agents": "name email", "chats": "assignee.name assignee.email", "messages": "agent.name"}

        def rows_of(lake: Lake, choices: dict[str, Any]) -> list[Result]:
            for resource in hashed:
                lake.run(resource, file_format="parquet", **choices.get(resource, {}))
            with reports.connect() as connection:
                files = {name: reports.snapshot_files(str(lake.path / name)) for name in hashed}
                reports.views(connection, **files)
                return reports.report(connection, "chats_per_agent")

        plain = rows_of(Lake(lake.path / "plain"), {})
        choices = {name: {"hash": columns.split(), "hash_salt": SALT} for name, columns in hashed.items()}
        found = rows_of(Lake(lake.path / "hashed"), choices)
        names = [row["agent_name"] for row in plain]
        assert [row["agent_name"] for row in found] == [
            name and hmac.digest(SALT.encode(), name.encode(), "sha256").hex() for name in names
        ]
        assert [{**row, "agent_name": ""} for row in found] == [{**row, "agent_name": ""} for row in plain]
        assert len([name for name in names if name]) == 4

    @staticmethod
    def assert_absent(lake: Lake) -> None:
        found = [
            name
            for name, content in lake.files().items()
            for secret in (CANARY, SALT)
            if secret.encode() in content or secret in name
        ]
        assert found == []


class TestRefusals:
    """One sentence, before anything is sent or written."""

    def refused(self, account: Sandbox, lake: Lake, message: str, task: Any, run: str = "day 1") -> None:
        sent, files = len(account.journal), lake.files()
        with pytest.raises((HelpCrunchConfigurationError, HelpCrunchStorageError), match=message) as caught:
            task.execute({"run_id": run})
        assert "\n" not in str(caught.value)
        assert len(account.journal) == sent
        assert lake.files() == files

    @pytest.mark.parametrize("resource", [*LISTINGS, "messages"])
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"page_size": 0}, "page_size must be a whole number from 1 to 100, not 0"),
            ({"page_size": "many"}, "page_size must be a whole number"),
            ({"file_format": "xlsx"}, "file_format"),
            ({"deferrable": "maybe"}, "deferrable must be true or false"),
            ({"columns": ["nothing"]}, "which is no column of"),
            ({"patience": 0}, "patience must be a whole number"),
        ],
        ids=lambda value: None if isinstance(value, str) else next(iter(value)),
    )
    def test_arguments(
        self, resource: str, arguments: Result, message: str, account: Sandbox, lake: Lake
    ) -> None:
        self.refused(account, lake, message, lake.task(resource, **arguments))
        assert not lake.path.exists()

    def test_a_base_path_that_is_a_file(self, account: Sandbox, lake: Lake) -> None:
        lake.path.mkdir()
        (lake.path / "chats").write_text("mine")
        self.refused(account, lake, "base_path .* is a file: an export needs a directory", lake.task("chats"))
        self.refused(
            account, lake, "chats_path .* is a file: an export needs a directory", lake.task("messages")
        )

    def test_a_directory_of_chats_that_can_only_be_read(
        self, account: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.run("chats")
        monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("chats"))
        assert lake.run("messages")["records"] > 0
        self.refused(account, lake, "may not write to the directory", lake.task("chats"))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"name": "a web app", "icons": []}', "is not the manifest of an export, or is damaged"),
            ("{", "is not the manifest of an export, or is damaged"),
            ("", "is not the manifest of an export, or is damaged"),
            ("\x00\xff", "is not the manifest of an export, or is damaged"),
        ],
    )
    @pytest.mark.parametrize("argument", ["base_path", "chats_path"])
    def test_a_manifest_of_something_else(
        self, argument: str, content: str, message: str, account: Sandbox, lake: Lake
    ) -> None:
        (lake.path / "chats").mkdir(parents=True)
        (lake.path / "chats" / "manifest.json").write_text(content)
        task = lake.task("chats" if argument == "base_path" else "messages")
        self.refused(account, lake, f"{message}.*Choose another {argument}", task)

    def test_an_export_of_something_else(self, account: Sandbox, lake: Lake) -> None:
        lake.run("agents")
        agents = str(lake.path / "agents")
        self.refused(account, lake, "of agents, not of chats", lake.task("chats", base_path=agents))
        message = "of agents, not of chats.*Choose another chats_path"
        self.refused(account, lake, message, lake.task("messages", chats_path=agents))

    def test_a_later_version(self, account: Sandbox, lake: Lake) -> None:
        path = Path(lake.run("agents")["path"])
        path.write_text(re.sub(r'"helpcrunch_export": 1', '"helpcrunch_export": 2', path.read_text()))
        self.refused(account, lake, "is of version 2, and this package reads 1", lake.task("agents"))

    def test_no_export_of_chats(self, account: Sandbox, lake: Lake) -> None:
        message = "has no export: run ExportChatsOperator with this base_path first"
        self.refused(account, lake, message, lake.task("messages"))
        assert not lake.path.exists()

    @pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
    @pytest.mark.parametrize(
        "choice",
        [{"columns": ["status"]}, {"hash": ["lastMessageId"], "hash_salt": SALT}],
        ids=["left out", "hashed"],
    )
    def test_chats_without_their_last_message(
        self, choice: Result, file_format: str, account: Sandbox, lake: Lake
    ) -> None:
        lake.run("chats", file_format=file_format, **choice)
        self.refused(account, lake, "need the fields id and lastMessageId", lake.task("messages"))

    def test_one_directory_for_both(self, account: Sandbox, lake: Lake) -> None:
        lake.run("chats")
        task = lake.task("messages", base_path=f"{lake.path / 'chats'}/")
        self.refused(account, lake, "base_path and chats_path are both", task)

    def test_another_run_that_is_alive(
        self, account: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest, written = BasePath.write, []

        def dying(base: BasePath, name: str, data: bytes) -> None:
            honest(base, name, data)
            written.append(name)
            if len(written) == 6:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(BasePath, "write", dying)
            with pytest.raises(Killed):
                lake.run("chats", page_size=5)
        self.refused(account, lake, "Run 'day 0 .*' is exporting to .*max_active_runs=1", lake.task("chats"))
        assert lake.run("chats")["records"] == 30

    @pytest.mark.parametrize("content", ["{}", "not JSON", ""])
    def test_a_damaged_claim(self, content: str, account: Sandbox, lake: Lake) -> None:
        (lake.path / "chats" / "staging").mkdir(parents=True)
        (lake.path / "chats" / "staging" / "claim.json").write_text(content)
        self.refused(account, lake, "delete it to begin again", lake.task("chats"))


TASKS = """
import os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow_names import DAG

from airflow_provider_helpcrunch._airflow import Asset
from airflow_provider_helpcrunch.operators.exports import ExportChatsOperator, ExportMessagesOperator

with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    outlets = [Asset("helpcrunch://chats")]
    partition = {"outlets": outlets, "partition_key": "{{ dag.dag_id }}-a"}
    ExportChatsOperator(task_id="chats", base_path="lake/chats", deferrable=True, **partition) >> [
        ExportMessagesOperator(task_id="messages", base_path="lake/messages", chats_path="lake/chats"),
        ExportMessagesOperator.partial(task_id="mapped", chats_path="lake/chats", full="{{ True }}").expand(
            base_path=["lake/a", "lake/b"]
        ),
    ]

if __name__ == "__main__":
    for _ in range(2):
        for task in dag.test().get_task_instances():
            print("state:", task.task_id, str(task.state))
"""


@pytest.mark.long
def test_as_real_tasks(account: Sandbox, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    connection = account.connection(requests_per_minute=10_000)
    output = run_process(TASKS, home, AIRFLOW_CONN_HELPCRUNCH_DEFAULT=connection)
    states = [line.split()[-1] for line in output.splitlines() if line.startswith("state:")]
    assert states == ["success"] * 8, output[-5000:]
    for name in ("chats", "messages", "a", "b"):
        manifest = json.loads((home / "lake" / name / "manifest.json").read_text())
        assert (manifest["sequence"], manifest["inserted"]) == (2, 0)
