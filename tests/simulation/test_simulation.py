"""
The simulation: no run may end silently wrong, without an end, or with an error that is none of ours.

``make simulate N=…`` runs as many as one likes; a failure prints its seed, and ``make simulate SEED=…`` replays it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scenarios
import simulate
import world
from scenarios import LEAVER, TARGETS
from simulate import SCENARIOS

from airflow_provider_helpcrunch.chats import delivery, notes, reassignment
from airflow_provider_helpcrunch.chats.conditions import Conditions
from airflow_provider_helpcrunch.chats.eligibility import Eligibility
from airflow_provider_helpcrunch.chats.progress_store import ProgressStore
from airflow_provider_helpcrunch.chats.results import Results
from airflow_provider_helpcrunch.client import Filter, HelpCrunchClient
from airflow_provider_helpcrunch.customers import changes, upsert
from airflow_provider_helpcrunch.exceptions import HelpCrunchConnectionError, HelpCrunchError
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator
from airflow_provider_helpcrunch.operators.messages import SendMessageOperator

SECONDS = float(os.environ.get("SIMULATION_SECONDS", "2"))
"""For each scenario."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_run_is_right_or_loud(scenario: str) -> None:
    began, kinds = time.perf_counter(), {"right": 0, "loud": 0}
    seed = 0
    while time.perf_counter() - began < SECONDS or seed < 20:
        done = simulate.run(seed, scenario)
        assert done.kind not in simulate.FAILURES, (
            f"make simulate SEED={seed} SCENARIO={scenario}\n{done.trace}"
        )
        kinds[done.kind] += 1
        seed += 1
    assert kinds["right"] > 0.7 * seed


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_seed_replays(scenario: str) -> None:
    for seed in (1, 2):
        first = simulate.run(seed, scenario)
        assert first.journal
        assert simulate.run(seed, scenario) == first


def test_a_seed_replays_in_another_process() -> None:
    here = Path(__file__).parent
    code = (
        f"import sys; sys.path.insert(0, {str(here)!r})\n"
        "import simulate; print([simulate.run(seed).journal for seed in range(10)])"
    )
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here.parents[1],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str([simulate.run(seed).journal for seed in range(10)])


@pytest.mark.long
@pytest.mark.once
class TestPlantedBugs:
    """A simulation that finds nothing proves nothing, unless it finds what is put there for it."""

    @staticmethod
    def first_failure(scenario: str, words: str = "", runs: int = 60) -> simulate.Run:
        """Return the first failure that says these words, and see that it replays."""
        for seed in range(runs):
            done = simulate.run(seed, scenario)
            if done.kind in simulate.FAILURES and words in done.why:
                assert simulate.run(seed, scenario) == done
                return done
        pytest.fail(f"{runs} runs of {scenario} found nothing")

    def test_a_limiter_that_ignores_the_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(world.MemoryStore, "acquire", lambda _: 0)
        assert self.first_failure("limiter", "over the limit").kind == "silent"

    def test_a_limiter_that_forgets_requests_under_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The window counts from the moment a request is sent, and not from that of its answer."""
        monkeypatch.setattr(world, "PERIOD", 60.0)
        acquire = world.MemoryStore.acquire

        def early(store: Any) -> Any:
            slot = acquire(store)
            if isinstance(slot, int):
                store.release(slot)
            return slot

        monkeypatch.setattr(world.MemoryStore, "acquire", early)
        monkeypatch.setattr(world.RateLimiter, "permit", permit_without_release)
        assert self.first_failure("limiter", "over the limit").kind == "silent"

    def test_a_limiter_that_keeps_a_429_to_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(world.MemoryStore, "pause", lambda *_: None)
        assert self.first_failure("limiter", "after a 429").kind == "silent"

    def test_a_lister_that_stops_on_a_short_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def chats(client: HelpCrunchClient, filters: Any, *, page_size: int) -> Iterator[Any]:
            offset, rows = 0, page_size
            while rows == page_size:
                page = client.search_chats_page(filters, offset=offset, limit=page_size)
                yield from page.records
                rows = len(page.records)
                offset += rows

        monkeypatch.setattr(HelpCrunchClient, "iter_search_chats", chats)
        done = self.first_failure("search")
        assert done.kind == "silent"
        assert "missing" in done.why

    def test_a_lister_whose_pages_do_not_overlap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def chats(client: HelpCrunchClient, filters: Any, *, page_size: int) -> Iterator[Any]:
            offset, page = 0, None
            while page is None or page.records:
                page = client.search_chats_page(filters, offset=offset, limit=page_size)
                yield from page.records
                offset += len(page.records)

        monkeypatch.setattr(HelpCrunchClient, "iter_search_chats", chats)
        assert self.first_failure("search").kind == "silent"

    def test_a_reassignment_that_works_from_an_old_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def perform(operator: ReassignChatsOperator, context: Any) -> dict[str, Any]:
            sources = (
                operator.from_agents if isinstance(operator.from_agents, list) else [operator.from_agents]
            )
            with HelpCrunchHook() as hook:
                for source in sources:
                    chats = hook.client.search_chats([Filter("chats.assignee", "=", source or LEAVER)])
                    for chat in chats:
                        if chat["status"] not in ("closed", "empty"):
                            hook.client.update_chat_assignee(chat["id"], TARGETS[0])
            return {"chats": []}

        monkeypatch.setattr(ReassignChatsOperator, "perform", perform)
        done = self.first_failure("reassign")
        assert done.kind == "silent"

    @pytest.mark.parametrize("scenario", ["reassign", "plan"])
    def test_a_write_whose_failure_is_kept_quiet(
        self, scenario: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = HelpCrunchClient.update_chat_assignee

        def hopeful(client: HelpCrunchClient, chat_id: int, assignee: int | None) -> Any:
            try:
                return write(client, chat_id, assignee)
            except HelpCrunchError:
                return {"id": chat_id, "assignee": {"id": assignee}}

        monkeypatch.setattr(HelpCrunchClient, "update_chat_assignee", hopeful)
        monkeypatch.setattr(scenarios, "WRITES", ("ignore_write", "errors"))
        done = self.first_failure(scenario, runs=200)
        assert done.kind == "silent"

    def test_a_change_that_is_not_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forgets(_: Any, checkpoint: Any, *__: Any, **___: Any) -> Iterator[Any]:
            checkpoint.in_doubt.clear()
            return iter(())

        monkeypatch.setattr(reassignment, "settled", forgets)
        done = self.first_failure("reassign", "does not say so", runs=200)
        assert done.kind == "silent"

    def test_a_plan_whose_conditions_are_not_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Conditions, "broken_by", lambda *_: None)
        assert self.first_failure("approval", "was changed although").kind == "silent"

    @pytest.mark.parametrize("said", ["instead of at most", "no member of its department"])
    def test_a_plan_whose_rules_end_at_the_dry_run(self, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Eligibility, "why_not", lambda *_: None)
        monkeypatch.setattr(Eligibility, "_colleagues", lambda _, __, agents: list(agents))
        assert self.first_failure("approval", said, runs=200).kind == "silent"

    def test_a_plan_that_leaves_its_notes_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notes.Notes, "send", lambda *_: iter(()))
        assert self.first_failure("approval", "missing without a word").kind == "silent"

    def test_a_creation_that_is_repeated_without_a_lookup(self, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = HelpCrunchClient.create_customer

        def again(client: Any, fields: Any) -> Any:
            try:
                return honest(client, fields)
            except HelpCrunchConnectionError:
                return honest(client, fields)

        monkeypatch.setattr(HelpCrunchClient, "create_customer", again)
        assert self.first_failure("upsert", "created twice").kind == "silent"

    def test_a_change_of_a_customer_that_is_not_confirmed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(upsert, "fields_not_kept", lambda *_: changes.NotKept())
        assert self.first_failure("upsert", "has another lastSeen", runs=100).kind == "silent"

    def test_one_move_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def reach(results: Results, most: int | None, in_doubt: int = 0) -> bool:
            return most is not None and results.moved > most

        monkeypatch.setattr(Results, "reach", reach)
        assert self.first_failure("reassign", "instead of at most").kind == "silent"

    def test_an_agent_who_gets_one_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Eligibility, "_has_room", lambda *_: True)
        assert self.first_failure("shares", "instead of at most").kind == "silent"

    def test_a_department_that_is_not_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Eligibility, "_colleagues", lambda _, __, agents: list(agents))
        assert self.first_failure("shares", "no member of its department").kind == "silent"

    def test_a_note_that_is_sent_again_where_no_response_came(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notes, "was_not_sent", lambda *_, **__: True)
        assert self.first_failure("shares", "has 2 notes", runs=200).kind == "silent"

    def test_a_note_that_is_sent_again_after_a_worker_was_killed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ProgressStore, "held", lambda *_: [])
        assert self.first_failure("shares", "has 2 notes", runs=200).kind == "silent"

    def test_a_message_that_is_sent_blindly_by_a_retry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "_is_there", lambda *_: False)
        assert self.first_failure("message", "sent 2 times").kind == "silent"

    def test_a_message_of_which_nothing_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SendMessageOperator, "_kept", lambda *_: None)
        assert self.first_failure("message", "sent 2 times").kind == "silent"

    def test_a_note_that_is_missing_without_a_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notes.Notes, "send", lambda *_: iter(()))
        assert self.first_failure("shares", "missing without a word").kind == "silent"

    def test_a_chat_that_is_left_although_somebody_could_take_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        of = Eligibility.of
        monkeypatch.setattr(Eligibility, "of", lambda *given: of(*given)[1:])
        assert self.first_failure("shares", "could have taken it").kind == "silent"

    def test_a_chat_that_is_left_without_a_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        standing = Results.standing
        monkeypatch.setattr(
            Results, "standing", lambda all_: [each for each in standing(all_) if each.outcome != "left"]
        )
        assert self.first_failure("shares", "stayed with").kind == "silent"

    def test_a_call_that_never_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(HelpCrunchClient, "get_organization", lambda _: threading.Event().wait())
        assert self.first_failure("limiter").kind == "stuck"

    def test_a_call_that_asks_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(world, "MOST_REQUESTS", 300)
        ask = HelpCrunchClient.get_organization

        def again(client: HelpCrunchClient) -> Any:
            while True:
                ask(client)

        monkeypatch.setattr(HelpCrunchClient, "get_organization", again)
        assert self.first_failure("limiter").kind == "stuck"

    def test_an_error_that_is_none_of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(HelpCrunchClient, "iter_agents", lambda *_, **__: iter([{}]))
        done = self.first_failure("listing")
        assert (done.kind, done.why) == ("broken", "KeyError('id')")


def permit_without_release(limiter: Any, max_wait: float, cancelled: threading.Event) -> Any:
    """Stand in for a rate limiter's own permit: the response to a request changes nothing."""
    limiter.acquire(max_wait, cancelled)
    return contextlib.nullcontext()
