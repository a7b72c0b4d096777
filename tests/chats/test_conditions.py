"""Plans with conditions: what was approved is what happens, or nothing. Judged by the account and its journal."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from in_process import Killed, client_of

from airflow_provider_helpcrunch.assignment import round_robin
from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
from airflow_provider_helpcrunch.chats.plan import Plan
from airflow_provider_helpcrunch.chats.plan_run import PlanRun
from airflow_provider_helpcrunch.chats.reassignment import Reassignment, ReassignmentRun
from airflow_provider_helpcrunch.chats.results import Report, Result, Results
from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchRateLimitError
from airflow_provider_helpcrunch.sandbox import Sandbox

LEAVER, COLLEAGUE, TARGETS = 1001, 1005, (1002, 1003)
BILLING = Sandbox().departments[1]["id"]


@pytest.fixture
def account() -> Sandbox:
    sandbox = Sandbox(agents=6, departments=3, chats=0)
    sandbox.insert_chats(1, assignee=LEAVER)
    return sandbox


def dry_run(account: Sandbox) -> list[dict[str, Any]]:
    """Return the rows of a dry run over the leaver's chats."""
    work = Reassignment((LEAVER,), TARGETS, None, None, "round_robin", None, dry_run=True)
    run = ReassignmentRun(work, round_robin, Checkpoint())
    return [result._asdict() for result in run.run(client_of(account))]


def apply(account: Sandbox, entries: list[Any], checkpoint: Checkpoint | None = None) -> dict[int, Result]:
    """Apply a plan; return the result of each chat whose plan is one change."""
    checkpoint = checkpoint or Checkpoint()
    for _ in PlanRun(Plan.read(entries), checkpoint).run(client_of(account)):
        pass
    return {result.id: result for result in Report(checkpoint.results.standing())}


def written(account: Sandbox) -> Counter[Any]:
    return Counter(write.chat for write in account.writes())


def retried(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint of the next try where a store has kept the results."""
    results = Results(checkpoint.results)
    return Checkpoint(results, in_doubt=results.failed_before())


class TestApproval:
    """A thousand chats are planned, and people work on every fifth while the approval waits."""

    @pytest.fixture
    def large(self) -> Sandbox:
        account = Sandbox(agents=6, departments=3, chats=0, rate_limit=100_000)
        account.insert_chats(1000, assignee=LEAVER)
        return account

    def disturb(self, account: Sandbox, rows: list[dict[str, Any]]) -> set[int]:
        """Let people take, close and move every fifth chat."""
        disturbed = [row["id"] for row in rows[::5]]
        for number, chat in enumerate(disturbed):
            changes: list[dict[str, Any]] = [
                {"assignee": COLLEAGUE},
                {"status": "closed"},
                {"department": BILLING if account.chat(chat)["department"] is None else None},
            ]
            account.update_chat(chat, **changes[number % 3])
        return set(disturbed)

    def kill(
        self, account: Sandbox, rows: list[Any], checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Apply the plan with a worker that dies when it has read 301 chats."""
        with monkeypatch.context() as patch:
            patch.setattr(PlanRun, "_obstacle", dies_after(300, PlanRun._obstacle))
            with pytest.raises(Killed):
                apply(account, rows, checkpoint)

    def test_what_people_touched_is_left_alone_and_listed(self, large: Sandbox) -> None:
        rows = dry_run(large)
        disturbed = self.disturb(large, rows)
        before, sent = {chat["id"]: chat for chat in large.chats}, len(large.journal)
        results = apply(large, rows)
        assert {chat for chat, result in results.items() if result.outcome == "skipped"} == disturbed
        assert written(large) == Counter(before.keys() - disturbed)
        assert all(large.chat(chat) == before[chat] for chat in disturbed)
        assert len(large.journal) - sent <= 2 * len(rows)
        assert all(results[chat].error for chat in disturbed)

    def test_a_killed_worker_and_a_retry_without_a_store(
        self, large: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = dry_run(large)
        disturbed = self.disturb(large, rows)
        self.kill(large, rows, Checkpoint(), monkeypatch)
        results = apply(large, rows)
        assert written(large) == Counter({row["id"] for row in rows} - disturbed)
        assert {chat for chat, result in results.items() if result.outcome == "skipped"} == disturbed

    def test_a_killed_worker_and_a_retry_with_a_store(
        self, large: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows, checkpoint = dry_run(large), Checkpoint()
        disturbed = self.disturb(large, rows)
        self.kill(large, rows, checkpoint, monkeypatch)
        sent = len(large.journal)
        results = apply(large, rows, retried(checkpoint))
        assert written(large) == Counter({row["id"] for row in rows} - disturbed)
        assert {chat for chat, result in results.items() if result.outcome == "skipped"} == disturbed
        assert len(large.journal) - sent <= 2 * 700 + 2


def dies_after(calls: int, works: Any) -> Any:
    left = iter(range(calls))

    def works_or_dies(*arguments: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return works(*arguments)

    return works_or_dies


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"assignee": COLLEAGUE}, "it is assigned to {name} (1005) now, not to {leaver}"),
        ({"assignee": None}, "it is assigned to nobody now, not to {leaver}"),
        ({"status": "closed"}, "its status is closed now, not opened"),
        ({"department": BILLING}, "it is in {department} now, not in no department"),
        (
            {"assignee": None, "status": "on hold"},
            "it is assigned to nobody now, not to {leaver}; its status is onhold now, not opened",
        ),
    ],
)
def test_the_reason_says_what_the_chat_has_now(account: Sandbox, change: dict[str, Any], reason: str) -> None:
    chat = account.chats[0]["id"]
    account.update_chat(chat, status="opened", department=None)
    rows = dry_run(account)
    account.update_chat(chat, **change)
    result = apply(account, rows)[chat]
    names = {agent["id"]: agent["name"] for agent in account.agents}
    departments = {each["id"]: each["name"] for each in account.departments}
    said = reason.format(
        name=names[COLLEAGUE],
        leaver=f"{names[LEAVER]} (1001)",
        department=f"{departments[BILLING]} ({BILLING})",
    )
    now = account.chat(chat)
    assert result == Result(
        **{"id": chat, "field": "assignee", "before": now["assignee"] and now["assignee"]["id"]},
        **{"after": 1002, "outcome": "skipped", "error": said},
        **{"status": "onhold" if now["status"] == "on hold" else now["status"]},
        department=now["department"] and now["department"]["id"],
    )
    assert account.writes() == []


def test_a_chat_from_a_department_to_none(account: Sandbox) -> None:
    chat = account.chats[0]["id"]
    account.update_chat(chat, department=BILLING)
    rows = dry_run(account)
    account.update_chat(chat, department=None)
    assert apply(account, rows)[chat].error == f"it is in no department now, not in {BILLING}"


def test_any_of_the_conditions_will_do(account: Sandbox) -> None:
    chat = account.chats[0]["id"]
    account.update_chat(chat, status="pending")
    entry = {"id": chat, "assignee": 1002, "before": {"assignee": LEAVER}}
    assert apply(account, [entry])[chat].outcome == "changed"
    again = {"id": chat, "assignee": None, "before": {"status": "opened"}}
    assert apply(account, [again])[chat].outcome == "skipped"
    assert apply(account, [{**again, "before": {}}])[chat].outcome == "changed"


def test_nobody_must_have_it(account: Sandbox) -> None:
    chat = account.chats[0]["id"]
    entry = {"id": chat, "assignee": 1002, "before": {"assignee": "nobody"}}
    assert apply(account, [entry])[chat].outcome == "skipped"
    account.update_chat(chat, assignee=None)
    assert apply(account, [entry])[chat].outcome == "changed"


def test_a_chat_that_has_the_new_value_already_is_unchanged_whatever_it_had(account: Sandbox) -> None:
    chat = account.chats[0]["id"]
    rows = dry_run(account)
    account.update_chat(chat, assignee=1002)
    assert apply(account, rows)[chat].outcome == "unchanged"
    assert account.writes() == []


def test_an_entry_half_made_by_a_killed_try_is_completed(account: Sandbox) -> None:
    chat = account.chats[0]["id"]
    account.update_chat(chat, status="opened")
    entry = {
        "id": chat,
        "assignee": 1002,
        "status": "pending",
        "before": {"assignee": LEAVER, "status": "opened"},
    }
    account.update_chat(chat, assignee=1002)
    apply(account, [entry])
    assert [write.path for write in account.writes()] == ["/v1/chats/status"]
    assert account.chat(chat)["status"] == "pending"


def test_what_a_change_brings_with_it_is_put_right_by_the_next(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules of a department may assign a chat that comes to it."""
    chat = account.chats[0]["id"]
    real = HelpCrunchClient.update_chat_department

    def with_a_rule(client: HelpCrunchClient, number: int, department: int) -> Any:
        real(client, number, department)
        account.update_chat(number, assignee=COLLEAGUE)
        return client.get_chat(number)

    monkeypatch.setattr(HelpCrunchClient, "update_chat_department", with_a_rule)
    entry = {"id": chat, "department": BILLING, "assignee": LEAVER, "before": {"assignee": LEAVER}}
    results = apply(account, [entry])
    assert account.chat(chat)["assignee"]["id"] == LEAVER
    assert (results[chat].outcome, results[chat].before) == ("changed", COLLEAGUE)


def test_a_dry_run_over_chats_in_a_status_that_nobody_knows(account: Sandbox) -> None:
    chat, status = account.chats[0]["id"], "awaiting a call"
    (row,) = dry_run(account)
    assert (
        apply(account, [{**row, "status": status}])[chat].error == f"its status is opened now, not {status}"
    )
    with pytest.raises(HelpCrunchConfigurationError, match="is not a status of a chat"):
        apply(account, [{"id": chat, "assignee": 1002, "before": {"status": status}}])


@pytest.mark.parametrize("status", [None, ""])
def test_a_dry_run_over_chats_without_a_status_is_a_plan(
    account: Sandbox, status: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty cell is somebody's deletion, so what HelpCrunch leaves empty must look different."""
    chat, real = account.chats[0]["id"], HelpCrunchClient.search_chats_page

    def without_status(*arguments: Any, **named: Any) -> Any:
        page = real(*arguments, **named)
        for record in page.records:
            record["status"] = status
        return page

    with monkeypatch.context() as patch:
        patch.setattr(HelpCrunchClient, "search_chats_page", without_status)
        (row,) = dry_run(account)
    assert row["status"] == "?"
    assert apply(account, [row])[chat].outcome == "changed"


def test_all_changes_of_a_chat_are_left_where_one_condition_is_broken(account: Sandbox) -> None:
    chat = account.chats[0]["id"]
    account.update_chat(chat, status="closed")
    checkpoint = Checkpoint()
    entry = {"id": chat, "assignee": 1002, "department": BILLING, "before": {"status": "opened"}}
    apply(account, [entry], checkpoint)
    assert [result.outcome for result in checkpoint.results] == ["skipped", "skipped"]
    assert account.writes() == []


def test_a_chat_that_is_gone_is_refused(account: Sandbox) -> None:
    rows = dry_run(account)
    client_of(account).delete_customer(account.chat(rows[0]["id"])["customer"]["id"])
    assert [result.outcome for result in apply(account, rows).values()] == ["refused"]


def test_the_chat_is_read_again_after_a_wait_between_reading_and_changing(account: Sandbox) -> None:
    chat, checkpoint = account.chats[0]["id"], Checkpoint()
    rows = dry_run(account)
    run = PlanRun(Plan.read(rows), checkpoint)
    with pytest.raises(HelpCrunchRateLimitError):
        list(run.run(client_of(account, 2)))  # the agents, the chat, and no permit for the change
    account.update_chat(chat, assignee=COLLEAGUE)
    assert [result.outcome for result in run.run(client_of(account))] == ["skipped"]
    assert account.writes() == []


def test_only_chats_with_conditions_are_read(account: Sandbox) -> None:
    account.insert_chats(1, assignee=LEAVER)
    first, second = (chat["id"] for chat in account.chats)
    apply(
        account,
        [{"id": first, "assignee": 1002, "before": {"assignee": LEAVER}}, {"id": second, "assignee": 1002}],
    )
    reads = [request.path for request in account.journal if request.path.startswith("/v1/chats/44")]
    assert reads == [f"/v1/chats/{first}"]


def test_a_plan_with_other_conditions_is_another_plan() -> None:
    plain = {"id": 1, "assignee": 2}
    plans = [[plain], [{**plain, "before": {"assignee": 1}}], [{**plain, "before": {"assignee": None}}]]
    assert len({Plan.read(plan).fingerprint for plan in plans}) == 3


def test_results_of_a_plan_survive_a_deferral(account: Sandbox) -> None:
    rows = dry_run(account)
    account.update_chat(rows[0]["id"], status="closed")
    plan, checkpoint = Plan.read(rows), Checkpoint()
    list(PlanRun(plan, checkpoint).run(client_of(account)))
    again = Checkpoint.from_json(checkpoint.to_json(plan.columns), plan.from_columns)
    assert list(again.results) == list(checkpoint.results)
