"""A page is trusted for a short time only: after a wait it is read again, and chats that people took stay theirs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hand_time import HandTime

from airflow_provider_helpcrunch.chats import drain
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.operators.chats import (
    ReassignChatsOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer, error

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]
Twist = Callable[..., None]

LEAVER, COLLEAGUE = 1001, 1006
AGENTS, SEARCH, WRITE = "/v1/agents", "/v1/chats/search", "/v1/chats/assignee"
SILENCE = 30.0

pytestmark = pytest.mark.usefixtures("hand_time")


def too_many() -> Answer:
    return Answer(429, error(429, "new").body, headers={"Retry-After": "30"})


class Person:
    """Takes all that the source has left but one chat."""

    def __init__(self, server: Sandbox, source: int | None) -> None:
        self._server, self._source = server, source
        self.taken: set[int] = set()
        self.before: list[Request] = []

    def take(self) -> None:
        self.before = self._server.writes()
        for chat in self._server.chats_of(self._source)[:-1]:
            self.taken.add(chat["id"])
            self._server.update_chat(chat["id"], assignee=COLLEAGUE)

    def assert_left_alone(self) -> None:
        """Nothing of theirs was even tried after they took it, and all else was moved once."""
        chats = {chat["id"]: chat for chat in self._server.chats}
        assert {chats[number]["assignee"]["id"] for number in self.taken} == {COLLEAGUE}
        written = [write.chat for write in self._server.writes()]
        assert not self.taken & set(written)
        assert len(written) == len(set(written)) == len(chats) - len(self.taken)
        assert self._server.chats_of(self._source) == []


@pytest.mark.parametrize("source", [LEAVER, None])
@pytest.mark.parametrize(
    ("first", "refused"),
    [
        pytest.param(None, {1}, id="at the first write"),
        pytest.param(None, {5}, id="at a later write", marks=pytest.mark.long),
        pytest.param(AGENTS, {5}, id="after one at the listing of agents", marks=pytest.mark.long),
        pytest.param(SEARCH, {1}, id="after one at the search"),
        pytest.param(None, {1, 2, 3}, id="three times in a row"),
    ],
)
def test_a_429_that_asks_for_a_long_wait(
    first: str | None,
    refused: set[int],
    source: int | None,
    account: StartAccount,
    reassign: Reassign,
    twist: Twist,
) -> None:
    server = account()
    server.insert_chats(20, assignee=source)
    if first is not None:
        server.add_fault(Fault("status", status=429, retry_after="30", path=first))
    person, tries = Person(server, source), iter(range(1, 100))

    def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
        if (number := next(tries)) not in refused:
            return honest(request)
        if number == max(refused):
            person.take()
        return too_many()

    twist(answer, ("PUT", WRITE))
    reassign(from_agents=source)
    assert len(person.taken) == 20 - 1 - len(person.before) >= 15
    person.assert_left_alone()


@pytest.mark.parametrize("source", [LEAVER, None])
def test_a_budget_that_somebody_else_has_spent(
    source: int | None, account: StartAccount, reassign: Reassign, hand_time: HandTime
) -> None:
    extra = {"requests_per_minute": 20, "rate_limit_store": "sqlite://"}
    server = account(extra=extra, rate_limit=20, clock=hand_time.busy)
    server.insert_chats(40, assignee=source)
    with HelpCrunchHook() as hook:
        for _ in range(20):
            hook.client.get_organization()
    spent = len(server.journal)
    assert reassign(from_agents=source)["changed"] == len(server.writes()) == 40
    after_silence = [
        later for earlier, later in pairwise(server.journal[spent - 1 :]) if later.at - earlier.at > SILENCE
    ]
    assert len(after_silence) >= 2
    assert {request.path for request in after_silence} <= {AGENTS, SEARCH}
    assert server.count(429) == 0


@pytest.mark.parametrize("source", [LEAVER, None])
def test_a_page_that_got_too_old(
    source: int | None,
    account: StartAccount,
    reassign: Reassign,
    twist: Twist,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drain, "MOST_AGE", 0.3)
    server = account(faults=[Fault("latency", path=WRITE, seconds=0.15, times=0)])
    server.insert_chats(12, assignee=source)
    person, tries = Person(server, source), iter(range(1, 100))

    def answer(request: Request, honest: Callable[[Request], Answer]) -> Answer:
        done = honest(request)
        if next(tries) == 1:
            kept = {chat["id"] for chat in server.chats_of(source)[:4]}
            for chat in server.chats_of(source):
                if chat["id"] not in kept:
                    person.taken.add(chat["id"])
                    server.update_chat(chat["id"], assignee=COLLEAGUE)
        return done

    twist(answer, ("PUT", WRITE))
    reassign(from_agents=source)
    assert len(person.taken) == 7
    person.assert_left_alone()


def test_writes_slower_than_a_page_may_be_old_make_progress(
    account: StartAccount, reassign: Reassign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "MOST_AGE", 0.0)
    server = account(*["pending"] * 3, *["opened"] * 6)
    assert reassign(statuses=["opened"])["changed"] == len(server.writes()) == 6
    assert len(server.chats_of(LEAVER)) == 3


@pytest.mark.parametrize("operator", [ReassignChatsOperator, UpdateChatsOperator])
def test_a_budget_of_one_request_is_refused_in_a_sentence(operator: Any, account: StartAccount) -> None:
    server = account("opened", extra={"requests_per_minute": 1})
    plan = {"plan": [{"id": server.chats[0]["id"], "assignee": 1002}]}
    move = {"from_agents": LEAVER, "to_agents": 1002}
    task = operator(task_id="task", **(plan if operator is UpdateChatsOperator else move))
    with pytest.raises(HelpCrunchConfigurationError, match="requests_per_minute of at least 2") as caught:
        task.execute({})
    assert str(caught.value).count("\n") == 0
    assert server.journal == []
