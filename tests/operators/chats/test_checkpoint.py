"""
What a task carries through a deferral is small whatever there is to do, and nothing is lost or done twice by it.

The account is the sandbox's, without a socket: after a given number of requests on a worker, the task is deferred.
"""

from __future__ import annotations

import functools
import json
import pkgutil
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.trigger import Trigger
from task_context import Instance, Store

from airflow_provider_helpcrunch._airflow import TaskDeferred
from airflow_provider_helpcrunch.chats import checkpoint
from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint, SourceCheckpoint
from airflow_provider_helpcrunch.chats.plan import Plan
from airflow_provider_helpcrunch.chats.results import Result, Results
from airflow_provider_helpcrunch.client import transport
from airflow_provider_helpcrunch.client.redaction import Redactor
from airflow_provider_helpcrunch.client.response import Response
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchPartialError,
    HelpCrunchRateLimitError,
    HelpCrunchRefusedError,
)
from airflow_provider_helpcrunch.operators import deferral
from airflow_provider_helpcrunch.operators.chats import (
    ReassignChatsOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.packing import packed, unpacked
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox, endpoints
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.responses import Answer as SandboxAnswer
from airflow_provider_helpcrunch.sandbox.responses import encode
from airflow_provider_helpcrunch.storage import read_records

LEAVER, TARGETS = 1001, [1002, 1003, 1004]
WRITE = "/v1/chats/assignee"
SMALL = 8 * 1024
NAMES = "abcdefghijklmnopqrstuvwxyzäöü "
COLUMN = 65_535
"""Bytes that MySQL's TEXT holds, in which Airflow keeps a trigger's arguments and its event."""


class Line:
    """A way to the account without a socket, with a given number of requests before each deferral."""

    def __init__(self, server: Sandbox, stay: int) -> None:
        self.server, self.stay, self.left = server, stay, stay

    def call(
        self,
        sender: transport.Transport,
        method: str,
        path: str,
        parse: Callable[[Any], Any],
        *,
        params: Any = None,
        json: Any = None,
        **_: Any,
    ) -> Any:
        """Stand in for ``Transport.call``."""
        if not self.left:
            msg = "The account's rate limit is used up."
            raise HelpCrunchRateLimitError(msg, waited=0.0)
        self.left -= 1
        sender._count(repeated=False)
        state = self.server._state
        entry = Request(
            time.monotonic(),
            method,
            f"/v1{path}",
            {name: str(value) for name, value in (params or {}).items()},
            json,
            None,
            peer="",
            user_agent="",
            authorized=True,
        )
        ticket = state.journal.open(entry)
        done = self.refusal(entry) or endpoints.answer(state.account, state.settings, entry)
        if done.applied:
            state.journal.applied(ticket)
        state.journal.answered(ticket, done.status)
        return Response(method, path, 1, done.status, {}, done.body, Redactor("sandbox-key")).parsed(parse)

    def refusal(self, entry: Request) -> Any:
        """Return the answer of a fault that hits the request."""
        for fault in self.server._state.faults.hits(entry):
            return endpoints.error(fault.status, "new")
        return None


Start = Callable[..., Line]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Make an account, and let every client of this process reach it."""

    def start(stay: int = 120, agents: int = 6) -> Line:
        server = Sandbox(agents=agents, chats=0)
        monkeypatch.setenv(
            "AIRFLOW_CONN_HELPCRUNCH_DEFAULT",
            json.dumps(
                {
                    "conn_type": "helpcrunch",
                    "password": "sandbox-key",
                    "extra": {"rate_limit_store": "memory://", "requests_per_minute": 120},
                }
            ),
        )
        made = Line(server, stay)

        def call(sender: transport.Transport, *given: Any, **named: Any) -> Any:
            return made.call(sender, *given, **named)

        monkeypatch.setattr(transport.Transport, "call", call)
        monkeypatch.setattr(transport.Transport, "budget_wait", lambda *_: 1.0)
        return made

    return start


class Task:
    """Plays the part of Airflow: every stay is another object, which gets plain JSON."""

    def __init__(self, line: Line, make: Callable[[], Any], context: dict[str, Any] | None = None) -> None:
        self.line, self.make, self.context = line, make, context or {}
        self.sizes: list[int] = []

    def run(self) -> Any:
        step = self.make().execute
        while True:
            self.line.left = self.line.stay
            try:
                return step(self.context)
            except TaskDeferred as deferred:
                path, arguments = deferred.trigger.serialize()
                self.sizes.append(len(json.dumps(arguments)))
                trigger = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
                assert self.sizes[-1] >= len(json.dumps(trigger.state))
                again = self.make()
                step = functools.partial(getattr(again, deferred.method_name), event=trigger.state)


def reassign(**arguments: Any) -> Callable[[], Any]:
    given = {
        "from_agents": LEAVER,
        "to_agents": TARGETS,
        "task_id": "reassign",
        "deferrable": True,
        **arguments,
    }
    return lambda: ReassignChatsOperator(**given)


def written(line: Line) -> list[int | None]:
    return [write.chat for write in line.server.writes()]


@pytest.mark.parametrize("stored", [False, True], ids=["carried", "in the state store"])
@pytest.mark.parametrize(
    ("chats", "stay"), [(1, 2), (1000, 120), pytest.param(20_000, 500, marks=pytest.mark.long)]
)
def test_a_reassignment(chats: int, stay: int, stored: bool, line: Start) -> None:
    account = line(stay)
    moved = [chat["id"] for chat in account.server.insert_chats(chats, assignee=LEAVER)]
    task = Task(account, reassign(max_xcom_bytes=2**30), {"task_state_store": Store()} if stored else {})
    result = task.run()
    assert len(task.sizes) >= chats // stay
    assert max(task.sizes) <= (1024 if stored else SMALL)
    assert written(account) == moved
    assert [(chat["id"], chat["after"]) for chat in result["chats"]] == [
        (chat, TARGETS[number % 3]) for number, chat in enumerate(moved)
    ]
    assert result["requests"] == len(account.server.journal)


@pytest.mark.parametrize("stored", [False, True], ids=["carried", "in the state store"])
@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("size", [600, pytest.param(5000, marks=pytest.mark.long)])
def test_a_plan(size: int, check: bool, stored: bool, line: Start) -> None:
    account = line(size // 16)
    chats = [chat["id"] for chat in account.server.insert_chats(size, assignee=LEAVER)]
    refused = chats[size // 2]
    random.Random(1).shuffle(chats)
    plan = [{"id": chat, "assignee": TARGETS[chat % 3]} for chat in chats]

    def make() -> Any:
        return UpdateChatsOperator(
            task_id="apply", plan=plan, check=check, deferrable=True, max_xcom_bytes=2**30, on_error="report"
        )

    account.server.add_fault(Fault("status", status=404, chat=refused, times=0, method="PUT"))
    task = Task(account, make, {"task_state_store": Store()} if stored else {})
    result = task.run()
    assert len(task.sizes) >= 16
    assert max(task.sizes) <= (1024 if stored else SMALL)
    assert written(account) == [chat for chat in chats if chat != refused]
    assert [(chat["id"], chat["after"]) for chat in result["chats"]] == [
        (entry["id"], entry["assignee"]) for entry in plan
    ]
    assert {chat["before"] for chat in result["chats"]} == ({LEAVER} if check else {"?"})
    assert (result["changed"], result["refused"]) == (size - 1, 1)
    assert result["requests"] == len(account.server.journal)


def test_many_chats_that_stay_and_many_that_are_refused(line: Start) -> None:
    """Refused ones are named at the end, and neither they nor skipped ones are tried or counted twice."""
    account, instance = line(120), Instance()
    refused = []
    for number in range(1500):
        account.server.insert_chats(2, assignee=LEAVER, status="pending")
        (chat,) = account.server.insert_chats(1, assignee=LEAVER)
        if number % 3 == 0:
            refused.append(chat["id"])
            account.server.add_fault(Fault("status", status=404, chat=chat["id"], times=0))
    task = Task(account, reassign(statuses=["opened"], to_agents=TARGETS[:1]), {"ti": instance})
    with pytest.raises(
        HelpCrunchRefusedError, match=f"500 changes were not made.*chat {refused[0]}: .*497 more"
    ):
        task.run()
    result = instance.pushed["return_value"]
    assert (result["changed"], result["refused"], result["skipped"]) == (1000, 500, 3000)
    assert [chat["id"] for chat in result["chats"] if chat["outcome"] == "refused"] == refused
    tried = [request.chat for request in account.server.requests(WRITE)]
    assert len(tried) == len(set(tried)) == 1500
    assert max(task.sizes) <= deferral.MOST_BYTES


def test_many_agents_with_long_names(line: Start, twist: Callable[..., None]) -> None:
    def answer(request: Request, honest: Callable[[Request], Any]) -> Any:
        done = honest(request)
        found = json.loads(done.body)
        found["data"] = [{**agent, "name": "".join(chance.choices(NAMES, k=1000))} for agent in found["data"]]
        return replace(done, body=json.dumps(found).encode())

    account, chance = line(120, agents=600), random.Random(1)
    twist(answer, ("GET", "/v1/agents"))
    sources, targets = list(range(1001, 1301)), list(range(1301, 1601))
    for source in sources:
        account.server.insert_chats(2, assignee=source)
    task = Task(account, reassign(from_agents=sources, to_agents=targets, strategy="least_loaded"))
    result = task.run()
    assert max(task.sizes) <= SMALL
    assert result["changed"] == 600
    assert set(Counter(write.body["assignee"] for write in account.server.writes()).values()) == {2}


def test_names_are_there_at_the_end(line: Start, tmp_path: Path) -> None:
    account = line(40)
    account.server.insert_chats(100, assignee=LEAVER)
    path = str(tmp_path / "report.jsonl")
    task = Task(account, reassign(report_path=path))
    task.run()
    names = {agent["id"]: agent["name"] for agent in account.server.agents}
    rows = list(read_records(path))
    assert len(task.sizes) >= 2
    assert [row["after_name"] for row in rows] == [names[row["after"]] for row in rows]
    assert {row["before_name"] for row in rows} == {names[LEAVER]}


@pytest.mark.parametrize("source", [LEAVER, None])
@pytest.mark.parametrize("stay", [7, 40, 109, 118])
def test_max_chats_and_turns(stay: int, source: int | None, line: Start) -> None:
    account = line(stay)
    moved = [chat["id"] for chat in account.server.insert_chats(300, assignee=source)][:211]
    task = Task(account, reassign(from_agents=source, max_chats=211))
    assert task.run()["changed"] == 211
    assert written(account) == moved
    assert Counter(write.body["assignee"] for write in account.server.writes()) == {
        1002: 71,
        1003: 70,
        1004: 70,
    }


@pytest.mark.parametrize("most", [None, 150])
@pytest.mark.parametrize("source", [LEAVER, None])
@pytest.mark.parametrize("stay", [7, 40, 101, 118])
def test_a_server_that_says_yes_and_does_nothing(
    stay: int, source: int | None, most: int | None, line: Start, twist: Callable[..., None]
) -> None:
    account, instance = line(stay), Instance()
    chats = [chat["id"] for chat in account.server.insert_chats(250, assignee=source)][:most]

    def answer(request: Request, _: Callable[[Request], Any]) -> SandboxAnswer:
        shown = {**account.server.chat(request.body["id"]), "assignee": {"id": request.body["assignee"]}}
        return SandboxAnswer(200, encode(shown))

    twist(answer, ("PUT", WRITE))
    task = Task(account, reassign(from_agents=source, max_chats=most), {"ti": instance})
    with pytest.raises(HelpCrunchPartialError, match=f"{len(chats)} changes were not made"):
        task.run()
    assert instance.pushed["return_value"]["changed"] == 0
    tried = [request.chat for request in account.server.requests(WRITE)]
    assert len(tried) == len(set(tried)) == len(chats)


def test_an_unknown_agent_is_still_known_as_such_at_the_end(line: Start) -> None:
    account = line(20)
    account.server.insert_chats(30, assignee=1006)
    account.server.insert_chats(30, assignee=LEAVER)
    account.server.remove_agent(1006)
    task = Task(account, reassign(from_agents=[9998, 1006, LEAVER, 9999]))
    with pytest.raises(HelpCrunchConfigurationError, match="from_agents names 9998, 9999, but"):
        task.run()
    assert len(task.sizes) >= 3
    assert len(written(account)) == 60


def test_a_dry_run(line: Start) -> None:
    account = line(4)
    chats = [chat["id"] for chat in account.server.insert_chats(2000, assignee=LEAVER)]
    task = Task(account, reassign(dry_run=True, max_xcom_bytes=2**30))
    result = task.run()
    assert len(task.sizes) >= 4
    assert max(task.sizes) <= SMALL
    assert [(chat["id"], chat["after"]) for chat in result["chats"]] == [
        (chat, TARGETS[number % 3]) for number, chat in enumerate(chats)
    ]
    assert written(account) == []


def test_a_state_that_is_too_large_keeps_the_worker_slot(
    line: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, waits, moved, chance = line(50), [], [], random.Random(1)
    for _ in range(400):
        account.server.insert_chats(chance.randrange(9), assignee=1005)
        moved += [chat["id"] for chat in account.server.insert_chats(1, assignee=LEAVER)]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        account.left = account.stay

    monkeypatch.setattr(deferral, "time", SimpleNamespace(sleep=sleep, time=time.time))
    monkeypatch.setattr(deferral, "MOST_BYTES", 600)
    task = Task(account, reassign())
    assert task.run()["changed"] == 400
    assert task.sizes
    assert waits
    assert written(account) == moved


@pytest.mark.parametrize("size", [1, 1000, 20_000, 60_000])
def test_what_is_carried_fits_a_column_of_mysql(size: int, line: Start) -> None:
    """Airflow encrypts a trigger's arguments, which makes a third more of them; this is the most that is deferred."""
    chance = random.Random(size)
    texts = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=size))
    arguments = {"until": time.time(), "state": {"packed": packed(texts)}}
    if len(json.dumps(arguments["state"])) > deferral.MOST_BYTES:
        arguments["state"] = {"packed": "x" * (deferral.MOST_BYTES - 20)}
    encrypt = getattr(Trigger, "encrypt_kwargs", None) or Trigger._encrypt_kwargs
    assert len(encrypt(arguments)) < COLUMN


class TestTakingUp:
    """A carried checkpoint is used only for the same work, and only if it is complete."""

    def deferred(self, line: Line, context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        line.left = line.stay
        with pytest.raises(TaskDeferred) as caught:
            reassign(**arguments)().execute(context or {})
        return dict(caught.value.trigger.state)

    @pytest.mark.parametrize(
        "other", [{"to_agents": [1002]}, {"max_chats": 7}, {"from_agents": [LEAVER, 1005]}]
    )
    def test_another_order_is_refused(self, other: dict[str, Any], line: Start) -> None:
        account = line(40)
        account.server.insert_chats(100, assignee=LEAVER)
        state = self.deferred(account)
        sent = len(account.server.journal)
        with pytest.raises(HelpCrunchError, match="has changed while it was deferred"):
            reassign(**other)().execute_complete({}, state)
        assert len(account.server.journal) == sent

    def test_the_event_of_an_older_release_is_refused(self, line: Start) -> None:
        account = line(40)
        old = {"outcomes": [], "earlier": 0, "place": {}, "requests": 3, "waited": 0.0}
        with pytest.raises(HelpCrunchError, match="has changed while it was deferred"):
            reassign()().execute_complete({}, old)
        assert account.server.journal == []

    def test_a_store_that_lost_what_was_noted_is_refused(self, line: Start) -> None:
        account, store = line(40), Store()
        account.server.insert_chats(100, assignee=LEAVER)
        state = self.deferred(account, {"task_state_store": store})
        store.kept.clear()
        with pytest.raises(HelpCrunchError, match="had kept 38 changes.*finds 0 of them"):
            reassign()().execute_complete({"task_state_store": store}, state)

    def test_a_store_that_fails_on_the_way_is_replaced_by_what_is_carried(self, line: Start) -> None:
        class Broken(Store):
            def set(self, key: str, value: Any, **_: Any) -> None:
                if len(value) > 30:
                    msg = "the API server is away"
                    raise RuntimeError(msg)
                super().set(key, value)

        account = line(50)
        moved = [chat["id"] for chat in account.server.insert_chats(100, assignee=LEAVER)]
        task = Task(account, reassign(), {"task_state_store": Broken()})
        assert [chat["id"] for chat in task.run()["chats"]] == moved == written(account)


@pytest.mark.parametrize("source", [None, SourceCheckpoint(99, 7, skipped={3, 5}, returned={9}, moved=True)])
@pytest.mark.parametrize(
    "results",
    [
        [],
        [Result(7, "assignee", None, 1002, "changed")],
        [
            Result(9, "assignee", "?", None, "failed", "Zoë: \u2028"),
            Result(7, "status", "new", "closed", "changed"),
            Result(3, "snoozed_until", None, None, "unchanged"),
        ],
    ],
    ids=len,
)
def test_is_read_as_it_was_written(results: list[Result], source: SourceCheckpoint | None) -> None:
    before = Checkpoint(
        Results.resumed(results, len(results) // 2),
        requests=12,
        waited=3.5,
        looked_up=True,
        loads={1003: 0, 1002: 7},
        counted=2,
        unknown=[1005],
        sources_done=1,
        skipped=4,
        source=source,
    )
    for kept in (False, True):
        written = json.loads(json.dumps(before.to_json(None if kept else checkpoint.columns)))
        after = Checkpoint.from_json(written, checkpoint.from_columns, results if kept else ())
        assert list(after.results) == results
        assert after.results.earlier == before.results.earlier
        assert (after.requests, after.waited) == (12, 3.5)
        assert after.position() == before.position()
        assert list(after.loads.items()) == [(1003, 0), (1002, 7)]


def test_results_of_a_plan_are_read_as_they_were_written() -> None:
    plan = Plan.read([{"id": 7, "assignee": 1002, "status": "closed"}, {"id": 3, "snoozed_until": None}])
    results = [
        Result(3, "snoozed_until", None, None, "unchanged"),
        Result(7, "status", "new", "closed", "failed", "no response"),
        Result(7, "assignee", "?", 1002, "changed"),
    ]
    assert plan.from_columns(unpacked(packed(plan.columns(results)))) == results
