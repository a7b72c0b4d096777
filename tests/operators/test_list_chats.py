"""``ListChatsOperator``, against a sandbox over HTTP: all chats, or those with activity since a moment."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_names import OutletEvents

from airflow_provider_helpcrunch._airflow import Asset
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError
from airflow_provider_helpcrunch.operators.chats import ListChatsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import CHATS
from airflow_provider_helpcrunch.storage import read_records

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
TaskLog = Callable[[Any], list[str]]

SWITCHES = ["string", "integer", "fractional"]


def listed(**arguments: Any) -> Any:
    return ListChatsOperator(task_id="chats", **arguments).execute({})  # type: ignore[arg-type]


def ids(chats: list[dict[str, Any]]) -> list[int]:
    return [chat["id"] for chat in chats]


def active(server: Sandbox, since: float) -> list[int]:
    """Return the ids of chats with a message at or after a moment, latest first."""
    found = [chat for chat in server.chats if chat["lastMessageAt"] and float(chat["lastMessageAt"]) >= since]
    return ids(sorted(found, key=lambda chat: (float(chat["lastMessageAt"]), chat["id"]), reverse=True))


def moments(server: Sandbox) -> list[float]:
    return sorted(float(chat["lastMessageAt"]) for chat in server.chats if chat["lastMessageAt"])


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=8, chats=500)
    connection(server, requests_per_minute=10_000)
    return server


class TestAll:
    @pytest.mark.parametrize("chats", [0, 1, 100, 101, 350])
    def test_every_chat_once_oldest_first(
        self, chats: int, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=8, chats=chats)
        connection(server, requests_per_minute=10_000)
        found = listed()
        assert ids(found) == ids(server.chats)
        assert json.loads(json.dumps(found)) == found
        assert {request.path for request in server.journal} == {"/v1/chats"}

    @pytest.mark.parametrize("suffix", ["jsonl", "json.gz", "csv", "parquet"])
    @pytest.mark.parametrize("timestamps", SWITCHES)
    def test_into_a_file(
        self,
        suffix: str,
        timestamps: Any,
        sandbox: StartSandbox,
        connection: SetConnection,
        tmp_path: Path,
    ) -> None:
        server = sandbox(agents=8, chats=150, timestamps=timestamps)
        connection(server, requests_per_minute=10_000)
        path, asset = tmp_path / f"chats.{suffix}", Asset("helpcrunch://chats")
        events: Any = OutletEvents([(asset, type("Event", (), {"extra": None})())])
        operator = ListChatsOperator(task_id="chats", output_path=str(path), outlets=[asset])
        receipt = operator.execute({"outlet_events": events})  # type: ignore[typeddict-item]
        assert receipt == {
            **{"path": str(path), "records": 150},
            **{"bytes": path.stat().st_size, "format": suffix},
        }
        assert events[asset].extra == receipt
        rows = list(read_records(receipt, table=CHATS))
        assert ids(rows) == ids(server.chats)
        if suffix in ("csv", "parquet"):
            created = [row["createdAt"].timestamp() for row in rows]
            assert created == [float(chat["createdAt"]) for chat in server.chats]

    def test_while_new_chats_come_in(self, server: Sandbox) -> None:
        there = ids(server.chats)
        server.add_fault(Fault("arrive", rows=3, nth=2, times=3))
        found = ids(listed())
        assert found[:500] == there
        assert len(found) == len(set(found))


class TestActive:
    @pytest.mark.parametrize("timestamps", SWITCHES)
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
    def test_those_with_a_message_since_then_latest_first(
        self, share: float, timestamps: Any, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=8, chats=300, timestamps=timestamps)
        connection(server, requests_per_minute=10_000)
        times = moments(server)
        since = times[int(share * (len(times) - 1))]
        found = listed(active_since=since)
        assert ids(found) == active(server, since)
        assert len(found) >= 1

    def test_a_second_after_the_last_message_nothing(self, server: Sandbox) -> None:
        assert listed(active_since=moments(server)[-1] + 1) == []
        assert len(server.journal) <= 2

    def test_the_moment_itself_belongs_to_it_to_the_fraction(self, server: Sandbox) -> None:
        chat = server.chats[3]["id"]
        server.update_chat(chat, lastMessageAt="1800000000.250")
        # This sandbox shows whole seconds here; what it shows counts.
        assert ids(listed(active_since=1_800_000_000)) == [chat]
        assert listed(active_since=1_800_000_000.25) == []

    def test_fractions_that_are_shown_count(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = sandbox(agents=8, chats=50, timestamps="fractional")
        connection(server, requests_per_minute=10_000)
        chat = server.chats[3]["id"]
        server.update_chat(chat, lastMessageAt="1800000000.250")
        base = datetime.fromtimestamp(1_800_000_000, UTC)
        assert ids(listed(active_since=base + timedelta(milliseconds=250))) == [chat]
        assert listed(active_since=base + timedelta(milliseconds=251)) == []

    def test_it_stops_where_chats_are_older(self, server: Sandbox) -> None:
        since = moments(server)[-30]
        assert len(listed(active_since=since)) == 30
        # One page, and once more its front: somebody may have written meanwhile.
        assert [request.query["offset"] for request in server.journal] == ["0", "0"]
        assert {request.query["sort"] for request in server.journal} == {"chats.lastMessageAt"}
        assert {request.query["order"] for request in server.journal} == {"desc"}

    @pytest.mark.parametrize("page_size", [2, 7, 100])
    def test_several_pages(self, page_size: int, server: Sandbox) -> None:
        since = moments(server)[-60]
        assert ids(listed(active_since=since, page_size=page_size)) == active(server, since)

    def test_a_chat_that_gets_a_message_meanwhile_is_not_lost(
        self, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=8, chats=500, latency=0.15)
        connection(server, requests_per_minute=10_000)
        since = moments(server)[0]
        before = active(server, since)
        late = before[-1]

        def write() -> None:
            while not server.journal:
                time.sleep(0.01)
            server.update_chat(late, lastMessageAt=1_800_000_000)

        writer = threading.Thread(target=write)
        writer.start()
        found = ids(listed(active_since=since))
        writer.join()
        assert sorted(found) == sorted(before)

    def test_a_server_that_does_not_sort_is_not_believed(self, server: Sandbox) -> None:
        server.add_fault(Fault("shuffle", times=0))
        with pytest.raises(HelpCrunchPaginationError, match="latest activity first"):
            listed(active_since=moments(server)[-50])

    @pytest.mark.parametrize(
        "given",
        [
            *(datetime(2023, 11, 16, tzinfo=UTC), "2023-11-16", "2023-11-16T02:00:00+02:00"),
            *(1_700_092_800, "1700092800", "20231116"),
        ],
        ids=repr,
    )
    def test_spellings_of_one_moment(self, given: Any, server: Sandbox) -> None:
        expected = active(server, 1_700_092_800)
        assert ids(listed(active_since=given, max_xcom_bytes=2**30)) == expected
        assert 0 < len(expected) < len(moments(server))

    def test_into_a_file(self, server: Sandbox, tmp_path: Path) -> None:
        since = moments(server)[-120]
        receipt = listed(active_since=since, output_path=str(tmp_path / "chats.parquet"))
        assert ids(list(read_records(receipt))) == active(server, since)

    def test_the_log_sums_up(self, server: Sandbox, task_log: TaskLog) -> None:
        operator = ListChatsOperator(task_id="chats", active_since=moments(server)[-30])
        lines = task_log(operator)
        operator.execute({})  # type: ignore[arg-type]
        assert lines[0].startswith("Listed 30 of 100 chats read (2 pages, 2 requests) in ")
