"""Caps, departments and notes of a plan: they hold when the turn of a chat comes, whatever held at the dry run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from in_process import Killed, client_of
from task_context import Instance
from team import LEAVER, TARGETS, WRONG_RULES, Team

from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
from airflow_provider_helpcrunch.chats.plan import Plan
from airflow_provider_helpcrunch.chats.plan_run import PlanRun
from airflow_provider_helpcrunch.chats.results import Results
from airflow_provider_helpcrunch.chats.rules import Rules
from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchNotesMissingError,
    HelpCrunchPartialError,
    HelpCrunchRateLimitError,
    HelpCrunchResponseError,
)
from airflow_provider_helpcrunch.sandbox import Fault

TEXT = "Approved by the team lead; see <b>ticket 7</b>."
POST = "/v1/messages"


def to(agent: int | None, *chats: int) -> list[dict[str, Any]]:
    return [{"id": chat, "assignee": agent} for chat in chats]


def skipped(result: dict[str, Any]) -> dict[int, str]:
    return {row["id"]: row["error"] for row in result["chats"] if row["outcome"] == "skipped"}


def name(team: Team, agent: int) -> str:
    return next(f"{each['name']} ({agent})" for each in team.account.agents if each["id"] == agent)


class TestMost:
    def test_chats_that_are_the_agents_own_are_not_opened_beyond_it(self, team: Team) -> None:
        chats = team.arrive(5, 1002, status="closed")
        plan = [{"id": chat, "assignee": 1002, "status": "opened"} for chat in chats]
        result = team.apply(plan, max_per_agent=2)
        assert (result["changed"], result["unchanged"], result["skipped"]) == (2, 5, 3)
        assert team.open_chats(1002) == 2

    @pytest.mark.parametrize("named", [False, True])
    def test_a_chat_that_the_plan_opens_counts_for_its_agent(self, team: Team, *, named: bool) -> None:
        own, others = team.arrive(2, 1002, status="closed"), team.arrive(2)
        opened = [{"id": chat, "status": "opened", **({"assignee": 1002} if named else {})} for chat in own]
        result = team.apply(opened + to(1002, *others), max_per_agent=2)
        assert set(skipped(result)) == set(others)
        assert team.open_chats(1002) == 2

    def test_a_chat_that_is_given_and_opened_counts_once(self, team: Team) -> None:
        chats = team.arrive(3, status="closed")
        plan = [{"id": chat, "assignee": 1002, "status": "opened"} for chat in chats]
        result = team.apply(plan, max_per_agent=2)
        assert set(skipped(result)) == {chats[2]}
        assert team.open_chats(1002) == 2

    def test_opened_chats_still_count_after_a_wait(self, team: Team) -> None:
        own, others = team.arrive(2, 1002, status="closed"), team.arrive(2)
        plan = Plan.read(
            [{"id": chat, "status": "opened"} for chat in own] + to(1002, *others), Rules(most_open=2)
        )
        checkpoint = Checkpoint()
        for requests in (2, 3, 3, 3, 3, 3, 3, 3):
            try:
                list(PlanRun(plan, checkpoint).run(client_of(team.account, requests)))
            except HelpCrunchRateLimitError:
                checkpoint = Checkpoint.from_json(checkpoint.to_json(plan.columns), plan.from_columns)
            else:
                break
        else:
            pytest.fail("it did not end")
        assert team.open_chats(1002) == 2

    def test_a_closed_chat_needs_no_room(self, team: Team) -> None:
        team.arrive(2, 1002)
        (chat,) = team.arrive(1, status="closed")
        assert team.apply(to(1002, chat), max_per_agent=2)["changed"] == 1

    def test_who_is_full_by_now_gets_no_more(self, team: Team) -> None:
        chats = team.arrive(9)
        planned = team.reassign(dry_run=True, max_per_agent=3)
        assert planned["planned"] == 9
        team.arrive(2, 1002)  # while the approval waits
        result = team.apply(planned, max_per_agent=3)
        assert [team.open_chats(agent) for agent in TARGETS] == [3, 3, 3]
        assert (result["changed"], result["skipped"], result["failed"]) == (7, 2, 0)
        said = f"{name(team, 1002)} has 3 open chats or more"
        assert skipped(result) == dict.fromkeys((chats[3], chats[6]), said)
        assert {chat["id"] for chat in team.account.chats_of(LEAVER)} == set(skipped(result))

    def test_a_cap_that_was_never_planned_with(self, team: Team) -> None:
        chats = team.arrive(4)
        result = team.apply(to(1002, *chats), max_per_agent=1)
        assert list(skipped(result)) == chats[1:]

    def test_closed_chats_do_not_count(self, team: Team) -> None:
        team.arrive(4, 1002, status="closed")
        assert team.apply(to(1002, *team.arrive(2)), max_per_agent=2)["changed"] == 2

    def test_what_is_the_agents_already_is_unchanged_and_counts_once(self, team: Team) -> None:
        theirs, chats = team.arrive(2, 1002), team.arrive(2)
        result = team.apply(to(1002, *theirs, *chats), max_per_agent=3)
        assert (result["unchanged"], result["changed"], list(skipped(result))) == (2, 1, chats[1:])

    def test_other_changes_of_a_chat_that_is_the_agents_already_need_no_room(self, team: Team) -> None:
        (chat,) = team.arrive(1, 1002)
        result = team.apply([{"id": chat, "assignee": 1002, "status": "pending"}], max_per_agent=1)
        assert (result["unchanged"], result["changed"]) == (1, 1)

    def test_taking_a_chat_from_everybody_needs_no_room(self, team: Team) -> None:
        assert team.apply(to(None, *team.arrive(3)), max_per_agent=1)["changed"] == 3

    def test_other_changes_of_the_chat_are_left_too(self, team: Team) -> None:
        team.arrive(1, 1002)
        (chat,), department = team.arrive(), team.account.departments[0]["id"]
        before = team.account.chat(chat)
        entry = {"id": chat, "assignee": 1002, "status": "pending", "department": department}
        result = team.apply([entry], max_per_agent=1)
        assert (result["skipped"], team.account.chat(chat), team.account.writes()) == (3, before, [])

    def test_a_change_without_an_assignee_needs_no_room_and_no_reading(self, team: Team) -> None:
        (chat,) = team.arrive(1, 1002)
        result = team.apply([{"id": chat, "status": "pending"}], max_per_agent=1)
        assert (result["changed"], result["requests"]) == (1, 1)

    def test_a_condition_that_is_broken_is_said_first(self, team: Team) -> None:
        team.arrive(1, 1002)
        (chat,) = team.arrive(status="closed")
        entry = {**to(1002, chat)[0], "before": {"status": "opened"}}
        assert skipped(team.apply([entry], max_per_agent=1))[chat] == "its status is closed now, not opened"

    def test_a_chat_that_may_have_been_given_counts(self, team: Team) -> None:
        """The change is made, its response is lost for good, and no look is possible until the end."""
        chats = team.arrive(2)
        team.account.add_fault(Fault("reset", method="PUT", chat=chats[0], times=0))
        result = team.apply(to(1002, *chats), max_per_agent=1)
        assert team.open_chats(1002) == 1
        assert (result["changed"], list(skipped(result))) == (1, chats[1:])

    def test_a_chat_that_was_refused_or_not_even_read_does_not(self, team: Team) -> None:
        chats = team.arrive(3)
        team.account.add_fault(Fault("status", status=400, method="PUT", chat=chats[0]))
        team.account.add_fault(Fault("status", status=500, path=f"/v1/chats/{chats[1]}", times=0))
        result = team.apply(to(1002, *chats), max_per_agent=1, on_error="report")
        assert (result["refused"], result["failed"], result["changed"]) == (1, 1, 1)

    def test_the_log_says_why_chats_are_skipped(self, team: Team) -> None:
        team.arrive(1, 1002)
        (chat,) = team.arrive()
        team.apply(to(1002, chat), max_per_agent=1)
        line = next(line for line in team.log if "skipped (" in line)
        assert line.startswith("1 skipped (no longer as planned, or the agent may not get them); 3 requests")
        assert any(f"skipped: {name(team, 1002)} has 1 open chats or more" in line for line in team.log)


class TestDepartment:
    def outsider(self, team: Team, department: int) -> int:
        return next(agent for agent in (1002, 1003, 1004, 1005) if agent not in team.members(department))

    def test_a_chat_does_not_move_where_its_agent_is_no_member(self, team: Team) -> None:
        place = team.account.departments[0]["id"]
        agent = self.outsider(team, place)
        (chat,) = team.arrive(1, agent)
        entry = {"id": chat, "assignee": agent, "department": place}
        assert list(skipped(team.apply([entry], within_department=True))) == [chat]
        assert team.account.chats[0]["department"] is None

    def test_an_agent_keeps_a_chat_of_another_department(self, team: Team) -> None:
        place = team.account.departments[0]["id"]
        agent = self.outsider(team, place)
        (chat,) = team.arrive(1, agent, department=place)
        entry = {"id": chat, "assignee": agent, "status": "pending"}
        assert team.apply([entry], within_department=True)["changed"] == 1

    def test_only_members_get_the_chats_of_a_department(self, team: Team) -> None:
        places = [each["id"] for each in team.account.departments]
        chats = {place: team.arrive(3, department=place) for place in places}
        nobodys = team.arrive(3)
        planned = team.reassign(dry_run=True)
        result = team.apply(planned, within_department=True)
        wanted = {row["id"]: row["after"] for row in planned["chats"]}
        for place, of_place in chats.items():
            assert {chat for chat in of_place if wanted[chat] not in team.members(place)} == (
                set(of_place) & skipped(result).keys()
            )
        assert skipped(result)
        assert not skipped(result).keys() & set(nobodys)
        assert len(team.account.writes()) == result["changed"] == 12 - len(skipped(result))

    def test_the_reason_names_agent_and_department(self, team: Team) -> None:
        department = team.account.departments[0]
        agent = self.outsider(team, department["id"])
        (chat,) = team.arrive(department=department["id"])
        said = (
            f"{name(team, agent)} is not a member of the department {department['name']} ({department['id']})"
        )
        assert skipped(team.apply(to(agent, chat), within_department=True)) == {chat: said}

    def test_the_department_to_which_the_plan_moves_the_chat_counts(self, team: Team) -> None:
        here, there = (each["id"] for each in team.account.departments[:2])
        agent = next(each for each in team.members(there) if each not in team.members(here))
        first, second = team.arrive(2, department=here)
        plan = [{"id": first, "assignee": agent, "department": there}, *to(agent, second)]
        result = team.apply(plan, within_department=True)
        assert list(skipped(result)) == [second]
        assert team.account.chat(first)["assignee"]["id"] == agent

    def test_a_department_to_which_the_agent_does_not_belong_is_not_given_the_chat_either(
        self, team: Team
    ) -> None:
        department = team.account.departments[0]["id"]
        (chat,) = team.arrive()
        entry = {"id": chat, "department": department, "assignee": self.outsider(team, department)}
        result = team.apply([entry], within_department=True)
        assert (result["skipped"], team.account.chat(chat)["department"], team.account.writes()) == (
            2,
            None,
            [],
        )

    def test_departments_without_their_agents_stop_the_task_before_a_change(
        self, team: Team, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chats = team.arrive(3)
        monkeypatch.setattr(
            HelpCrunchClient, "iter_departments", lambda _: iter([{"id": 12, "name": "Billing"}])
        )
        with pytest.raises(HelpCrunchResponseError, match=r"Billing \(12\) without a readable list"):
            team.apply(to(1002, *chats), within_department=True)
        assert team.account.writes() == []


class TestNotes:
    def test_each_chat_that_got_another_agent_has_one_after_its_changes(self, team: Team) -> None:
        chats, theirs = team.arrive(3), team.arrive(1, 1002)
        plan = [*to(1002, *chats, *theirs), {"id": team.arrive()[0], "status": "pending"}]
        plan[0]["status"] = "closed"
        result = team.apply(plan, note=TEXT, note_agent=1005)
        assert team.notes() == dict.fromkeys(chats, 1)
        assert (result["notes"], result["notes_missing"], result["unchanged"]) == (3, 0, 1)
        note = team.account.messages(chats[0])[-1]
        assert (note["text"], note["type"], note["agent"]["id"]) == (TEXT, "private", 1005)
        order = [each.path for each in team.account.journal if each.applied and each.chat == chats[0]]
        assert order == ["/v1/chats/assignee", "/v1/chats/status", POST]

    def test_chats_that_are_skipped_get_none(self, team: Team) -> None:
        chats = team.arrive(3)
        assert team.apply(to(1002, *chats), note=TEXT, max_per_agent=1)["notes"] == 1
        assert list(team.notes()) == chats[:1]

    def test_a_plan_applied_twice_leaves_one(self, team: Team) -> None:
        chats = team.arrive(3)
        for _ in range(2):
            team.apply(to(1002, *chats), note=TEXT)
        assert team.notes() == dict.fromkeys(chats, 1)

    @pytest.mark.parametrize("kind", ["reset", "garbage"])
    def test_a_lost_response_is_looked_up(self, kind: str, team: Team) -> None:
        chats = team.arrive(3)
        team.account.add_fault(Fault(kind, path=POST, nth=2))
        result = team.apply(to(1002, *chats), note=TEXT, on_error="report")
        assert set(team.notes().values()) == {1}
        assert (result["notes"], result["notes_missing"]) == (len(team.notes()), 3 - len(team.notes()))
        assert len(team.account.requests(POST)) == 3

    def test_a_change_whose_response_was_lost_gets_its_note_in_the_end(self, team: Team) -> None:
        chats = team.arrive(3)
        team.account.add_fault(Fault("close", method="PUT", chat=chats[0], times=0))
        team.account.add_fault(Fault("reset", method="PUT", chat=chats[1], times=0))
        result = team.apply(to(1002, *chats), note=TEXT, on_error="report")
        moved = {chat for chat in chats if team.account.chat(chat)["assignee"]["id"] == 1002}
        assert chats[1] in moved
        assert team.notes() == dict.fromkeys(moved, 1)
        assert (result["changed"], result["notes"]) == (len(moved), len(moved))

    def test_one_that_is_missing_for_good_fails_the_task_for_good(self, team: Team) -> None:
        chats = team.arrive(3)
        team.account.add_fault(Fault("status", status=502, path=POST, nth=2))
        with pytest.raises(HelpCrunchNotesMissingError, match=f"is not there: {chats[1]}"):
            team.apply(to(1002, *chats), {"task_state_store": team.store}, note=TEXT)

    def test_one_that_was_refused_is_sent_by_a_retry(self, team: Team) -> None:
        chats, context = team.arrive(3), {"task_state_store": team.store}
        team.account.add_fault(Fault("status", status=400, path=POST, nth=2))
        with pytest.raises(HelpCrunchPartialError, match="1 change was not made"):
            team.apply(to(1002, *chats), context, note=TEXT)
        assert team.apply(to(1002, *chats), context, note=TEXT)["notes"] == 3
        assert team.notes() == dict.fromkeys(chats, 1)
        assert len(team.account.writes()) == 3

    def test_a_note_that_a_killed_try_owes_comes_before_anything_else(self, team: Team) -> None:
        chats, context = team.arrive(3), {"task_state_store": team.store}
        team.kill_at("update_chat_assignee", 2, after=True)
        with pytest.raises(Killed):
            team.apply(to(1002, *chats), context, note=TEXT)
        sent = len(team.account.journal)
        team.apply(to(1002, *chats), context, note=TEXT)
        steps = [(each.method, each.chat) for each in team.account.journal[sent:] if each.applied]
        assert steps == [("POST", chats[1]), ("PUT", chats[2]), ("POST", chats[2])]

    def test_an_unknown_author_is_refused_before_a_change(self, team: Team) -> None:
        chats = team.arrive(2)
        for agent in (1002, None):
            with pytest.raises(
                HelpCrunchConfigurationError, match="note_agent names 4711, but the account has no"
            ):
                team.apply(to(agent, *chats), note=TEXT, note_agent=4711)
        assert team.account.writes() == []

    @pytest.mark.parametrize("broken", ["get", "set"])
    def test_a_store_that_fails_stops_the_task_before_a_change(self, broken: str, team: Team) -> None:
        team.store.broken = (broken,)
        with pytest.raises(HelpCrunchError, match="Airflow's state store cannot be used"):
            team.apply(to(1002, *team.arrive(3)), {"task_state_store": team.store}, note=TEXT)
        assert team.account.writes() == []

    def test_a_retry_without_a_store_says_that_notes_may_be_missing(self, team: Team) -> None:
        chats = team.arrive(4)
        team.kill_at("send_message", 2, after=False)
        with pytest.raises(Killed):
            team.apply(to(1002, *chats), {"ti": Instance(1)}, note=TEXT)
        result = team.apply(to(1002, *chats), {"ti": Instance(2)}, note=TEXT)
        assert team.notes() == dict.fromkeys((chats[0], *chats[2:]), 1)
        assert (result["changed"], result["unchanged"], result["notes"]) == (2, 2, 2)
        assert len([line for line in team.log if "This is try 2, and without" in line]) == 1


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("method", ["update_chat_assignee", "send_message"])
class TestKilled:
    """SIGKILL: nothing of the worker runs after it."""

    def test_a_retry_with_a_store(self, method: str, after: bool, number: int, team: Team) -> None:
        plan, context = to(1002, *team.arrive(4)), {"task_state_store": team.store}
        plan[3]["assignee"] = 1003
        team.kill_at(method, number, after=after)
        with pytest.raises(Killed):
            team.apply(plan, context, max_per_agent=3, note=TEXT)
        lost = set()
        if method == "send_message" and not after:
            with pytest.raises(HelpCrunchNotesMissingError):
                team.apply(plan, context, max_per_agent=3, note=TEXT)
            lost = {plan[number - 1]["id"]}
        else:
            result = team.apply(plan, context, max_per_agent=3, note=TEXT)
            assert (result["changed"], result["notes"], result["notes_missing"]) == (4, 4, 0)
        assert team.notes() == {entry["id"]: 1 for entry in plan if entry["id"] not in lost}
        assert Counter(write.chat for write in team.account.writes()) == {entry["id"]: 1 for entry in plan}

    def test_a_retry_without_a_store(self, method: str, after: bool, number: int, team: Team) -> None:
        plan = to(1002, *team.arrive(4))
        team.kill_at(method, number, after=after)
        with pytest.raises(Killed):
            team.apply(plan, max_per_agent=4, note=TEXT)
        result = team.apply(plan, max_per_agent=4, note=TEXT)
        assert team.open_chats(1002) == 4
        assert set(team.notes().values()) == {1}
        assert (result["skipped"], result["notes"]) == (0, result["changed"])
        assert len(team.account.writes()) == 4


class TestRequests:
    def cost(self, team: Team, n: int = 20, **arguments: Any) -> int:
        chats = team.arrive(n)
        for chat in chats:
            team.account._state.account.chats.say(chat, "Hello?")
        requests: int = team.apply([*to(1002, *chats[::2]), *to(1003, *chats[1::2])], **arguments)["requests"]
        return requests

    def test_are_as_documented(self, team: Team) -> None:
        team.arrive(1, 1002)
        plain = self.cost(team)
        assert plain == 20 + 1
        assert self.cost(team, check=True) == plain + 20
        assert self.cost(team, max_per_agent=99) == plain + 20 + 2
        assert self.cost(team, within_department=True) == plain + 20 + 1
        assert self.cost(team, note=TEXT) == plain + 20 + 20 + 1
        everything = {"check": True, "max_per_agent": 99, "within_department": True, "note": TEXT}
        assert self.cost(team, **everything) == plain + 20 + 2 + 1 + 20 + 1

    def test_of_a_dry_run_with_all_rules(self, team: Team) -> None:
        team.arrive(1, 1002)
        chats = team.arrive(30)
        for chat in chats:
            team.account._state.account.chats.say(chat, "Hello?")
        planned = team.reassign(dry_run=True)
        rules = {"max_per_agent": 99, "within_department": True, "note": TEXT}
        assert team.apply(planned, **rules)["requests"] == 2 * 30 + 30 + 1 + 1 + len(TARGETS) + 1

    def test_departments_are_listed_once(self, team: Team) -> None:
        department = team.account.departments[0]["id"]
        (chat,), agent = team.arrive(), team.members(department)[0]
        team.apply([{"id": chat, "assignee": agent, "department": department}], within_department=True)
        assert len(team.account.requests("/v1/departments")) == 1


@pytest.mark.parametrize("permits", [4, 5, 7, 11])
def test_goes_on_after_each_deferral_and_keeps_all_rules(permits: int, team: Team) -> None:
    team.arrive(2, 1002)
    planned = team.reassign(to_agents=[1002, 1003], dry_run=True) if team.arrive(8) else {}
    plan = Plan.read(planned["chats"], Rules(most_open=4, note=TEXT))
    checkpoint, waits = Checkpoint(), 0
    while True:
        try:
            list(PlanRun(plan, checkpoint).run(client_of(team.account, permits)))
        except HelpCrunchRateLimitError:
            waits += 1
            assert waits < 30
            checkpoint = Checkpoint.from_json(checkpoint.to_json(plan.columns), plan.from_columns)
        else:
            break
    assert waits
    outcomes = Counter((result.field, result.outcome) for result in Results(checkpoint.results).standing())
    assert outcomes == {("assignee", "changed"): 6, ("assignee", "skipped"): 2, ("note", "noted"): 6}
    assert [team.open_chats(agent) for agent in (1002, 1003)] == [4, 4]
    assert sorted(team.notes().values()) == [1] * 6


def test_other_rules_make_another_plan() -> None:
    plans = [
        Rules(),
        Rules(most_open=1),
        Rules(within_department=True),
        Rules(note="Hi"),
        Rules(note="Ho"),
        Rules(note="Hi", note_agent=1),
    ]
    assert len({Plan.read(to(2, 1), rules).fingerprint for rules in plans}) == 6


@pytest.mark.parametrize(("arguments", "message"), WRONG_RULES)
def test_a_wrong_argument_is_refused_before_the_first_request(
    arguments: dict[str, Any], message: str, team: Team
) -> None:
    chats = team.arrive()
    with pytest.raises(HelpCrunchConfigurationError) as refusal:
        team.apply(to(1002, *chats), **arguments)
    assert str(refusal.value) == message
    assert team.account.journal == []
