"""Caps and memberships: who may get a chat, and what becomes of chats that nobody may get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from code_blocks import sample
from in_process import send_ids_as_text
from team import LEAVER, TARGETS, WRONG_RULES, Team

from airflow_provider_helpcrunch.chats.eligibility import Eligibility, members_of_departments
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchPartialError,
    HelpCrunchResponseError,
)
from airflow_provider_helpcrunch.sandbox import Fault

pytestmark = pytest.mark.usefixtures("importable")

STRATEGIES = ("round_robin", "least_loaded", f"{__name__}.last")


def last(_: Any, loads: dict[int, int]) -> int:
    """Choose the agent who was named last of those who may get the chat."""
    return list(loads)[-1]


def left(result: dict[str, Any]) -> dict[int, str]:
    return {chat["id"]: chat["error"] for chat in result["chats"] if chat["outcome"] == "left"}


class TestMost:
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_nobody_gets_above_it_counting_what_they_have(self, strategy: str, team: Team) -> None:
        team.arrive(4, 1002)
        team.arrive(2, 1003)
        team.arrive(3, 1003, status="closed")
        moved = team.arrive(12)
        result = team.reassign(max_per_agent=5, strategy=strategy)
        assert [team.open_chats(agent) for agent in TARGETS] == [5, 5, 5]
        assert (result["changed"], result["left"], result["failed"]) == (9, 3, 0)
        assert list(left(result)) == moved[-3:]
        assert set(left(result).values()) == {"All of to_agents have 5 open chats or more."}
        assert all(chat["after"] is None for chat in result["chats"] if chat["outcome"] == "left")

    @pytest.mark.parametrize("total", ["low", "high", "zero", "missing", -30])
    def test_a_total_that_is_wrong_breaks_no_cap(
        self, total: Any, monkeypatch: pytest.MonkeyPatch, task_log: Callable[..., Any]
    ) -> None:
        from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

        task_log(ReassignChatsOperator(task_id="log", from_agents=1, to_agents=2))
        team = Team(monkeypatch, total=total)
        team.arrive(130, 1002)
        team.arrive(10, 1003)
        team.arrive(8)
        result = team.reassign(max_per_agent=130)
        assert (result["changed"], team.open_chats(1002), team.open_chats(1003)) == (8, 130, 14)

    def test_who_has_more_already_gets_none_and_loses_none(self, team: Team) -> None:
        team.arrive(7, 1002)
        team.arrive(4)
        result = team.reassign(max_per_agent=2)
        assert [team.open_chats(agent) for agent in TARGETS] == [7, 2, 2]
        assert result["left"] == 0

    def test_the_order_of_a_strategy_is_kept(self, team: Team) -> None:
        team.arrive(1, 1003)
        team.arrive(6)
        result = team.reassign(max_per_agent=2)
        assert [chat["after"] for chat in result["chats"]] == [1002, 1003, 1004, 1002, 1004, None]

    def test_costs_one_request_for_each_agent(self, team: Team) -> None:
        team.arrive(6)
        without = team.reassign()["requests"]
        team.arrive(6)
        assert team.reassign(max_per_agent=50)["requests"] == without + len(TARGETS)

    def test_a_dry_run_leaves_the_same_chats(self, team: Team) -> None:
        team.arrive(5)
        planned = team.reassign(max_per_agent=1, dry_run=True)
        assert (planned["planned"], planned["left"]) == (3, 2)
        assert team.account.writes() == []
        done = team.reassign(max_per_agent=1)
        assert [(chat["id"], chat["after"]) for chat in done["chats"]] == [
            (chat["id"], chat["after"]) for chat in planned["chats"]
        ]

    def test_the_summary_in_the_log_says_how_many_are_left_and_why(self, team: Team) -> None:
        team.arrive(5)
        team.reassign(max_per_agent=1)
        summary = next(line for line in team.log if " changed" in line)
        first, second = summary.splitlines()
        assert first.startswith("3 changed, 2 left (nobody could take them); ")
        assert second == "2 left: All of to_agents have 1 open chats or more."

    def test_the_page_shows_a_summary(self, team: Team) -> None:
        for agent in TARGETS[:2]:
            team.arrive(5, agent)
        team.arrive(22)
        team.arrive(1, department=103)
        team.reassign(to_agents=TARGETS[:2], max_per_agent=15, within_department=True)
        summary = next(line for line in team.log if " changed" in line)
        assert f"{summary}\n" == sample("reassignment.md", "20 changed")

    def test_pages_of_chats_that_are_left_come_to_an_end(self, team: Team) -> None:
        team.arrive(250)
        result = team.reassign(max_per_agent=1)
        assert (result["changed"], result["left"]) == (3, 247)
        assert result["requests"] < 3 + 1 + 3 + 10

    def test_a_retry_tries_again_what_was_left(self, team: Team) -> None:
        team.arrive(4)
        team.account.add_fault(Fault("status", status=500, method="PUT", times=7))
        context = {"task_state_store": team.store}
        with pytest.raises(HelpCrunchPartialError):
            team.reassign(context, max_per_agent=1)
        for agent in TARGETS:
            for chat in team.account.chats_of(agent):
                team.account.update_chat(chat["id"], status="closed")
        team.account.clear_faults()
        result = team.reassign(context, max_per_agent=1)
        assert (result["changed"], result["left"]) == (4, 0)
        assert team.open_chats(LEAVER) == 0

    def test_a_chat_that_may_have_been_moved_counts(self, team: Team) -> None:
        """The move is made, its response is lost for good, and no look is possible until the end."""
        chats = team.arrive(2)
        team.account.add_fault(Fault("reset", method="PUT", chat=chats[0], times=0))
        result = team.reassign(max_per_agent=1, to_agents=[1002])
        assert team.open_chats(1002) == 1
        assert (result["changed"], result["left"]) == (1, 1)

    def test_a_chat_that_was_refused_does_not_count(self, team: Team) -> None:
        chats = team.arrive(3)
        team.account.add_fault(Fault("status", status=400, method="PUT", chat=chats[0], times=0))
        result = team.reassign(max_per_agent=2, to_agents=[1002], on_error="report")
        assert (result["changed"], result["refused"], result["left"]) == (2, 1, 0)

    def test_max_chats_does_not_count_what_is_left(self, team: Team) -> None:
        team.arrive(9)
        result = team.reassign(max_per_agent=2, max_chats=6)
        assert (result["changed"], result["left"]) == (6, 0)


class TestDepartment:
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_only_members_get_the_chats_of_a_department(self, strategy: str, team: Team) -> None:
        chats = {
            department["id"]: team.arrive(6, department=department["id"])
            for department in team.account.departments
        }
        nobodys = team.arrive(3)
        result = team.reassign(within_department=True, strategy=strategy)
        for department, of_department in chats.items():
            targets = set(team.members(department)) & set(TARGETS)
            for chat in of_department:
                owner = team.account.chat(chat)["assignee"]["id"]
                assert owner in (targets or {LEAVER})
                assert (owner == LEAVER) == (chat in left(result))
        assert all(team.account.chat(chat)["assignee"]["id"] in TARGETS for chat in nobodys)
        assert result["changed"] + result["left"] == 21

    def test_memberships_cost_one_request(self, team: Team) -> None:
        team.arrive(6)
        without = team.reassign()["requests"]
        team.arrive(6)
        assert team.reassign(within_department=True)["requests"] == without + 1

    def test_the_reasons_name_the_department(self, team: Team) -> None:
        department = team.account.departments[0]
        outsiders = [agent for agent in TARGETS if agent not in team.members(department["id"])]
        team.arrive(2, department=department["id"])
        result = team.reassign(within_department=True, to_agents=outsiders[:1])
        shown = f"{department['name']} ({department['id']})"
        assert set(left(result).values()) == {f"No agent in to_agents is a member of the department {shown}."}

    def test_the_reason_may_be_both(self, team: Team) -> None:
        department, member = next(
            (each, agent["id"])
            for each in team.account.departments
            for agent in each["agents"]
            if agent["id"] in TARGETS
        )
        outsider = next(
            agent for agent in (1005, 1006, *TARGETS) if agent not in team.members(department["id"])
        )
        team.arrive(2, department=department["id"])
        result = team.reassign(within_department=True, max_per_agent=1, to_agents=[member, outsider])
        shown = f"{department['name']} ({department['id']})"
        assert list(left(result).values()) == [
            f"The agents in to_agents who are members of the department {shown} have 1 open chats or more."
        ]

    def test_a_department_without_its_agents_stops_the_task_before_a_move(
        self, team: Team, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_helpcrunch.client import HelpCrunchClient

        team.arrive(3)
        monkeypatch.setattr(
            HelpCrunchClient, "iter_departments", lambda _: iter([{"id": 12, "name": "Billing"}])
        )
        with pytest.raises(
            HelpCrunchResponseError, match=r"the department Billing \(12\) without a readable list"
        ):
            team.reassign(within_department=True)
        assert team.account.writes() == []

    def test_members_are_read_by_id(self, team: Team) -> None:
        assert members_of_departments(team.client) == {
            each["id"]: frozenset(agent["id"] for agent in each["agents"])
            for each in team.account.departments
        }

    def test_ids_may_be_texts(self, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
        members = members_of_departments(team.client)
        send_ids_as_text(monkeypatch)
        assert members_of_departments(team.client) == members

    def test_a_department_that_is_not_listed_has_no_members(self) -> None:
        eligibility = Eligibility(members={12: frozenset({1002})})
        chat = {"id": 1, "department": {"id": 13, "name": None}}
        assert eligibility.of(chat, [1002]) == []
        assert eligibility.why_none(chat, [1002]) == "No agent in to_agents is a member of the department 13."


def test_a_strategy_that_insists_on_an_agent_who_may_not_is_refused(team: Team) -> None:
    team.arrive(2)
    with pytest.raises(HelpCrunchConfigurationError, match="the strategy chose 1002 for the chat"):
        team.reassign(max_per_agent=1, strategy=f"{__name__}.always_first")
    assert Counter(write.body["assignee"] for write in team.account.writes()) == {1002: 1}


def always_first(*_: Any) -> int:
    """Choose the same agent always."""
    return 1002


@pytest.mark.parametrize(("arguments", "message"), WRONG_RULES)
def test_a_wrong_argument_is_refused_before_the_first_request(
    arguments: dict[str, Any], message: str, team: Team
) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as refusal:
        team.reassign(**arguments)
    assert str(refusal.value) == message
    assert team.account.journal == []
