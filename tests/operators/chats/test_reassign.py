"""``ReassignChatsOperator``: who gets which chat, and what is refused before anything is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
)
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.sandbox import Sandbox

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
TaskLog = Callable[[Any], list[str]]

LEAVER = 1001
OPEN = ("new", "opened", "pending", "onhold", "no communication")


def by_last_digit(chat: Mapping[str, Any], loads: Mapping[int, int]) -> int:
    return sorted(loads)[chat["id"] % 10 % len(loads)]


def not_even_a_number(chat: Mapping[str, Any], loads: Mapping[int, int]) -> Any:
    return {"nobody": None, "text": "1002", "source": LEAVER, "true": True, "list": [1002]}[GARBAGE[0]]


GARBAGE: list[str] = []
CHOOSES = f"{__name__}.by_last_digit"


def owners(server: Sandbox) -> Counter[int | None]:
    return Counter(chat["assignee"] and chat["assignee"]["id"] for chat in server.chats)


def written(server: Sandbox) -> dict[int, int]:
    return {request.body["id"]: request.body["assignee"] for request in server.writes()}


class TestWhoGetsWhat:
    def test_round_robin(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*OPEN * 2)
        before = [chat["id"] for chat in server.chats]
        result = reassign(to_agents=[1004, 1002, 1003])
        assert list(written(server).items()) == list(
            zip(before, [1004, 1002, 1003] * 3 + [1004], strict=True)
        )
        assert result["changed"] == len(result["chats"]) == 10
        assert result["chats"][1] == {
            **{"id": before[1], "field": "assignee", "before": LEAVER, "after": 1002},
            **{"outcome": "changed", "error": None, "status": "opened", "department": None},
        }
        assert json.loads(json.dumps(result)) == result

    def test_least_loaded_looks_at_open_chats_only(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 8)
        server.insert_chats(5, assignee=1002)
        server.insert_chats(120, assignee=1003, status="closed")
        server.insert_chats(2, assignee=1003, status="empty")
        server.insert_chats(3, assignee=1003, status="pending")
        server.insert_chats(1, assignee=1004)
        reassign(strategy="least_loaded")
        assert list(written(server).values()) == [1004, 1004, 1003, 1004, 1003, 1004, 1002, 1003]

    def test_a_function_of_the_users(
        self, account: StartAccount, reassign: Reassign, importable: None
    ) -> None:
        server = account(*["opened"] * 20)
        reassign(strategy=CHOOSES)
        assert written(server) == {
            chat["id"]: by_last_digit(chat, {1002: 0, 1003: 0, 1004: 0}) for chat in server.chats
        }

    @pytest.mark.parametrize("garbage", ["nobody", "text", "source", "true", "list"])
    def test_a_function_that_returns_garbage(
        self, garbage: str, account: StartAccount, reassign: Reassign, importable: None
    ) -> None:
        server = account("opened")
        GARBAGE[:] = [garbage]
        with pytest.raises(HelpCrunchConfigurationError, match="The strategy failed"):
            reassign(strategy=f"{__name__}.not_even_a_number")
        assert server.writes() == []

    def test_nobodys_chats(self, account: StartAccount, reassign: Reassign) -> None:
        server = account("opened", "new")
        mine = [chat["id"] for chat in server.insert_chats(3)]
        server.insert_chats(2, status="closed")
        result = reassign(from_agents=None)
        assert list(written(server)) == mine
        assert {chat["before"] for chat in result["chats"]} == {None}

    def test_several_sources_some_of_whom_have_left(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 4)
        server.insert_chats(4, assignee=1006)
        server.insert_chats(4)
        server.remove_agent(LEAVER)
        result = reassign(from_agents=[LEAVER, None, {"id": 1006, "name": "Ada"}])
        assert result["changed"] == 12
        assert owners(server) == {1002: 4, 1003: 4, 1004: 4}

    def test_closed_and_empty_chats_stay(self, account: StartAccount, reassign: Reassign) -> None:
        server = account("closed", "empty", "opened", "closed")
        assert reassign()["changed"] == 1
        assert len(server.chats_of(LEAVER, open_only=False)) == 3

    @pytest.mark.parametrize("statuses", ["on hold, closed", ["on-hold", "Closed"], '["onhold", "closed"]'])
    def test_statuses(self, statuses: Any, account: StartAccount, reassign: Reassign) -> None:
        server = account(*OPEN, "closed")
        reassign(statuses=statuses.split(", ") if statuses == "on hold, closed" else statuses)
        assert {server.chat(chat)["status"] for chat in written(server)} == {"onhold", "closed"}

    def test_department(self, account: StartAccount, reassign: Reassign) -> None:
        server = account("opened")
        server.insert_chats(2, assignee=LEAVER, department=101)
        mine = [chat["id"] for chat in server.insert_chats(2, assignee=LEAVER, department=102)]
        assert reassign(department="102")["changed"] == 2
        assert list(written(server)) == mine

    def test_max_chats(self, account: StartAccount, reassign: Reassign) -> None:
        server = account(*["opened"] * 130)
        server.insert_chats(5, assignee=1006)
        assert reassign(max_chats=110, from_agents=[LEAVER, 1006])["changed"] == 110
        assert len(server.chats_of(LEAVER)) == 20

    def test_an_account_with_a_history(
        self, sandbox: StartAccount, connection: Callable[..., None], reassign: Reassign
    ) -> None:
        server = sandbox(agents=8, chats=2000)
        connection(server, requests_per_minute=3000, rate_limit_store="memory://")
        mine, others = (
            server.chats_of(LEAVER),
            [c for c in server.chats if (c["assignee"] or {}).get("id") != LEAVER],
        )
        assert len(mine) > 100
        assert reassign()["changed"] == len(mine)
        assert set(written(server)) == {chat["id"] for chat in mine}
        assert [server.chat(chat["id"]) for chat in others] == others


class TestTargets:
    @pytest.mark.parametrize(
        "targets", [1002, "1002", ["1002", {"id": 1003}], "1002, 1003", '[1002, {"id": 1003}]']
    )
    def test_spellings(self, targets: Any, account: StartAccount, reassign: Reassign) -> None:
        server = account("opened", "opened")
        assert reassign(to_agents=targets)["changed"] == 2
        assert set(owners(server)) <= {1002, 1003}

    @pytest.mark.parametrize("suffix", [None, "jsonl", "csv.gz", "parquet"])
    def test_what_the_list_operator_returned(
        self, suffix: str | None, account: StartAccount, reassign: Reassign, tmp_path: Path
    ) -> None:
        server = account(*["opened"] * 12)
        role = server.agents[1]["role"]
        wanted = {agent["id"] for agent in server.agents if agent["role"] == role} - {LEAVER}
        path = None if suffix is None else str(tmp_path / f"agents.{suffix}")
        listed = ListAgentsOperator(task_id="agents", output_path=path, roles=role).execute({})
        for source, targets in ((None, listed), (1099, path or listed), (1098, json.dumps(listed))):
            server.insert_chats(12, assignee=None) if source is None else None
            result = reassign(from_agents=source, to_agents=targets, allow_unknown_agents=True)
            assert result["changed"] == (12 if source is None else 0)
        assert {write.body["assignee"] for write in server.writes()} == wanted

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"to_agents": []}, "to_agents is empty"),
            ({"to_agents": "[]"}, "to_agents is empty"),
            ({"to_agents": ""}, "to_agents was rendered to"),
            ({"to_agents": [1002, 1099]}, "1099, but the account has no such agent"),
            ({"to_agents": [1002, LEAVER]}, "is in from_agents and in to_agents"),
            ({"to_agents": [0]}, "to_agents must be a HelpCrunch id"),
            ({"from_agents": []}, "from_agents is empty"),
            ({"from_agents": "Ada"}, "from_agents must be a HelpCrunch id"),
            ({"statuses": ["opend"]}, "is not a status of a chat"),
            ({"statuses": []}, "statuses is empty"),
            ({"strategy": "random"}, "strategy must be"),
            ({"strategy": "no_such_module.choose"}, "No module named"),
            ({"strategy": "json.decoder"}, "it is not a function"),
            ({"max_chats": 0}, "max_chats must be"),
            ({"department": "Sales"}, "department must be"),
            ({"dry_run": "perhaps"}, "dry_run must be"),
            ({"on_error": "ignore"}, "on_error must be"),
            ({"report_path": "report.xlsx"}, "report.xlsx"),
            ({"report_format": "csv"}, "report_format needs report_path"),
            ({"report_path": "report", "report_format": "pdf"}, "report_format='pdf' is unknown"),
            ({"patience": 0.5}, "patience must be"),
        ],
    )
    def test_what_is_refused_before_the_first_write(
        self, wrong: dict[str, Any], told: str, account: StartAccount, reassign: Reassign
    ) -> None:
        server = account(*["opened"] * 3)
        with pytest.raises(HelpCrunchConfigurationError, match=told) as caught:
            reassign(**wrong)
        assert isinstance(caught.value, AirflowFailException)
        assert {request.path for request in server.journal} <= {"/v1/agents"}
        assert len(server.chats_of(LEAVER)) == 3

    def test_an_empty_file_of_targets_is_refused(
        self, account: StartAccount, reassign: Reassign, tmp_path: Path
    ) -> None:
        server = account("opened")
        path = tmp_path / "agents.jsonl"
        path.write_text("")
        with pytest.raises(HelpCrunchConfigurationError, match="to_agents is empty"):
            reassign(to_agents=str(path))
        assert server.writes() == []
