"""``ReassignChatsOperator`` when something goes wrong with a chat, and what it tells about all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_names import OutletEvents
from task_context import Instance

from airflow_provider_helpcrunch._airflow import AirflowFailException, Asset
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchNotFoundError,
    HelpCrunchPartialError,
    HelpCrunchRateLimitError,
    HelpCrunchRefusedError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.storage import read_records

pytestmark = pytest.mark.older

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
TaskLog = Callable[[Any], list[str]]

LEAVER = 1001
WRITE = "/v1/chats/assignee"


class Event:
    """Stands for one entry of ``outlet_events``."""

    extra: Any = None


def written(server: Sandbox) -> dict[int, int]:
    return {request.body["id"]: request.body["assignee"] for request in server.writes()}


class TestOnError:
    def refuse(self, server: Sandbox) -> list[int]:
        unknown, wrong = server.chats[1]["id"], server.chats[4]["id"]
        server.add_fault(Fault("status", status=404, chat=unknown, times=0))
        server.add_fault(Fault("status", status=400, chat=wrong, times=0))
        return [unknown, wrong]

    def test_fail_at_end(self, account: StartAccount, reassign: Reassign) -> None:
        server, instance = account(*["opened"] * 6), Instance()
        refused = self.refuse(server)
        with pytest.raises(
            HelpCrunchRefusedError, match=f"2 changes were not made.*chat {refused[0]}"
        ) as caught:
            reassign({"ti": instance})
        assert isinstance(caught.value, AirflowFailException)
        result = instance.pushed["return_value"]
        assert (result["changed"], result["refused"]) == (4, 2)
        told = {chat["id"]: chat["error"] for chat in result["chats"] if chat["outcome"] == "refused"}
        assert list(told) == refused
        assert "404" in told[refused[0]]
        assert "400" in told[refused[1]]
        assert [chat["id"] for chat in server.chats_of(LEAVER)] == refused

    def test_report(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 6)
        self.refuse(server)
        result = reassign(on_error="report")
        assert (result["changed"], result["refused"], result["failed"]) == (4, 2, 0)

    def test_fail_fast(self, account: StartAccount, reassign: Reassign) -> None:
        server, instance = account(*["opened"] * 6), Instance()
        self.refuse(server)
        with pytest.raises(HelpCrunchNotFoundError):
            reassign({"ti": instance}, on_error="fail_fast")
        assert len(server.requests(WRITE)) == 2
        assert instance.pushed["return_value"]["changed"] == 1

    def test_fail_fast_at_a_bad_request(self, account: StartAccount, reassign: Reassign) -> None:
        server = account("opened", faults=[Fault("status", status=400, path=WRITE)])
        with pytest.raises(HelpCrunchBadRequestError):
            reassign(on_error="fail_fast")
        assert len(server.requests(WRITE)) == 1

    def test_a_poison_chat_does_not_stop_the_others(self, account: StartAccount, reassign: Reassign) -> None:
        server, instance = account(*["opened"] * 6), Instance()
        poison = server.chats[2]["id"]
        server.add_fault(Fault("status", status=500, chat=poison, times=0))
        with pytest.raises(HelpCrunchPartialError) as caught:
            reassign({"ti": instance})
        assert not isinstance(caught.value, AirflowFailException)  # a retry may help
        assert [chat["id"] for chat in server.chats_of(LEAVER)] == [poison]
        assert instance.pushed["return_value"]["failed"] == 1

    @pytest.mark.parametrize("kind", ["status", "close", "garbage", "ignore_write"])
    def test_three_in_a_row_without_an_answer_stop_the_task(
        self, kind: str, account: StartAccount, reassign: Reassign
    ) -> None:
        server, instance = account(*["opened"] * 20), Instance()
        server.add_fault(Fault(kind, path=WRITE, nth=5, times=0))
        with pytest.raises(
            Exception, match=WRITE[3:] if kind != "ignore_write" else "answered 200"
        ) as caught:
            reassign({"ti": instance})
        assert not isinstance(caught.value, AirflowFailException)
        assert len({request.chat for request in server.requests(WRITE)}) == 7
        result = instance.pushed["return_value"]
        assert (result["changed"], result["failed"]) == (4, 3)

    def test_a_search_that_fails_for_good_stops_the_task(
        self, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account("opened", faults=[Fault("status", path="/v1/chats/search", times=0)])
        with pytest.raises(HelpCrunchServerError):
            reassign()
        assert server.writes() == []

    def test_a_refused_key_in_the_middle(
        self, account: StartAccount, reassign: Reassign, tmp_path: Path
    ) -> None:
        server, instance, path = account(*["opened"] * 120), Instance(), tmp_path / "report.jsonl"
        server.add_fault(Fault("status", status=401, path=WRITE, nth=51, times=0))
        with pytest.raises(HelpCrunchAuthError):
            reassign({"ti": instance}, report_path=str(path))
        assert len(server.requests(WRITE)) == 51
        result = instance.pushed["return_value"]
        assert (result["changed"], len(result["chats"])) == (50, 50)
        assert [row["id"] for row in read_records(result["report"])] == [w.chat for w in server.writes()]
        server.clear_faults()
        assert reassign()["changed"] == 70
        assert len(written(server)) == len(server.writes()) == 120


class TestReport:
    @pytest.mark.parametrize("suffix", ["jsonl", "json.gz", "csv", "parquet"])
    def test_file(self, suffix: str, account: StartAccount, reassign: Reassign, tmp_path: Path) -> None:
        server = account(*["opened"] * 4)
        lost = server.chats[3]["id"]
        server.add_fault(Fault("status", status=404, chat=lost, times=0))
        path = tmp_path / "new" / f"report.{suffix}"
        result = reassign(report_path=str(path), on_error="report")
        assert result["report"] == {
            **{"path": str(path), "records": 4, "bytes": path.stat().st_size, "format": suffix}
        }
        rows, names = list(read_records(str(path))), {agent["id"]: agent["name"] for agent in server.agents}
        assert [int(row["id"]) for row in rows] == [chat["id"] for chat in server.chats]
        assert [row["before_name"] for row in rows] == [names[LEAVER]] * 4
        assert [row["after_name"] for row in rows] == [names[agent] for agent in (1002, 1003, 1004, 1002)]
        assert [str(row["after"]) for row in rows] == ["1002", "1003", "1004", "1002"]
        assert [bool(row["error"]) for row in rows] == [False, False, False, True]

    def test_outlet_assets_get_the_receipt(self, account: StartAccount, tmp_path: Path) -> None:
        account("opened")
        asset, event = Asset("helpcrunch://moves"), Event()
        path = str(tmp_path / "report.json")
        operator = ReassignChatsOperator(
            **{"task_id": "reassign", "from_agents": LEAVER, "to_agents": 1002},
            **{"report_path": path, "outlets": [asset]},
        )
        assert event.extra is None
        assert operator.execute({"outlet_events": OutletEvents([(asset, event)])})["report"] == event.extra

    def test_a_change_whose_response_never_came_is_named(
        self, account: StartAccount, reassign: Reassign, tmp_path: Path
    ) -> None:
        server = account(*["opened"] * 5)
        path = tmp_path / "report.jsonl"
        server.add_fault(Fault("close", method="PUT", nth=3))
        server.add_fault(Fault("status", method="PUT", nth=4, times=0, status=429))
        with pytest.raises(HelpCrunchRateLimitError):
            reassign(report_path=str(path), patience=1)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert [row["outcome"] for row in rows].count("changed") == 2
        (lost,) = [row for row in rows if row["outcome"] == "failed"]
        assert lost["error"].startswith("The task was interrupted before HelpCrunch's response came")
        assert server.chat(lost["id"])["assignee"]["id"] == lost["after"]

    def test_a_large_one_stays_out_of_xcom(
        self, account: StartAccount, task_log: TaskLog, tmp_path: Path
    ) -> None:
        account(*["opened"] * 50)
        operator = ReassignChatsOperator(
            task_id="reassign",
            from_agents=LEAVER,
            to_agents=[1002, 1003],
            max_xcom_bytes=1000,
            report_path=str(tmp_path / "report.csv"),
        )
        lines = task_log(operator)
        result = operator.execute({})
        assert any("the list of changes is larger than max_xcom_bytes (1000)" in line for line in lines)
        assert (result["changed"], result["chats"], result["report"]["records"]) == (50, None, 50)
        assert len(json.dumps(result)) < 1000

    def test_log(self, account: StartAccount, task_log: TaskLog) -> None:
        server = account("opened", "opened")
        lost = server.chats[1]["id"]
        server.add_fault(Fault("status", status=404, chat=lost, times=0))
        operator = ReassignChatsOperator(
            task_id="reassign", from_agents=LEAVER, to_agents=[1002, 1003], on_error="report"
        )
        lines = task_log(operator)
        operator.execute({})
        table = next(line for line in lines if "\n" in line).split("\n")
        names = {agent["id"]: agent["name"] for agent in server.agents}
        assert any(line.startswith("1 changed, 1 refused") for line in lines)
        assert table[0] == "2 results:"
        assert table[2].split()[0] == str(lost)
        assert "refused: PUT /chats/assignee" in table[2]
        *_, continued, last = table
        assert continued.startswith(" " * table[1].index("outcome"))
        assert f"{names[LEAVER]} (1001)" in last
        assert f"{names[1002]} (1002)" in last

    def test_nothing_to_do(self, account: StartAccount, reassign: Reassign) -> None:
        account()
        result = reassign()
        assert result["chats"] == []
        assert {result[word] for word in ("changed", "planned", "unchanged", "refused", "failed")} == {0}
