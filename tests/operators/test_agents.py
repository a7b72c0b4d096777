"""``ListAgentsOperator``, against a sandbox over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_names import OutletEvents

from airflow_provider_helpcrunch._airflow import AirflowFailException, Asset
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchError,
    HelpCrunchStorageError,
)
from airflow_provider_helpcrunch.operators import progress
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import AGENTS
from airflow_provider_helpcrunch.storage import read_records

pytestmark = pytest.mark.older

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
TaskLog = Callable[[Any], list[str]]


def with_roles(server: Sandbox, *roles: str) -> list[dict[str, Any]]:
    return [agent for agent in server.agents if agent["role"] in roles]


class Event:
    """Stands for one entry of ``outlet_events``."""

    extra: dict[str, Any] | None = None


class TestXCom:
    @pytest.mark.parametrize("agents", [0, 1, 2, 100, 101, 250])
    def test_result(self, agents: int, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = sandbox(agents=agents)
        connection(server)
        rows = ListAgentsOperator(task_id="agents").execute({})
        assert rows == server.agents
        assert type(rows) is list
        assert {type(row) for row in rows} <= {dict}
        assert json.loads(json.dumps(rows)) == rows

    def test_can_be_executed_again(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = sandbox(agents=3)
        connection(server)
        operator = ListAgentsOperator(task_id="agents")
        assert operator.execute({}) == operator.execute({}) == server.agents

    def test_another_connection(self, sandbox: StartSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        server = sandbox(agents=3)
        monkeypatch.setenv("AIRFLOW_CONN_SECOND_ACCOUNT", server.connection())
        operator = ListAgentsOperator(task_id="agents", helpcrunch_conn_id="second_account")
        assert operator.execute({}) == server.agents


class TestRoles:
    @pytest.mark.parametrize(
        ("roles", "wanted"),
        [
            (["admin"], ["admin"]),
            (("admin", "superviser"), ["admin", "superviser"]),
            ({"admin"}, ["admin"]),
            ("admin", ["admin"]),
            (" admin ", ["admin"]),
            ('["admin", "agentChatOnly"]', ["admin", "agentChatOnly"]),
            ("admin, agentChatOnly", ["admin", "agentChatOnly"]),
            (["admin", "no such role"], ["admin"]),
        ],
    )
    def test_filter(
        self, roles: Any, wanted: list[str], sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox()
        connection(server)
        rows = ListAgentsOperator(task_id="agents", roles=roles).execute({})
        assert rows == with_roles(server, *wanted)
        assert 0 < len(rows) < 250

    def test_a_role_that_nobody_has_is_warned_about(
        self, sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog
    ) -> None:
        connection(sandbox())
        operator = ListAgentsOperator(task_id="agents", roles=["supervisor", "owner"])
        lines = task_log(operator)
        assert operator.execute({}) == []
        told = [line for line in lines if line.startswith("No agent has the role")]
        assert told == [
            "No agent has the role owner, supervisor. "
            "Roles of this account: admin, agent, agentChatOnly, superviser."
        ]

    def test_roles_that_somebody_has_are_not(
        self, sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog
    ) -> None:
        connection(sandbox())
        operator = ListAgentsOperator(task_id="agents", roles=["admin", "agent"])
        lines = task_log(operator)
        operator.execute({})
        assert not any("No agent" in line for line in lines)

    def test_none_out_of_some_is_a_warning_in_the_receipt(
        self, sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog, tmp_path: Path
    ) -> None:
        connection(sandbox())
        path = str(tmp_path / "owners.csv")
        operator = ListAgentsOperator(task_id="agents", roles="owner", output_path=path)
        lines = task_log(operator)
        receipt = operator.execute({})
        warning = "Check the conditions: none of 250 records that HelpCrunch found meets them."
        assert (receipt["records"], receipt["warnings"]) == (0, [warning])
        assert warning in lines

    def test_none_out_of_none_is_not(
        self, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        connection(sandbox(departments=0))
        receipt = ListDepartmentsOperator(task_id="d", output_path=str(tmp_path / "d.csv")).execute({})
        assert "warnings" not in receipt

    def test_a_filtered_file(self, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path) -> None:
        server = sandbox()
        connection(server)
        path = str(tmp_path / "admins.csv")
        receipt = ListAgentsOperator(task_id="agents", roles="admin", output_path=path).execute({})
        admins = with_roles(server, "admin")
        assert receipt["records"] == len(admins)
        assert [row["id"] for row in read_records(receipt, table=AGENTS)] == [admin["id"] for admin in admins]


def test_a_permanent_error_brings_no_frames_of_the_libraries(
    sandbox: StartSandbox, connection: SetConnection
) -> None:
    connection(sandbox(faults=[Fault("status", status=401, times=0)]))
    with pytest.raises(HelpCrunchAuthError) as caught:
        ListAgentsOperator(task_id="agents").execute({})
    files = {Path(frame.filename).name for frame in traceback.extract_tb(caught.value.__traceback__)}
    assert files <= {Path(__file__).name, "base.py", "operator.py", "baseoperator.py"}
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


class TestReceipt:
    @pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet", "jsonl.gz", "csv.zst"])
    def test_receipt(
        self, suffix: str, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        server = sandbox(agents=150)
        connection(server)
        path = tmp_path / "new" / f"agents.{suffix}"
        receipt = ListAgentsOperator(task_id="agents", output_path=str(path)).execute({})
        assert receipt == {"path": str(path), "records": 150, "bytes": path.stat().st_size, "format": suffix}
        assert type(receipt) is dict
        assert list(read_records(receipt, table=AGENTS)) == server.agents
        assert [child.name for child in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize("to_file", [True, False])
    def test_a_contradicting_total_is_told(
        self,
        *,
        to_file: bool,
        sandbox: StartSandbox,
        connection: SetConnection,
        tmp_path: Path,
        client_log: list[str],
    ) -> None:
        server = sandbox(agents=4, total=1)  # the public example of the API: 4 agents under total 5
        connection(server)
        path, asset = tmp_path / "agents.jsonl", Asset("helpcrunch://agents")
        operator = ListAgentsOperator(
            task_id="agents", output_path=str(path) if to_file else None, outlets=[asset]
        )
        events = OutletEvents([(asset, Event())])
        result = operator.execute({"outlet_events": events})
        told = ["HelpCrunch reports 5 records, but the list ends after 4."]
        assert [line for line in client_log if "HelpCrunch reports" in line] == told
        if to_file:
            assert result["warnings"] == told
            assert events[asset].extra == result
        else:
            assert result == server.agents
            assert events[asset].extra == {"records": 4, "warnings": told}

    def test_every_outlet_asset_gets_the_receipt(
        self, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        connection(sandbox(agents=5))
        assets = [Asset("helpcrunch://agents"), Asset("file:///data/agents")]
        events = OutletEvents([(asset, Event()) for asset in assets])
        operator = ListAgentsOperator(
            task_id="agents", output_path=str(tmp_path / "agents.jsonl"), outlets=[*assets, "no asset"]
        )
        receipt = operator.execute({"outlet_events": events})
        assert [event.extra for _, event in events] == [receipt, receipt]
        assert "warnings" not in receipt

    def test_assets_hear_nothing_of_a_failure(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        connection(sandbox(faults=[Fault("status", status=400)]))
        asset = Asset("helpcrunch://agents")
        events = OutletEvents([(asset, Event())])
        with pytest.raises(HelpCrunchBadRequestError):
            ListAgentsOperator(task_id="agents", outlets=[asset]).execute({"outlet_events": events})
        assert events[asset].extra is None


class TestFailure:
    @pytest.mark.parametrize(
        ("status", "kind"), [(401, HelpCrunchAuthError), (400, HelpCrunchBadRequestError)]
    )
    def test_a_permanent_one_costs_one_request(
        self, status: int, kind: type[HelpCrunchError], sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(faults=[Fault("status", status=status, times=0)])
        connection(server)
        with pytest.raises(kind) as caught:
            ListAgentsOperator(task_id="agents").execute({})
        assert isinstance(caught.value, AirflowFailException)
        assert len(server.journal) == 1

    @pytest.mark.parametrize(
        "fault",
        [Fault("status", status=401, nth=4, times=0), Fault("shuffle", nth=2, times=0)],
        ids=lambda fault: fault.kind,
    )
    @pytest.mark.parametrize("suffix", ["jsonl", "json.gz", "csv.zst", "parquet"])
    def test_leaves_the_earlier_object_and_nothing_else(
        self, fault: Fault, suffix: str, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        server = sandbox(agents=1000, faults=[fault])
        connection(server)
        folder = tmp_path / "data"
        folder.mkdir()
        path = folder / f"agents.{suffix}"
        path.write_bytes(b"the object of yesterday")
        with pytest.raises(HelpCrunchError):
            ListAgentsOperator(task_id="agents", output_path=str(path)).execute({})
        assert len(server.journal) >= 2
        assert path.read_bytes() == b"the object of yesterday"
        assert list(folder.iterdir()) == [path]

    def test_leaves_no_folder_where_there_was_none(
        self, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        connection(sandbox(agents=300, faults=[Fault("status", status=401, nth=2, times=0)]))
        path = tmp_path / "data" / "agents.jsonl"
        with pytest.raises(HelpCrunchAuthError):
            ListAgentsOperator(task_id="agents", output_path=str(path)).execute({})
        assert not path.parent.exists()

    def test_of_publishing_keeps_the_type_and_names_the_path(
        self,
        sandbox: StartSandbox,
        connection: SetConnection,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connection(sandbox(agents=3))
        path = tmp_path / "agents.jsonl"
        path.write_text("yesterday")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(HelpCrunchStorageError, match=r"agents\.jsonl.*No space left"):
            ListAgentsOperator(task_id="agents", output_path=str(path)).execute({})
        monkeypatch.undo()
        assert path.read_text() == "yesterday"
        assert [child.name for child in tmp_path.iterdir() if child.is_file()] == ["agents.jsonl"]

    def test_ends_the_requests_too(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        later = range(198, 1000, 99)
        faults = [
            Fault("status", status=401, offset=99, times=0),
            *(Fault("latency", offset=offset, seconds=1.5, times=0) for offset in later),
            *(Fault("status", status=500, offset=offset, times=0) for offset in later),
        ]
        server = sandbox(agents=1000, faults=faults)
        connection(server, rate_limit_store="memory://")
        with pytest.raises(HelpCrunchAuthError):
            ListAgentsOperator(task_id="agents").execute({})
        for thread in threading.enumerate():
            if thread.name.startswith("helpcrunch-page"):
                thread.join(60)
        assert len(server.journal) <= 1 + 8  # the first page, and those that were under way already

    def test_a_killed_process_leaves_the_earlier_object_and_nothing_else(
        self, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        server = sandbox(agents=1000, faults=[Fault("hang", nth=5, times=0)])
        connection(server)
        folder = tmp_path / "data"
        folder.mkdir()
        path = folder / "agents.jsonl"
        path.write_bytes(b"the object of yesterday")
        code = (
            "import sys; from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator;"
            "ListAgentsOperator(task_id='agents', output_path=sys.argv[1]).execute({})"
        )
        task = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while len(server.journal) < 5 and task.poll() is None:
                time.sleep(0.02)
            assert task.poll() is None, "the task ended before it could be killed"
        finally:
            task.send_signal(signal.SIGKILL)
            task.wait()
        assert task.returncode == -signal.SIGKILL
        assert server.count(200) == 4
        assert path.read_bytes() == b"the object of yesterday"
        assert list(folder.iterdir()) == [path]


class TestTold:
    def test_one_summary(self, sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog) -> None:
        connection(sandbox(agents=250, faults=[Fault("status", status=503, nth=2)]))
        operator = ListAgentsOperator(task_id="agents")
        lines = task_log(operator)
        operator.execute({})
        assert len(lines) == 1
        assert lines[0].startswith("Listed 250 agents (3 pages, 4 requests, 1 retry) in ")

    def test_a_failure_is_summed_up_too(
        self, sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog
    ) -> None:
        connection(sandbox(agents=250, faults=[Fault("status", status=401, nth=2, times=0)]))
        operator = ListAgentsOperator(task_id="agents")
        lines = task_log(operator)
        with pytest.raises(HelpCrunchAuthError):
            operator.execute({})
        assert len(lines) == 1
        assert lines[0].startswith("Listing agents failed: 100 agents read (1 page, ")

    def test_a_file_is_told_once(
        self,
        sandbox: StartSandbox,
        connection: SetConnection,
        task_log: TaskLog,
        client_log: list[str],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO", logger="airflow_provider_helpcrunch")
        connection(sandbox(agents=25))
        operator = ListAgentsOperator(task_id="agents", output_path=str(tmp_path / "agents.jsonl"))
        lines = task_log(operator)
        operator.execute({})
        assert len([line for line in lines + client_log if "Wrote" in line]) == 1

    def test_a_long_listing_tells_its_progress(
        self,
        sandbox: StartSandbox,
        connection: SetConnection,
        task_log: TaskLog,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(progress, "EVERY", 0.05)
        connection(sandbox(agents=2000, latency=0.06))
        operator = ListAgentsOperator(task_id="agents")
        lines = task_log(operator)
        began = time.monotonic()
        operator.execute({})
        took = time.monotonic() - began
        steps = [line for line in lines if line.startswith("Listing agents:")]
        assert 1 <= len(steps) <= took / progress.EVERY
        # Not the last one: it may come while the end is looked for, and all 2,000 are read.
        told = r"Listing agents: [0-9,]+ of 2,000 read so far \([0-9]+ pages?, [0-9]+ requests?\) in "
        assert any(re.match(told, step) for step in steps)
        assert [line[:18] for line in lines if line not in steps] == ["Listed 2,000 agents"[:18]]

    @pytest.mark.parametrize("fails", [False, True])
    def test_metrics(
        self,
        *,
        fails: bool,
        sandbox: StartSandbox,
        connection: SetConnection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        told: dict[str, float] = {}

        class Recorder:
            incr = timing = staticmethod(told.__setitem__)

        monkeypatch.setattr(progress, "Stats", Recorder)
        then = [Fault("status", status=401, nth=2)] if fails else []
        connection(sandbox(agents=5, faults=[Fault("status", status=503), *then]))
        operator = ListAgentsOperator(task_id="agents")
        if fails:
            with pytest.raises(HelpCrunchAuthError):
                operator.execute({})
        else:
            operator.execute({})
        assert list(told) == ["helpcrunch.requests", "helpcrunch.retries", "helpcrunch.budget_wait"]
        assert (told["helpcrunch.requests"], told["helpcrunch.retries"]) == (2, 1)
        assert 0 <= told["helpcrunch.budget_wait"] < 5000
