"""Notes to whoever takes over: one in each moved chat, never two, and none that is missing without a word."""

from __future__ import annotations

from typing import Any

import pytest
from in_process import Killed
from task_context import Instance
from team import LEAVER, Team

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchNotesMissingError,
    HelpCrunchPartialError,
    HelpCrunchRefusedError,
)
from airflow_provider_helpcrunch.sandbox import Fault

TEXT = "Handed over by the night shift; see <b>ticket 7</b>."
POST = "/v1/messages"


def test_each_moved_chat_gets_one_after_the_move(team: Team) -> None:
    chats = team.arrive(5)
    team.arrive(2, 1002)
    result = team.reassign(note=TEXT)
    assert team.notes() == dict.fromkeys(chats, 1)
    assert (result["changed"], result["notes"], result["notes_missing"], len(result["chats"])) == (5, 5, 0, 5)
    note = team.account.messages(chats[0])[-1]
    assert (note["text"], note["type"], note["agent"]) == (TEXT, "private", None)
    order = [(each.method, each.chat) for each in team.account.journal if each.applied]
    assert order == [step for chat in chats for step in (("PUT", chat), ("POST", chat))]


def test_costs_one_request_a_chat_and_one_for_the_first(team: Team) -> None:
    team.arrive(20)
    without = team.reassign()["requests"]
    for chat in team.arrive(20):
        team.account._state.account.chats.say(chat, "Hello?")
    assert team.reassign(note=TEXT)["requests"] == without + 20 + 1


def test_an_agent_may_sign_them(team: Team) -> None:
    (chat,) = team.arrive()
    team.reassign(note=TEXT, note_agent=1005)
    assert team.account.messages(chat)[-1]["agent"]["id"] == 1005


def test_an_unknown_agent_cannot(team: Team) -> None:
    team.arrive()
    with pytest.raises(
        HelpCrunchConfigurationError, match="note_agent names 4711, but the account has no such"
    ):
        team.reassign(note=TEXT, note_agent=4711)
    assert team.account.writes() == []


def test_a_dry_run_leaves_none(team: Team) -> None:
    team.arrive(3)
    result = team.reassign(note=TEXT, dry_run=True)
    assert (result["planned"], result["notes"], team.notes()) == (3, 0, {})


def test_chats_that_are_left_get_none(team: Team) -> None:
    chats = team.arrive(5)
    assert team.reassign(note=TEXT, max_per_agent=1)["notes"] == 3
    assert list(team.notes()) == chats[:3]


def test_notes_do_not_count_against_the_most_chats(team: Team) -> None:
    team.arrive(5)
    result = team.reassign(note=TEXT, max_chats=4)
    assert (result["changed"], result["notes"]) == (4, 4)


@pytest.mark.parametrize("kind", ["reset", "close", "truncate", "garbage", "html", "errors"])
@pytest.mark.parametrize("nth", [1, 3])
class TestLostResponse:
    def test_it_is_looked_up_and_not_sent_again(self, kind: str, nth: int, team: Team) -> None:
        chats = team.arrive(4)
        team.account.add_fault(Fault(kind, path=POST, nth=nth))
        result = team.reassign(note=TEXT, on_error="report")
        # Some of these faults come in place of the request, so that there is no note.
        lost = {} if kind in ("reset", "close", "truncate") else {chats[nth - 1]}
        assert team.notes() == {chat: 1 for chat in chats if chat not in lost}
        assert (result["notes"], result["notes_missing"]) == (4 - len(lost), len(lost))
        assert {
            each["id"] for each in result["chats"] if "not found in the chat" in str(each["error"])
        } == set(lost)
        assert len(team.account.requests(POST)) == 4

    def test_an_old_note_with_the_same_text_is_not_taken_for_it(
        self, kind: str, nth: int, team: Team
    ) -> None:
        chats = team.arrive(4)
        team.reassign(note=TEXT)
        for chat in chats:
            team.account.update_chat(chat, assignee=LEAVER)
        # Nothing was written: the fault stands in place of the response.
        team.account.add_fault(Fault("status", status=502, path=POST, nth=nth))
        with pytest.raises(HelpCrunchNotesMissingError, match="^1 chat was moved without its note, which"):
            team.reassign(note=TEXT)
        assert sorted(team.notes().values()) == [1, 2, 2, 2]


def test_one_that_cannot_be_looked_up_stays_missing_until_it_can(team: Team) -> None:
    (chat,), context = team.arrive(), {"task_state_store": team.store}
    team.account.add_fault(Fault("reset", path=POST))
    # The first look, before the note, works; those after it do not, in two tries.
    team.account.add_fault(Fault("status", status=500, path=f"/v1/chats/{chat}/messages", nth=2, times=12))
    for _ in range(2):
        with pytest.raises(HelpCrunchPartialError, match="1 change was not made"):
            team.reassign(context, note=TEXT)
    result = team.reassign(context, note=TEXT)
    assert (result["notes"], result["notes_missing"], team.notes()) == (1, 0, {chat: 1})


def test_a_chat_that_came_back_and_is_moved_by_a_retry_gets_no_second_one(team: Team) -> None:
    chats, context = team.arrive(3), {"task_state_store": team.store}
    team.account.add_fault(Fault("status", status=500, method="PUT", chat=chats[2], times=7))
    with pytest.raises(HelpCrunchPartialError):
        team.reassign(context, note=TEXT)
    team.account.update_chat(chats[0], assignee=LEAVER)
    team.account.clear_faults()
    team.reassign(context, note=TEXT)
    assert len(team.account.writes(chats[0])) == 2
    assert team.notes() == dict.fromkeys(chats, 1)


class TestRefused:
    def test_is_reported_and_sent_by_the_retry(self, team: Team) -> None:
        chats, context = team.arrive(3), {"task_state_store": team.store}
        team.account.add_fault(Fault("status", status=400, path=POST, chat=chats[1], times=1))
        with pytest.raises(HelpCrunchRefusedError, match=f"chat {chats[1]}"):
            team.reassign(context, note=TEXT)
        result = team.reassign(context, note=TEXT)
        assert team.notes() == dict.fromkeys(chats, 1)
        assert (result["changed"], result["notes"], result["notes_missing"]) == (3, 3, 0)

    def test_is_in_the_result_where_failures_are_only_reported(self, team: Team) -> None:
        chats = team.arrive(3)
        team.account.add_fault(Fault("status", status=400, path=POST, chat=chats[1], times=1))
        result = team.reassign(note=TEXT, on_error="report")
        (missing,) = [each for each in result["chats"] if each["field"] == "note"]
        assert (missing["id"], missing["outcome"], missing["before"]) == (chats[1], "refused", None)
        assert (result["notes"], result["notes_missing"], result["refused"]) == (2, 1, 1)

    def test_three_faults_in_a_row_stop_the_task(self, team: Team) -> None:
        team.arrive(9)
        team.account.add_fault(Fault("status", status=503, path=POST, times=0))
        with pytest.raises(HelpCrunchError, match="503"):
            team.reassign(note=TEXT)
        assert len(team.account.writes()) == 3


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
class TestKilled:
    """SIGKILL: nothing of the worker runs after it. Airflow's state store says what was about to happen."""

    def test_at_a_note(self, number: int, after: bool, team: Team) -> None:
        chats, context = team.arrive(4), {"task_state_store": team.store}
        team.kill_at("send_message", number, after=after)
        with pytest.raises(Killed):
            team.reassign(context, note=TEXT)
        if after:
            result = team.reassign(context, note=TEXT)
            assert team.notes() == dict.fromkeys(chats, 1)
            assert (result["changed"], result["notes"], result["notes_missing"]) == (4, 4, 0)
        else:
            lost = chats[number - 1]
            with pytest.raises(
                HelpCrunchNotesMissingError, match=f"without its note, .* is not there: {lost}"
            ):
                team.reassign(context, note=TEXT)
            assert team.notes() == {chat: 1 for chat in chats if chat != chats[number - 1]}
        assert len(team.account.writes()) == 4
        assert [chat["assignee"]["id"] for chat in team.account.chats] == [1002, 1003, 1004, 1002]

    def test_at_a_move(self, number: int, after: bool, team: Team) -> None:
        chats, context = team.arrive(4), {"task_state_store": team.store}
        team.kill_at("update_chat_assignee", number, after=after)
        with pytest.raises(Killed):
            team.reassign(context, note=TEXT)
        result = team.reassign(context, note=TEXT)
        assert team.notes() == dict.fromkeys(chats, 1)
        assert (result["changed"], result["notes"], result["notes_missing"]) == (4, 4, 0)
        assert len(team.account.writes()) == 4

    def test_without_a_store_it_is_lost_but_never_there_twice(
        self, number: int, after: bool, team: Team
    ) -> None:
        team.arrive(4)
        team.kill_at("send_message", number, after=after)
        with pytest.raises(Killed):
            team.reassign(note=TEXT)
        result = team.reassign(note=TEXT)
        assert set(team.notes().values()) == {1}
        assert len(team.notes()) == (4 if after else 3)
        assert result["changed"] == result["notes"] == 4 - number


class TestStore:
    @pytest.mark.parametrize("broken", ["get", "set"])
    def test_one_that_fails_stops_a_task_with_notes_before_a_move(self, broken: str, team: Team) -> None:
        team.arrive(3)
        team.store.broken = (broken,)
        with pytest.raises(HelpCrunchError, match="Airflow's state store cannot be used"):
            team.reassign({"task_state_store": team.store}, note=TEXT)
        assert team.account.writes() == []

    def test_is_empty_after_a_success(self, team: Team) -> None:
        team.arrive(3)
        team.reassign({"task_state_store": team.store}, note=TEXT)
        assert team.store.kept == {}

    def test_holds_no_text(self, team: Team) -> None:
        team.arrive(3)
        team.account.add_fault(Fault("status", status=401, path=POST, nth=2))
        with pytest.raises(HelpCrunchError):
            team.reassign({"task_state_store": team.store}, note=TEXT)
        assert team.store.kept
        assert "night shift" not in str(team.store.kept)


def test_a_lost_connection_before_anything_was_sent_leaves_the_note_due(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_helpcrunch.client import HelpCrunchClient

    chats, context = team.arrive(3), {"task_state_store": team.store}
    send, calls = HelpCrunchClient.send_message, []

    def refused_once(client: HelpCrunchClient, *arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            client.get_organization()  # a request is counted, as that of an attempt that never connected
            message = "name not found"
            raise HelpCrunchConnectionError(message, connected=False)
        return send(client, *arguments, **named)

    monkeypatch.setattr(HelpCrunchClient, "send_message", refused_once)
    with pytest.raises(HelpCrunchPartialError, match="name not found"):
        team.reassign(context, note=TEXT)
    assert team.reassign(context, note=TEXT)["notes"] == 3
    assert team.notes() == dict.fromkeys(chats, 1)


class TestMissingForGood:
    """What must not be sent again is no reason to try again: the task fails for good, and says what to do."""

    @staticmethod
    def lose(team: Team, *numbers: int) -> None:
        for number in numbers:
            team.account.add_fault(Fault("status", status=502, path=POST, nth=number))

    def test_fails_at_once_and_says_what_to_do(self, team: Team) -> None:
        chats = team.arrive(5)
        self.lose(team, 2, 4)
        with pytest.raises(HelpCrunchNotesMissingError) as error:
            team.reassign({"task_state_store": team.store}, note=TEXT)
        assert isinstance(error.value, AirflowFailException)
        assert str(error.value) == (
            f"2 chats were moved without their note, which may have been sent and is not there: {chats[1]}, {chats[3]}."
            " It is not sent again, because it must never be there twice. Look at them, and write the note by hand."
        )

    def test_once_the_note_is_written_by_hand_another_try_succeeds(self, team: Team) -> None:
        (chat,), context = team.arrive(), {"task_state_store": team.store}
        self.lose(team, 1)
        for _ in range(2):
            with pytest.raises(HelpCrunchNotesMissingError):
                team.reassign(context, note=TEXT)
        team.client.send_message(chat, TEXT, agent=1002, private=True)
        assert team.reassign(context, note=TEXT)["notes"] == 1
        assert team.notes() == {chat: 1}

    def test_a_failed_move_beside_it_is_worth_a_retry(self, team: Team) -> None:
        chats = team.arrive(3)
        self.lose(team, 1)
        team.account.add_fault(Fault("status", status=500, method="PUT", chat=chats[2], times=0))
        with pytest.raises(HelpCrunchPartialError) as error:
            team.reassign(note=TEXT)
        assert not isinstance(error.value, AirflowFailException)
        assert str(error.value).startswith(
            f"1 change was not made; the log has a table of all. chat {chats[2]}: "
        )
        assert (
            f"1 chat was moved without its note, which may have been sent and is not there: {chats[0]}."
            in str(error.value)
        )

    def test_a_refused_move_beside_it_is_not(self, team: Team) -> None:
        chats = team.arrive(3)
        self.lose(team, 1)
        team.account.add_fault(Fault("status", status=400, method="PUT", chat=chats[2], times=0))
        with pytest.raises(HelpCrunchRefusedError, match="1 change was not made.* without its note"):
            team.reassign(note=TEXT)

    def test_fails_nothing_where_failures_are_only_reported(self, team: Team) -> None:
        team.arrive(3)
        self.lose(team, 1)
        assert team.reassign(note=TEXT, on_error="report")["notes_missing"] == 1


class TestUnknown:
    """Without a store, a retry knows nothing of the chats that an earlier try has moved, and says so."""

    SAID = "This is try 2, and without Airflow's state store"

    def said(self, team: Team) -> list[str]:
        return [line for line in team.log if self.SAID in line]

    def test_a_retry_without_a_store_says_it_once(self, team: Team) -> None:
        team.arrive(3)
        team.reassign({"ti": Instance(2)}, note=TEXT)
        assert len(self.said(team)) == 1

    @pytest.mark.parametrize(
        ("number", "arguments", "has_store"),
        [
            (1, {"note": TEXT}, False),
            (2, {"note": TEXT}, True),
            (2, {}, False),
            (2, {"note": TEXT, "dry_run": True}, False),
        ],
    )
    def test_others_do_not(self, number: int, arguments: dict[str, Any], has_store: bool, team: Team) -> None:
        team.arrive(3)
        context = {"ti": Instance(number), **({"task_state_store": team.store} if has_store else {})}
        team.reassign(context, **arguments)
        assert self.said(team) == []
