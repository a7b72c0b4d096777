"""Changes in doubt: sent, and without a usable response. The engines look at the chat before they go on."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from in_process import client_of

from airflow_provider_helpcrunch.assignment import round_robin
from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint, columns, from_columns
from airflow_provider_helpcrunch.chats.plan import Change, Plan
from airflow_provider_helpcrunch.chats.plan_run import PlanRun
from airflow_provider_helpcrunch.chats.reassignment import Reassignment, ReassignmentRun
from airflow_provider_helpcrunch.chats.results import Report, Result, Results
from airflow_provider_helpcrunch.chats.rules import Rules
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
    HelpCrunchRefusedError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox, endpoints
from airflow_provider_helpcrunch.sandbox.responses import Answer, encode

LEAVER, TARGETS = 1001, (1002, 1003)
ASSIGNEE = "/v1/chats/assignee"

Work = dict[str, Any]


@pytest.fixture
def account() -> Sandbox:
    """An account whose only chats are five of the leaver's."""
    sandbox = Sandbox(agents=4, chats=0)
    sandbox.insert_chats(5, assignee=LEAVER)
    return sandbox


def reassignment(checkpoint: Checkpoint, **work: Any) -> ReassignmentRun:
    given: Work = {"sources": (LEAVER,), "recipients": TARGETS, "department": None, "statuses": None}
    given |= {"strategy": "round_robin", "most": None, "dry_run": False, **work}
    return ReassignmentRun(Reassignment(**given), round_robin, checkpoint)


def plan(account: Sandbox, checkpoint: Checkpoint, **how: Any) -> PlanRun:
    changes = [Change(chat["id"], "assignee", TARGETS[0]) for chat in account.chats]
    return PlanRun(Plan(changes), checkpoint, **how)


def outcomes(checkpoint: Checkpoint) -> dict[int, str]:
    return {result.id: result.outcome for result in Report(checkpoint.results.standing())}


def deferred(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint as it is after a deferral."""
    return Checkpoint.from_json(checkpoint.to_json(columns), from_columns)


def retried(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with which another try begins, as the runner makes it from the progress store."""
    results = Results(checkpoint.results)
    return Checkpoint(results, in_doubt=results.failed_before())


@pytest.mark.parametrize("way", [lambda same: same, deferred], ids=["waits", "defers"])
@pytest.mark.parametrize("engine", ["reassignment", "plan", "checked plan"])
class TestNoPermitForTheRetry:
    """The change is made, its response is lost, and the rate limit allows no second attempt."""

    @staticmethod
    def interrupted(account: Sandbox, engine: str) -> tuple[Checkpoint, Callable[[Checkpoint], Any]]:
        def make(checkpoint: Checkpoint) -> Any:
            if engine == "reassignment":
                return reassignment(checkpoint)
            return plan(account, checkpoint, check=engine == "checked plan")

        # The requests before the first change, and that change.
        permits = {"reassignment": 3, "plan": 2, "checked plan": 3}[engine]
        checkpoint = Checkpoint()
        account.add_fault(Fault("close", path=ASSIGNEE))
        with pytest.raises(HelpCrunchRateLimitError):
            list(make(checkpoint).run(client_of(account, permits)))
        assert len(account.writes()) == 1
        assert len(checkpoint.results) == 0
        return checkpoint, make

    def test_the_change_is_reported(
        self, account: Sandbox, engine: str, way: Callable[[Checkpoint], Checkpoint]
    ) -> None:
        checkpoint, make = self.interrupted(account, engine)
        checkpoint = way(checkpoint)
        list(make(checkpoint).run(client_of(account)))
        assert outcomes(checkpoint) == dict.fromkeys((chat["id"] for chat in account.chats), "changed")
        assert len(account.writes()) == 5, "the change in doubt was made again"

    def test_a_person_who_took_the_chat_meanwhile_keeps_it(
        self, account: Sandbox, engine: str, way: Callable[[Checkpoint], Checkpoint]
    ) -> None:
        checkpoint, make = self.interrupted(account, engine)
        chat = account.writes()[0].chat or 0
        account.update_chat(chat, assignee=1004)
        checkpoint = way(checkpoint)
        list(make(checkpoint).run(client_of(account)))
        taken = account.chat(chat)["assignee"]["id"]
        if engine == "reassignment":
            assert taken == 1004
            assert chat not in outcomes(checkpoint)
        else:  # a plan says what is to be, whatever was before
            assert taken == TARGETS[0]


@pytest.mark.parametrize("most", [1, 3])
def test_a_move_in_doubt_counts_against_the_maximum(most: int, account: Sandbox) -> None:
    checkpoint = Checkpoint()
    account.add_fault(Fault("close", path=ASSIGNEE, nth=most, times=50))
    list(reassignment(checkpoint, most=most).run(client_of(account)))
    assert len({write.chat for write in account.writes()}) == most
    assert checkpoint.results.moved == most
    assert set(outcomes(checkpoint).values()) == {"changed"}


@pytest.mark.parametrize("kind", ["close", "reset", "truncate"])
def test_a_change_whose_every_response_was_lost_is_looked_at_in_the_end(kind: str, account: Sandbox) -> None:
    checkpoint = Checkpoint()
    account.add_fault(Fault(kind, path=ASSIGNEE, chat=account.chats[1]["id"], times=0))
    list(reassignment(checkpoint).run(client_of(account)))
    assert set(outcomes(checkpoint).values()) == {"changed"}
    assert checkpoint.loads == {1002: 2, 1003: 3}


def test_a_change_that_failed_and_was_not_made_stays_failed(account: Sandbox) -> None:
    checkpoint = Checkpoint()
    failing = account.chats[1]["id"]
    account.add_fault(Fault("status", status=503, path=ASSIGNEE, chat=failing, times=0))
    list(reassignment(checkpoint).run(client_of(account)))
    assert outcomes(checkpoint)[failing] == "failed"
    assert checkpoint.results.moved == 4


def test_the_next_try_looks_at_what_failed_before(account: Sandbox) -> None:
    """The service was down from the second change on, so nothing could be looked at in the first try."""
    checkpoint = Checkpoint()
    account.add_fault(Fault("close", path=ASSIGNEE, nth=2, times=0))
    with pytest.raises(HelpCrunchConnectionError):
        list(reassignment(checkpoint).run(client_of(account)))
    assert sorted(outcomes(checkpoint).values()) == ["changed", "failed", "failed", "failed"]
    account.clear_faults()
    checkpoint = retried(checkpoint)
    list(reassignment(checkpoint).run(client_of(account)))
    assert outcomes(checkpoint) == dict.fromkeys((chat["id"] for chat in account.chats), "changed")
    assert len({write.chat for write in account.writes()}) == 5


def test_a_chat_that_the_next_try_cannot_look_at_stays_failed(account: Sandbox) -> None:
    """It was moved, so nothing else would bring it into the report, or let it get its note."""
    checkpoint, moved = Checkpoint(), account.chats[1]["id"]
    account.add_fault(Fault("close", path=ASSIGNEE, nth=2, times=0))
    with pytest.raises(HelpCrunchConnectionError):
        list(reassignment(checkpoint).run(client_of(account)))
    account.clear_faults()
    account.add_fault(Fault("close", path=f"/v1/chats/{moved}", times=0))
    checkpoint = retried(checkpoint)
    list(reassignment(checkpoint).run(client_of(account)))
    assert outcomes(checkpoint) == {
        chat["id"]: "failed" if chat["id"] == moved else "changed" for chat in account.chats
    }


def test_a_chat_that_the_next_try_cannot_look_at_is_moved_if_it_is_still_there(account: Sandbox) -> None:
    checkpoint, failing = Checkpoint(), account.chats[1]["id"]
    account.add_fault(Fault("status", status=503, path=ASSIGNEE, chat=failing, times=0))
    list(reassignment(checkpoint).run(client_of(account)))
    account.clear_faults()
    account.add_fault(Fault("close", path=f"/v1/chats/{failing}", times=0))
    checkpoint = retried(checkpoint)
    list(reassignment(checkpoint, most=5).run(client_of(account)))
    assert outcomes(checkpoint) == dict.fromkeys((chat["id"] for chat in account.chats), "changed")


def test_a_planned_change_that_was_made_gets_its_note_after_a_look_that_failed(account: Sandbox) -> None:
    checkpoint, moved = Checkpoint(), account.chats[1]["id"]
    changes = [Change(chat["id"], "assignee", TARGETS[0]) for chat in account.chats]
    planned = Plan(changes, rules=Rules(note="Moved by plan."))
    account.add_fault(Fault("close", path=ASSIGNEE, chat=moved, times=0))
    account.add_fault(Fault("close", path=f"/v1/chats/{moved}", nth=2, times=0))
    list(PlanRun(planned, checkpoint).run(client_of(account)))
    assert outcomes(checkpoint)[moved] == "failed"
    account.clear_faults()
    # The first look at it alone: all attempts of that request.
    account.add_fault(Fault("status", status=503, path=f"/v1/chats/{moved}", times=6))
    checkpoint = retried(checkpoint)
    list(PlanRun(planned, checkpoint).run(client_of(account)))
    assert set(outcomes(checkpoint).values()) == {"changed"}
    noted = Counter(request.chat for request in account.requests("/v1/messages"))
    assert noted == {chat["id"]: 1 for chat in account.chats}


def test_a_chat_that_may_have_been_moved_is_looked_at_where_the_search_lags(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier try has moved it, without a response; since then its new agent has given it to a third one."""
    checkpoint, moved = Checkpoint(), account.chats[0]
    account.add_fault(Fault("close", path=ASSIGNEE, chat=moved["id"], times=0))
    account.add_fault(Fault("close", path=f"/v1/chats/{moved['id']}", times=0))
    list(reassignment(checkpoint).run(client_of(account)))
    account.clear_faults()
    account.update_chat(moved["id"], assignee=1004)
    checkpoint, before = retried(checkpoint), len(account.writes())
    account.add_fault(Fault("status", status=503, path=f"/v1/chats/{moved['id']}", times=6))
    route, lagging = ("POST", "/v1/chats/search"), [moved]
    honest = endpoints.ROUTES[route]

    def search(state: Any, settings: Any, request: Any) -> Answer:
        found = json.loads(honest(state, settings, request).body)
        rows = [*lagging[:1], *found["data"]]
        lagging.clear()
        return Answer(200, encode({**found, "data": rows, "total": len(rows)}))

    monkeypatch.setitem(endpoints.ROUTES, route, search)
    list(reassignment(checkpoint).run(client_of(account)))
    assert account.chat(moved["id"])["assignee"]["id"] == 1004
    assert len(account.writes()) == before


def test_chats_that_failed_are_looked_at_twice_however_few_requests_are_allowed(account: Sandbox) -> None:
    checkpoint, taken = Checkpoint(), [chat["id"] for chat in account.chats]
    for chat in taken:
        checkpoint.results.add(Result(chat, "assignee", LEAVER, TARGETS[0], "failed", "no response"))
        account.update_chat(chat, assignee=1004)
    checkpoint = retried(checkpoint)
    for _ in range(20):
        try:
            list(reassignment(checkpoint).run(client_of(account, 3)))
            break
        except HelpCrunchRateLimitError:
            checkpoint = deferred(checkpoint)
    else:
        pytest.fail("it never ends")
    looks = [
        request for request in account.journal if request.path in {f"/v1/chats/{chat}" for chat in taken}
    ]
    assert len(looks) == 2 * len(taken)
    assert account.writes() == []


def test_a_look_that_the_rate_limit_refuses_is_made_later(account: Sandbox) -> None:
    """The retry was refused with 400, and no permit is left to find out why."""
    checkpoint = Checkpoint()
    account.add_fault(Fault("close", path=ASSIGNEE))
    account.add_fault(Fault("status", status=400, path=ASSIGNEE, nth=2))
    with pytest.raises(HelpCrunchRateLimitError):
        list(reassignment(checkpoint).run(client_of(account, 4)))
    list(reassignment(checkpoint).run(client_of(account)))
    assert set(outcomes(checkpoint).values()) == {"changed"}
    assert len(outcomes(checkpoint)) == 5


def test_a_key_that_is_refused_leaves_no_doubt(account: Sandbox) -> None:
    checkpoint = Checkpoint()
    account.add_fault(Fault("status", status=401, path=ASSIGNEE, nth=2))
    with pytest.raises(HelpCrunchAuthError):
        list(reassignment(checkpoint).run(client_of(account)))
    assert checkpoint.in_doubt == []


class TestMovesThatDidNotLast:
    """A person takes a chat back, again and again."""

    @staticmethod
    def run(account: Sandbox, checkpoint: Checkpoint, **work: Any) -> None:
        for result in reassignment(checkpoint, **work).run(client_of(account)):
            if result.outcome == "changed" and result.id == account.chats[0]["id"]:
                account.update_chat(result.id, assignee=LEAVER)

    def test_are_not_counted_by_the_next_try(self, account: Sandbox) -> None:
        checkpoint = Checkpoint()
        self.run(account, checkpoint, most=1)
        assert [result.outcome for result in checkpoint.results] == ["changed", "failed"]
        assert checkpoint.results.moved == 0
        checkpoint = retried(checkpoint)
        list(reassignment(checkpoint, most=1).run(client_of(account)))
        assert outcomes(checkpoint) == {account.chats[0]["id"]: "changed"}
        assert account.chats[0]["assignee"]["id"] in TARGETS

    def test_are_found_by_the_next_try_if_the_worker_died_before_the_look(self, account: Sandbox) -> None:
        checkpoint = Checkpoint()
        run = reassignment(checkpoint, most=1).run(client_of(account))
        chat = next(run).id
        run.close()
        account.update_chat(chat, assignee=LEAVER)
        checkpoint = retried(checkpoint)
        list(reassignment(checkpoint, most=1).run(client_of(account)))
        assert outcomes(checkpoint) == {chat: "failed"}

    def test_of_a_chat_deleted_since_do_not_end_the_task(self, account: Sandbox) -> None:
        checkpoint = Checkpoint()
        gone = account.chats[0]["id"]
        account.add_fault(Fault("status", status=404, method="GET", path=f"/v1/chats/{gone}", times=0))
        self.run(account, checkpoint)
        assert outcomes(checkpoint)[gone] == "changed"
        assert len(outcomes(checkpoint)) == 5


def test_a_search_that_lags_does_not_move_a_chat_twice(account: Sandbox) -> None:
    """An earlier try has moved the chat, and the search of this one still finds it."""
    chat = account.chats[2]["id"]
    moved = Result(chat, "assignee", LEAVER, 1002, "changed")
    stale = account.chat(chat)
    account.update_chat(chat, assignee=1002)
    client = client_of(account)
    search = client.search_chats_page

    def lagging(*arguments: Any, **options: Any) -> Any:
        page = search(*arguments, **options)
        if page.total and chat not in page.ids:
            page.records.append(stale)
            page.ids.append(chat)
        return page

    client.search_chats_page = lagging  # type: ignore[method-assign]
    checkpoint = Checkpoint(Results([moved]))
    # The search contradicts itself without end; what counts is what was written.
    with contextlib.suppress(HelpCrunchError):
        list(reassignment(checkpoint).run(client))
    assert chat not in {write.chat for write in account.writes()}


def test_a_sole_recipient_who_left_is_recognised_after_a_wait_for_the_limit(account: Sandbox) -> None:
    checkpoint = Checkpoint()
    # The response blames the chat, so it takes two of them, and a look, to blame the agent.
    account.add_fault(Fault("status", status=404, path=ASSIGNEE, nth=2, times=0))
    run = reassignment(checkpoint, recipients=(1002,)).run(client_of(account, 5))
    next(run)
    account.remove_agent(1002)
    with pytest.raises(HelpCrunchRateLimitError):
        list(run)
    refused = [result for result in checkpoint.results if result.outcome == "refused"]
    assert len(refused) == 2
    with pytest.raises(HelpCrunchRefusedError, match="All agents in to_agents have left"):
        list(reassignment(deferred(checkpoint), recipients=(1002,)).run(client_of(account)))
    assert len(account.requests(ASSIGNEE)) == 3, "no chat is tried that nobody can get"
