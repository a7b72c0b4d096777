"""``ReassignChatsOperator`` while the account's request budget is spent: deferred, or waiting on its worker."""

from __future__ import annotations

import asyncio
import functools
import json
import pkgutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hand_time import HandTime

from airflow_provider_helpcrunch._airflow import TaskDeferred
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.operators import deferral
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, runner
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

StartAccount = Callable[..., Sandbox]
StartLimited = Callable[[int, int], Sandbox]
Reassign = Callable[..., dict[str, Any]]

LEAVER, COLLEAGUE = 1001, 1006
WRITE = "/v1/chats/assignee"
ARGUMENTS: dict[str, Any] = {"task_id": "reassign", "from_agents": LEAVER, "to_agents": [1002, 1003, 1004]}
LONGEST_WAIT = 10.0
"""Seconds that requests may wait in their place in one stay on a worker."""


@pytest.fixture(autouse=True)
def waits(hand_time: HandTime, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note how long requests waited in their place, stay by stay on a worker."""
    noted: list[float] = []
    monkeypatch.setattr(runner, "count_usage", lambda usage: noted.append(usage.budget_wait))
    return noted


@pytest.fixture
def limited(account: StartAccount, hand_time: HandTime) -> Callable[[int, int], Sandbox]:
    """Start an account with this many open chats of the leaver and requests a minute, enforced by the server."""

    def start(chats: int, limit: int) -> Sandbox:
        extra = {"requests_per_minute": limit, "rate_limit_store": "sqlite://"}
        return account(*["opened"] * chats, extra=extra, rate_limit=limit, clock=hand_time.busy)

    return start


class Deferrals:
    """Plays the part of Airflow: waits as the trigger would, and resumes another object with plain JSON."""

    def __init__(self, time: HandTime, **arguments: Any) -> None:
        self._time = time
        self._arguments = {**ARGUMENTS, "deferrable": True, **arguments}
        self.all: list[TaskDeferred] = []

    def run(
        self, waiting: Callable[[], None] = lambda: None, resuming: Callable[[], None] = lambda: None
    ) -> Any:
        """
        Execute the task to its end.

        :param waiting: called when it was deferred
        :param resuming: called before it goes on
        """
        step = ReassignChatsOperator(**self._arguments).execute
        while True:
            try:
                return step({})
            except TaskDeferred as deferred:
                self.all.append(deferred)
                waiting()
                event = event_of(deferred, self._time)
                resuming()
                again = ReassignChatsOperator(**self._arguments)
                kwargs = json.loads(json.dumps(deferred.kwargs or {}))
                step = functools.partial(getattr(again, deferred.method_name), event=event, **kwargs)


@pytest.fixture
def defer(hand_time: HandTime) -> Callable[..., Deferrals]:
    return functools.partial(Deferrals, hand_time)


def event_of(deferred: TaskDeferred, time: HandTime) -> Any:
    """Let another process's copy of the trigger wait, and return what it sends: all of that as plain JSON."""
    path, arguments = deferred.trigger.serialize()
    trigger = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))

    async def first() -> Any:
        async for event in trigger.run():
            return json.loads(json.dumps(event.payload))

    began = time()
    event = asyncio.run(first())
    assert time() - began > 30
    return event


def owners(server: Sandbox) -> Counter[int]:
    return Counter(chat["assignee"]["id"] for chat in server.chats)


def assert_written_once(server: Sandbox, chats: int) -> None:
    written = [request.chat for request in server.writes()]
    assert len(written) == len(set(written)) == chats


class TestDeferred:
    def test_goes_on_with_the_key_that_the_connection_has_then(
        self, limited: StartLimited, connection: Callable[..., None], defer: Callable[..., Deferrals]
    ) -> None:
        server, deferrals = limited(40, 30), defer()
        old = server.key

        def rotate() -> None:
            server.add_key("the-new-key")
            connection(server, requests_per_minute=30, rate_limit_store="sqlite://")
            server.revoke_key(old)

        deferrals.run(waiting=rotate)
        assert server.chats_of(LEAVER) == []
        assert all(request.authorized for request in server.journal)
        assert_written_once(server, 40)

    def test_goes_on_until_all_is_done(
        self, limited: StartLimited, waits: list[float], defer: Callable[..., Deferrals]
    ) -> None:
        server, deferrals, taken = limited(75, 30), defer(on_error="report"), []
        refused = server.chats[3]["id"]
        server.add_fault(Fault("status", status=404, chat=refused, times=0))

        def take() -> None:
            if left := server.chats_of(LEAVER)[1:]:
                taken.append(left[0]["id"])
                server.update_chat(taken[-1], assignee=COLLEAGUE)

        result = deferrals.run(waiting=take)
        assert len(taken) == len(deferrals.all) >= 2
        assert (result["changed"], result["refused"]) == (74 - len(taken), 1)
        assert result["requests"] == len(server.journal)
        assert [chat["id"] for chat in server.chats_of(LEAVER)] == [refused]
        assert_written_once(server, 74 - len(taken))
        assert not {request.chat for request in server.requests(WRITE)} & set(taken)
        assert max(owners(server)[agent] - owners(server)[1004] for agent in (1002, 1003)) <= 1
        assert len([request for request in server.journal if request.chat == refused]) == 1
        assert server.count(429) == 0
        assert max(waits) < LONGEST_WAIT

    def test_gives_the_slot_back_also_after_a_wait_that_led_to_nothing(
        self, limited: StartLimited, waits: list[float], defer: Callable[..., Deferrals]
    ) -> None:
        server, deferrals = limited(110, 30), defer()

        def spend() -> None:
            if len(deferrals.all) == 2:  # somebody else takes all that got free
                with HelpCrunchHook() as hook:
                    for _ in range(30):
                        hook.client.get_organization()

        assert deferrals.run(resuming=spend)["changed"] == 110
        assert len(deferrals.all) >= 4
        assert server.count(429) == 0
        assert max(waits) < LONGEST_WAIT

    def test_counting_more_targets_than_the_budget_has_requests(
        self, limited: StartLimited, defer: Callable[..., Deferrals]
    ) -> None:
        server = limited(3, 20)
        server.insert_agents(30)
        targets = [agent["id"] for agent in server.agents if agent["id"] != LEAVER]
        server.insert_chats(2, assignee=targets[0])
        result = defer(strategy="least_loaded", to_agents=targets[:30]).run()
        assert result["changed"] == 3
        assert result["requests"] <= 1 + 30 + 3 + 8
        assert server.count(429) == 0

    def test_several_sources_and_max_chats(
        self, limited: StartLimited, defer: Callable[..., Deferrals]
    ) -> None:
        server = limited(25, 20)
        server.insert_chats(25, assignee=1005)
        result = defer(from_agents=[LEAVER, 1005], max_chats=44).run()
        assert result["changed"] == 44
        assert owners(server) == {1002: 15, 1003: 15, 1004: 14, 1005: 6}
        assert_written_once(server, 44)

    def test_a_dry_run_writes_nothing_from_any_slot(
        self, limited: StartLimited, defer: Callable[..., Deferrals]
    ) -> None:
        server, deferrals = limited(250, 3), defer(dry_run=True)
        result = deferrals.run()
        assert deferrals.all
        assert (result["planned"], len(server.requests(WRITE))) == (250, 0)
        assert [chat["after"] for chat in result["chats"]] == ([1002, 1003, 1004] * 84)[:250]

    def test_the_trigger_only_waits(self, limited: StartLimited, hand_time: HandTime) -> None:
        server = limited(50, 20)
        with pytest.raises(TaskDeferred) as caught:
            ReassignChatsOperator(**ARGUMENTS, deferrable=True).execute({})
        sent = len(server.journal)
        assert event_of(caught.value, hand_time)
        assert len(server.journal) == sent
        assert caught.value.method_name == "execute_complete"

    @pytest.mark.parametrize("event", [None, {}])
    def test_without_an_event_it_fails(self, event: Any) -> None:
        with pytest.raises(HelpCrunchError, match="without an event"):
            ReassignChatsOperator(**ARGUMENTS).execute_complete({}, event)

    def test_a_wait_longer_than_the_patience_fails(self, limited: StartLimited) -> None:
        server = limited(2, 20)
        server.add_fault(Fault("status", status=429, retry_after="30", nth=2))
        with pytest.raises(HelpCrunchRateLimitError):
            ReassignChatsOperator(**ARGUMENTS, deferrable=True, patience=20).execute({})
        assert len(server.journal) == 2

    @pytest.mark.parametrize("limit", [2, 3])
    def test_the_smallest_budget_makes_progress(
        self, limit: int, limited: StartLimited, defer: Callable[..., Deferrals]
    ) -> None:
        server = limited(1, limit)
        assert defer().run()["changed"] == 1
        assert_written_once(server, 1)
        assert server.count(429) == 0

    def test_a_budget_of_one_request_is_refused(self, limited: StartLimited, reassign: Reassign) -> None:
        server = limited(1, 1)
        with pytest.raises(HelpCrunchConfigurationError, match="at least 2"):
            reassign()
        assert server.journal == []


class TestOnTheWorker:
    def test_goes_on_until_all_is_done(
        self, limited: StartLimited, reassign: Reassign, hand_time: HandTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server, taken = limited(75, 30), []

        def sleep(seconds: float) -> None:
            if left := server.chats_of(LEAVER)[1:]:
                taken.append(left[0]["id"])
                server.update_chat(taken[-1], assignee=COLLEAGUE)
            hand_time.sleep(seconds)

        monkeypatch.setattr(deferral.time, "sleep", sleep)
        result = reassign()
        assert len(taken) >= 2
        assert (result["changed"], result["requests"]) == (75 - len(taken), len(server.journal))
        assert server.chats_of(LEAVER) == []
        assert_written_once(server, 75 - len(taken))
        assert not {request.chat for request in server.requests(WRITE)} & set(taken)
        assert server.count(429) == 0

    def test_the_patience_ends_it(
        self, limited: StartLimited, reassign: Reassign, hand_time: HandTime
    ) -> None:
        server = limited(2, 20)
        server.add_fault(Fault("status", status=429, nth=2, times=0))
        began = hand_time()
        with pytest.raises(HelpCrunchRateLimitError):
            reassign(patience=120)
        assert hand_time() - began < 130
        assert server.requests(WRITE) == []
