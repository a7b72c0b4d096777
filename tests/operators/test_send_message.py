"""``SendMessageOperator``: one message, never two, whatever happens to its worker or to the response."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from in_process import Killed
from team import Team

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
from airflow_provider_helpcrunch.operators.messages import SendMessageOperator
from airflow_provider_helpcrunch.sandbox import Fault

pytestmark = pytest.mark.older

TEXT = "Your parcel is on its way; it comes on Monday."
POST = "/v1/messages"


class Try(NamedTuple):
    """Stands for the task instance in one of its tries."""

    try_number: int


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch, task_log: Callable[..., Any]) -> Team:
    task_log(SendMessageOperator(task_id="log", chat_id=1, text="x", agent_id=1))
    made = Team(monkeypatch)
    made.arrive()
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return made


@pytest.fixture
def chat(team: Team) -> int:
    number: int = team.account.chats[0]["id"]
    return number


def send(team: Team, chat: int, number: int = 1, *, store: bool = True, **arguments: Any) -> dict[str, Any]:
    """Run one try of the task."""
    team.is_dead = False
    context: dict[str, Any] = {"ti": Try(number)} | ({"task_state_store": team.store} if store else {})
    given = {"chat_id": chat, "text": TEXT, "agent_id": 1002, **arguments}
    return SendMessageOperator(task_id="send", **given).execute(context)  # type: ignore[arg-type,no-any-return]


def sent(team: Team, chat: int, text: str = TEXT) -> int:
    """Return how often the message is in the chat."""
    return sum(message["text"] == text for message in team.account.messages(chat))


class TestMessage:
    def test_a_reply(self, team: Team, chat: int) -> None:
        result = send(team, chat)
        message = team.account.messages(chat)[-1]
        assert (message["text"], message["type"], message["agent"]["id"]) == (TEXT, "message", 1002)
        assert result == {"chat": chat, "message": message["id"], "sent": True, "requests": 2}

    def test_a_private_note_needs_no_author(self, team: Team, chat: int) -> None:
        send(team, chat, type="private", agent_id=None)
        message = team.account.messages(chat)[-1]
        assert (message["text"], message["type"], message["agent"]) == (TEXT, "private", None)

    def test_markdown(self, team: Team, chat: int) -> None:
        send(team, chat, markdown_text="Your **parcel**")
        (request,) = team.account.requests(POST)
        assert (request.body["text"], request.body["markdownText"]) == (TEXT, "Your **parcel**")

    def test_arguments_as_text(self, team: Team, chat: int) -> None:
        send(team, chat, chat_id=str(chat), agent_id="1002")
        assert sent(team, chat) == 1

    def test_a_chat_that_does_not_exist(self, team: Team) -> None:
        with pytest.raises(HelpCrunchNotFoundError):
            send(team, 42)
        assert team.account.requests(POST) == []

    def test_at_least_once_costs_one_request(self, team: Team, chat: int) -> None:
        assert send(team, chat, delivery="at_least_once")["requests"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chat_id": "x"}, "chat_id must be a HelpCrunch id (a whole number above 0), not 'x'."),
        ({"text": " "}, "text must be a text that is not empty, not ' '."),
        ({"text": None}, "text must be a text that is not empty, not None."),
        (
            {"text": "Thanks \ud83d"},
            "text holds half of a character, such as an emoji that was cut in two: 'Thanks \\ud83d'.",
        ),
        ({"markdown_text": ""}, "markdown_text must be a text that is not empty, not ''."),
        ({"type": "email"}, "type must be message or private, not 'email'."),
        ({"delivery": "twice"}, "delivery must be at_most_once or at_least_once, not 'twice'."),
        ({"agent_id": "Ada"}, "agent_id must be a HelpCrunch id (a whole number above 0), not 'Ada'."),
        (
            {"agent_id": None},
            "agent_id is missing: without it HelpCrunch shows the message as the customer's own. Name the agent who "
            "says it, or set type='private'.",
        ),
    ],
)
def test_a_wrong_argument_is_refused_before_the_first_request(
    arguments: dict[str, Any], message: str, team: Team, chat: int
) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as refusal:
        send(team, chat, **arguments)
    assert str(refusal.value) == message
    assert team.account.journal == []
    assert team.store.kept == {}


@pytest.mark.parametrize("store", [True, False], ids=["3.3", "older"])
class TestAtMostOnce:
    @pytest.mark.parametrize("kind", ["reset", "close", "truncate"])
    def test_a_lost_response_is_looked_up(self, kind: str, store: bool, team: Team, chat: int) -> None:
        team.account.add_fault(Fault(kind, path=POST))
        result = send(team, chat, store=store)
        assert (result["sent"], result["message"], sent(team, chat)) == (True, None, 1)

    def test_a_message_that_was_not_taken_is_sent_by_the_retry(
        self, store: bool, team: Team, chat: int
    ) -> None:
        team.account.add_fault(Fault("status", status=502, path=POST))
        with pytest.raises(HelpCrunchServerError):
            send(team, chat, store=store)
        assert sent(team, chat) == 0
        assert send(team, chat, 2, store=store)["sent"]
        assert sent(team, chat) == 1

    @pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
    def test_a_killed_worker(self, after: bool, store: bool, team: Team, chat: int) -> None:
        team.kill_at("send_message", 1, after=after)
        with pytest.raises(Killed):
            send(team, chat, store=store)
        result = send(team, chat, 2, store=store)
        assert (result["sent"], sent(team, chat)) == (not after, 1)
        assert send(team, chat, 3, store=store)["sent"] is False
        assert sent(team, chat) == 1

    def test_no_look_is_possible(self, store: bool, team: Team, chat: int) -> None:
        """The response is lost, and so is every look that follows in this try."""
        team.account.add_fault(Fault("reset", path=POST))
        team.account.add_fault(Fault("status", status=500, path=f"/v1/chats/{chat}/messages", nth=2, times=6))
        with pytest.raises(HelpCrunchConnectionError):
            send(team, chat, store=store)
        assert send(team, chat, 2, store=store)["sent"] is False
        assert sent(team, chat) == 1

    def test_markdown_that_is_not_recognized_is_not_sent_again(
        self, store: bool, team: Team, chat: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        team.kill_at("send_message", 1, after=True)
        with pytest.raises(Killed):
            send(team, chat, markdown_text="[Parcel](https://shop.example/7)", store=store)
        message = team.account._state.account.chats.messages(chat)[-1]
        team.account._state.account.chats._messages.edit(message, "<a href=7>Parcel</a>", message.created_at)
        with pytest.raises(HelpCrunchUnconfirmedError, match="cannot be told from the chat"):
            send(team, chat, 2, markdown_text="[Parcel](https://shop.example/7)", store=store)
        assert len(team.account.requests(POST)) == 1

    def test_a_first_try_sends_what_was_said_before(self, store: bool, team: Team, chat: int) -> None:
        """The same text as yesterday, in another run."""
        send(team, chat, store=store)
        team.store.kept.clear()
        assert send(team, chat, store=store)["sent"]
        assert sent(team, chat) == 2


class TestStore:
    def test_an_old_message_with_the_same_text_is_not_taken_for_it(self, team: Team, chat: int) -> None:
        send(team, chat)
        team.store.kept.clear()
        team.kill_at("send_message", 1, after=False)
        with pytest.raises(Killed):
            send(team, chat)
        assert send(team, chat, 2)["sent"]
        assert sent(team, chat) == 2

    def test_a_text_that_renders_to_another_is_not_sent_as_well(
        self, team: Team, chat: int, client_log: list[str]
    ) -> None:
        team.kill_at("send_message", 1, after=True)
        with pytest.raises(Killed):
            send(team, chat, text="It is 12:01.")
        assert send(team, chat, 2, text="It is 12:06.")["sent"] is False
        assert "The text is not the one that an earlier try" in client_log[0]
        assert len(team.account.messages(chat)) == len(team.account.requests(POST)) + self.before(team, chat)

    @staticmethod
    def before(team: Team, chat: int) -> int:
        """Return how many messages a chat had at the start."""
        return sum(
            message["text"] not in ("It is 12:01.", "It is 12:06.") for message in team.account.messages(chat)
        )

    def test_a_task_that_is_cleared_after_a_success_sends_nothing(self, team: Team, chat: int) -> None:
        first = send(team, chat)
        again = send(team, chat, 2)
        assert again == {"chat": chat, "message": first["message"], "sent": False, "requests": 0}

    def test_what_was_sent_is_kept_for_ever(
        self, team: Team, chat: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Airflow's cleanup takes what is older than 30 days, unless it is told not to."""
        kept: list[Any] = []
        monkeypatch.setattr(team.store, "set", lambda key, value, *, retention=None: kept.append(retention))
        send(team, chat)
        context = pytest.importorskip("airflow.sdk.execution_time.context", exc_type=ImportError)
        if not hasattr(context, "NEVER_EXPIRE"):
            pytest.skip("this Airflow has no state store")
        assert len(kept) == 2
        assert all(retention is context.NEVER_EXPIRE for retention in kept)

    def test_a_task_that_is_cleared_and_means_another_chat_sends_it_there(
        self, team: Team, chat: int
    ) -> None:
        """The same map index, when the list of chats upstream has become another."""
        (other,) = team.arrive()
        send(team, chat)
        assert send(team, other, 2)["sent"]
        assert (sent(team, chat), sent(team, other)) == (1, 1)
        assert send(team, chat, 3)["sent"] is False

    def test_waits_until_the_request_of_a_dead_worker_must_have_arrived(
        self, team: Team, chat: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []
        team.kill_at("send_message", 1, after=False)
        with pytest.raises(Killed):
            send(team, chat)
        monkeypatch.setattr(time, "sleep", slept.append)
        send(team, chat, 2)
        assert 25 < slept[0] <= 30

    @pytest.mark.parametrize("broken", ["get", "set"])
    def test_nothing_is_sent_where_it_cannot_be_kept(self, broken: str, team: Team, chat: int) -> None:
        team.store.broken = (broken,)
        with pytest.raises(
            HelpCrunchError, match="so nothing was sent: a retry could not know of the message"
        ):
            send(team, chat)
        assert team.account.requests(POST) == []
        assert send(team, chat, delivery="at_least_once")["sent"]

    def test_holds_no_text(self, team: Team, chat: int) -> None:
        send(team, chat)
        assert team.store.kept
        assert "parcel" not in str(team.store.kept)


def test_at_least_once_sends_again(team: Team, chat: int) -> None:
    team.account.add_fault(Fault("reset", path=POST))
    with pytest.raises(HelpCrunchConnectionError):
        send(team, chat, delivery="at_least_once")
    assert send(team, chat, 2, delivery="at_least_once")["sent"]
    assert sent(team, chat) == 2
