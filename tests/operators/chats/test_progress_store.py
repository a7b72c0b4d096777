"""Progress that a task keeps in Airflow's ``task_state_store``, and how a retry uses it."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from in_process import Killed
from stores import MortalStore
from task_context import Store

from airflow_provider_helpcrunch.chats.progress_store import ProgressStore
from airflow_provider_helpcrunch.chats.results import Result, Results
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchError,
    HelpCrunchRefusedError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]

LEAVER = 1001
WRITE = "/v1/chats/assignee"


class FatalStore(MortalStore):
    """Loses its worker when a note is to be stored that is in its chat."""

    def __init__(self) -> None:
        super().__init__(lambda: self.is_dead)
        self.is_fatal, self.is_dead = True, False

    def set(self, key: str, value: Any, **named: Any) -> None:
        if self.is_fatal and not self.is_dead and isinstance(value, list) and "noted" in value[-1]:
            self.is_dead = True
            raise Killed
        super().set(key, value, **named)


def interrupt(server: Sandbox, after: int) -> None:
    """Let the key be refused after this many writes."""
    server.add_fault(Fault("status", status=401, path=WRITE, nth=after + 1, times=0))


@pytest.mark.parametrize("after", [1, 100, 101])
def test_a_new_try_goes_on_with_the_report_and_the_turns(
    after: int, account: StartAccount, reassign: Reassign
) -> None:
    server, store = account(*["opened"] * 230), Store()
    interrupt(server, after)
    with pytest.raises(HelpCrunchAuthError):
        reassign({"task_state_store": store})
    server.clear_faults()
    result = reassign({"task_state_store": store})
    assert [chat["id"] for chat in result["chats"]] == [write.chat for write in server.writes()]
    assert [chat["after"] for chat in result["chats"]] == ([1002, 1003, 1004] * 77)[:230]
    assert result["changed"] == 230
    left = 230 - after
    assert result["requests"] == left + 1 + math.ceil(left / 100) + 1
    assert store.kept == {}


def test_without_a_store_a_new_try_starts_over(account: StartAccount, reassign: Reassign) -> None:
    server = account(*["opened"] * 8)
    interrupt(server, 4)
    with pytest.raises(HelpCrunchAuthError):
        reassign()
    server.clear_faults()
    result = reassign()
    assert result["changed"] == len(result["chats"]) == 4
    assert len(server.writes()) == 8


def test_max_chats_counts_all_tries(account: StartAccount, reassign: Reassign) -> None:
    server, store = account(*["opened"] * 50), Store()
    interrupt(server, 20)
    with pytest.raises(HelpCrunchAuthError):
        reassign({"task_state_store": store}, max_chats=30)
    server.clear_faults()
    assert reassign({"task_state_store": store}, max_chats=30)["changed"] == 30
    assert len(server.writes()) == 30


def test_what_was_refused_is_tried_again(account: StartAccount, reassign: Reassign) -> None:
    server, store = account(*["opened"] * 5), Store()
    server.add_fault(Fault("status", status=404, chat=server.chats[2]["id"]))
    with pytest.raises(HelpCrunchRefusedError):
        reassign({"task_state_store": store})
    assert store.kept
    result = reassign({"task_state_store": store})
    assert (result["changed"], result["refused"]) == (5, 0)
    assert store.kept == {}


def test_the_same_task_may_run_again_after_a_success(account: StartAccount, reassign: Reassign) -> None:
    server, store = account(*["opened"] * 3), Store()
    reassign({"task_state_store": store})
    server.insert_chats(1, assignee=LEAVER)
    assert reassign({"task_state_store": store})["changed"] == 1


@pytest.mark.parametrize("other", [{"to_agents": [1002, 1003]}, {"max_chats": 5}, {"statuses": ["opened"]}])
def test_notes_about_another_order_are_not_used(
    other: dict[str, Any], account: StartAccount, reassign: Reassign
) -> None:
    server, store = account(*["opened"] * 9), Store()
    interrupt(server, 4)
    with pytest.raises(HelpCrunchAuthError):
        reassign({"task_state_store": store})
    server.clear_faults()
    result = reassign({"task_state_store": store}, **other)
    assert result["changed"] == len(result["chats"]) == 5
    assert result["chats"][0]["after"] == 1002


def test_a_dry_run_notes_nothing(account: StartAccount, reassign: Reassign) -> None:
    account(*["opened"] * 3)
    store = Store("get", "set", "delete")
    assert reassign({"task_state_store": store}, dry_run=True)["planned"] == 3


@pytest.mark.parametrize("broken", ["get", "set", "delete"])
def test_a_store_that_fails_does_not_fail_the_task(
    broken: str, account: StartAccount, reassign: Reassign, client_log: list[str]
) -> None:
    server = account(*["opened"] * 120)
    result = reassign({"task_state_store": Store(broken)})
    assert result["changed"] == len(server.writes()) == 120
    assert len([line for line in client_log if "state store" in line]) == 1


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 350])
def test_is_read_as_it_was_written(count: int) -> None:
    store = Store()
    progress, results = ProgressStore(store, "work"), Results()
    assert progress.load() == []
    for number in range(count):
        results.add(Result(number, "assignee", LEAVER, 1002, "changed" if number % 7 else "refused", None))
        progress.save(results)
    chunks = [kept for key, kept in store.kept.items() if key != "helpcrunch_work"]
    assert Counter(len(json.loads(chunk)) for chunk in chunks).keys() <= {100, count % 100}
    again = ProgressStore(store, "work")
    assert again.load() == list(results)
    again.clear(results)
    assert store.kept == {}


def test_a_note_stays_in_doubt_while_retries_are_killed(account: StartAccount, reassign: Reassign) -> None:
    server, store = account(*["opened"] * 3), FatalStore()
    # The first chat is moved, but no response says so: each retry looks at it before it looks for the note.
    server.add_fault(Fault("reset", path=WRITE, chat=server.chats[0]["id"], times=0))
    for _ in range(2):
        store.is_dead = False
        with pytest.raises(Killed):
            reassign({"task_state_store": store}, note="Handed over.")
        server.clear_faults()
    store.is_fatal = store.is_dead = False
    result = reassign({"task_state_store": store}, note="Handed over.")
    assert (result["changed"], result["notes"]) == (3, 3)
    sent = Counter(request.chat for request in server.requests("/v1/messages"))
    assert sent == {chat["id"]: 1 for chat in server.chats}


@pytest.mark.parametrize("error", [EOFError, BrokenPipeError, ConnectionResetError])
def test_a_task_that_nobody_supervises_any_more_stops(
    error: type[Exception], account: StartAccount, reassign: Reassign
) -> None:
    class Gone(Store):
        def set(self, key: str, value: Any, **_: Any) -> None:
            raise error

    server = account(*["opened"] * 20)
    with pytest.raises(HelpCrunchError, match="no longer responds to this task"):
        reassign({"task_state_store": Gone()})
    assert server.writes() == []


class FallingStore(Store):
    """Loses its worker at one of the deletions."""

    left = 1_000

    def delete(self, key: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed
        super().delete(key)


@pytest.mark.parametrize(("deleted", "left"), [(0, 350), (1, 0), (2, 0), (4, 0), (5, 0), (6, 0)])
@pytest.mark.parametrize("is_done", [True, False])
def test_what_was_deleted_in_part_is_forgotten(is_done: bool, deleted: int, left: int) -> None:
    """The worker is killed when the task is done, or when other work begins."""
    store, results = FallingStore(), Results()
    progress = ProgressStore(store, "work")
    progress.load()
    for number in range(350):
        results.add(Result(number, "assignee", LEAVER, 1002, "changed", None))
    progress.save(results)
    progress.hold([Result(350, "assignee", LEAVER, 1002, "changed", None)])
    store.left = deleted
    with contextlib.suppress(Killed):
        progress.clear(results) if is_done else ProgressStore(store, "other").load()
    store.left = 1_000
    assert ProgressStore(store, "work").load() == results[:left]
    assert ProgressStore(store, "other").load() == []
    assert store.kept == {"helpcrunch_work": '"other"'}
