"""``ChatsSensor`` in process: what it finds, what a poke costs, by the account's journal, and how it defers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import airflow
import pytest
from in_process import answer_404_for_nothing, client_of

from airflow_provider_helpcrunch._airflow import BaseOperator, TaskDeferred
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchPaginationError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.shape import Shape
from airflow_provider_helpcrunch.sensors.chats import ChatsSensor
from airflow_provider_helpcrunch.triggers.chats import ChatsTrigger, failure_event

try:
    from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException
except ImportError:  # Airflow 2.11 to 3.1
    from airflow.exceptions import AirflowSensorTimeout, AirflowSkipException

pytestmark = pytest.mark.older

EVERYTHING = Filter("chats.createdAt", ">=", 0)


@pytest.fixture(autouse=True)
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests call ``execute`` themselves; ``test_safeguard.py`` runs the sensor as a real task."""
    guard = sys.modules[BaseOperator.__module__].ExecutorSafeguard  # type: ignore[attr-defined]
    monkeypatch.setattr(guard, "test_mode", True)


@pytest.fixture
def account_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sandbox]:
    """Let the connection lead to an account in process."""

    def make(**settings: Any) -> Sandbox:
        account = Sandbox(**{"agents": 5, "departments": 3, "chats": 0, "rate_limit": None, **settings})
        monkeypatch.setattr(HelpCrunchHook, "client_with", lambda *_: client_of(account))
        return account

    return make


def wait(**arguments: Any) -> Any:
    return ChatsSensor(task_id="wait", **{"timeout": 0, "poke_interval": 1, **arguments}).execute({})  # type: ignore[arg-type]


def found(**arguments: Any) -> list[int]:
    """Return the ids of all chats that match, by waiting for more than there are."""
    ids: list[int] = ChatsSensor(task_id="wait", at_least=1000, **arguments)._finder.find(
        HelpCrunchHook().client, datetime.now(UTC)
    )
    return ids


def ids(chats: list[dict[str, Any]]) -> list[int]:
    return [chat["id"] for chat in chats]


class TestFinds:
    def test_open_chats_unless_told_otherwise(self, account_of: Callable[..., Sandbox]) -> None:
        account = account_of()
        of = {status: ids(account.insert_chats(2, status=status)) for status in ("opened", "closed", "empty")}
        assert found() == of["opened"]
        assert found(statuses=["closed"]) == of["closed"]
        assert found(statuses="empty,closed") == [*of["closed"], *of["empty"]]
        assert found(closed_since=0) == of["closed"]
        assert found(filters=[{"field": "chats.status", "operator": "=", "value": "closed"}]) == of["closed"]
        assert found(filters=[{"field": "chats.assignee", "operator": "=", "value": 1001}]) == []

    def test_chats_of_nobody_of_an_agent_and_of_a_department(
        self, account_of: Callable[..., Sandbox]
    ) -> None:
        account = account_of()
        nobodys = ids(account.insert_chats(2, department=101))
        mine = ids(account.insert_chats(2, assignee=1001))
        account.insert_chats(1, status="closed")
        assert found(assignee="unassigned") == nobodys
        assert found(assignee=1001) == mine
        assert found(department="101") == nobodys
        assert found(assignee="unassigned", department=102) == []

    @pytest.mark.parametrize("nobody", [0, "0", {"id": 0, "name": ""}])
    def test_chats_of_nobody_where_that_is_an_agent_with_the_id_0(
        self, nobody: Any, account_of: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = Shape.chat

        def written(*given: Any) -> dict[str, Any]:
            chat = honest(*given)
            return {**chat, "assignee": chat["assignee"] or nobody}

        monkeypatch.setattr(Shape, "chat", written)
        account = account_of()
        nobodys, mine = ids(account.insert_chats(2)), ids(account.insert_chats(1, assignee=1001))
        assert found(assignee="unassigned") == nobodys
        assert found(assignee=1001) == mine

    def test_chats_that_match_one_of_two_filters(self, account_of: Callable[..., Sandbox]) -> None:
        account = account_of()
        mine = account.insert_chats(1, assignee=1001)[0]["id"]
        theirs = account.insert_chats(1, department=102)[0]["id"]
        account.insert_chats(1, department=102, status="closed")
        filters = [
            {"field": "chats.assignee", "operator": "=", "value": 1001},
            {"field": "chats.department", "operator": "=", "value": 102},
        ]
        assert found(filters=filters, comparison="or") == [mine, theirs]
        assert found(filters=filters, comparison="or", older_than=3600) == []

    @pytest.mark.parametrize(
        "conditions", [{}, {"assignee": 1001}, {"statuses": ["closed"]}, {"assignee": "unassigned"}]
    )
    @pytest.mark.parametrize("total", [1, 5, "exact"])
    def test_nothing_in_an_account_that_says_so_in_its_own_way(
        self,
        total: Any,
        conditions: dict[str, Any],
        account_of: Callable[..., Sandbox],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        account = account_of(total=total)
        if total == "exact":
            answer_404_for_nothing(monkeypatch)
        assert found(**conditions) == []
        mine = ids(account.insert_chats(1, assignee=1001, status="closed"))
        mine += ids(account.insert_chats(1, assignee=1001))
        nobodys = ids(account.insert_chats(1))
        assert found() == [mine[1], *nobodys]
        assert found(assignee=1001, statuses="closed,opened") == mine
        assert found(assignee="unassigned") == nobodys
        assert found(assignee=1002) == []

    def test_an_empty_page_under_a_true_total_is_loud(self, account_of: Callable[..., Sandbox]) -> None:
        account = account_of()
        account.insert_chats(3)
        account.add_fault(Fault("empty_page", path="/v1/chats/search", times=0))
        with pytest.raises(HelpCrunchPaginationError, match="is empty, although HelpCrunch reports 3 chats"):
            found()

    @pytest.mark.parametrize("given", [timedelta(minutes=15), 900, "900", 900.0])
    def test_chats_whose_customer_waits(self, given: Any, account_of: Callable[..., Sandbox]) -> None:
        account, now = account_of(), time.time()
        long, brief, answered, silent, closed = ids(account.insert_chats(5))
        for chat, asked, latest in ((long, 1000, 1000), (brief, 800, 800), (answered, 1000, 950)):
            account.update_chat(chat, lastCustomerMessageAt=now - asked, lastMessageAt=now - latest)
        account.update_chat(closed, lastCustomerMessageAt=now - 1000, lastMessageAt=now - 1000)
        account.update_chat(closed, status="closed")
        account.update_chat(silent, lastCustomerMessageAt=None, lastMessageAt=None)
        assert found(waiting_for=given) == [long]

    def test_chats_of_a_certain_age(self, account_of: Callable[..., Sandbox]) -> None:
        account = account_of(chats=12)  # one every five minutes until now
        old = {chat["id"] for chat in account.chats if float(chat["createdAt"]) <= time.time() - 1800}
        assert 4 < len(old) < 8
        asked = found(older_than=timedelta(minutes=30), statuses="new,opened,pending,onhold,closed,empty")
        assert set(asked) == {
            c["id"] for c in account.chats if c["id"] in old and c["status"] != "no communication"
        }


class TestCost:
    def test_one_request_for_enough_chats_however_many_more_there_are(
        self, account_of: Callable[..., Sandbox]
    ) -> None:
        account = account_of()
        account.insert_chats(300)
        assert len(wait(at_least=5)) == 100
        assert len(account.journal) == 1

    def test_closed_chats_cost_nothing(self, account_of: Callable[..., Sandbox]) -> None:
        account = account_of()
        account.insert_chats(500, status="closed")
        (chat,) = account.insert_chats(1)
        account.insert_chats(500, status="closed")
        assert wait(assignee="unassigned") == [chat["id"]]
        assert len(account.journal) == 1

    def test_as_many_pages_as_needed(self, account_of: Callable[..., Sandbox]) -> None:
        account = account_of()
        account.insert_chats(400)
        assert len(wait(at_least=150)) == 199  # pages overlap by one chat
        assert len(account.journal) == 2
        assert len(wait(at_least=150, created_since=0, statuses=["opened", "closed"])) == 199
        assert len(account.journal) == 4

    def test_no_chat_of_a_search_for_any_status_costs_one_request(
        self, account_of: Callable[..., Sandbox]
    ) -> None:
        account = account_of()
        with pytest.raises(AirflowSensorTimeout):
            wait(closed_since=0)
        assert len(account.journal) == 1

    def test_no_open_chat_is_believed_at_once_only_after_one_was_found(
        self, account_of: Callable[..., Sandbox]
    ) -> None:
        account = account_of()
        account.insert_chats(3, status="closed")
        finder = ChatsSensor(task_id="wait", department=101)._finder
        costs = []
        for chats in (0, 1, 0):
            ids(account.insert_chats(chats, department=101))
            before = len(account.journal)
            assert len(finder.find(HelpCrunchHook().client, datetime.now(UTC))) == chats
            costs.append(len(account.journal) - before)
            for chat in account.chats_of(None):
                account.update_chat(chat["id"], status="closed")
        assert costs == [4, 1, 1]

    def test_a_search_that_finds_nothing_by_mistake_is_found_out(
        self, account_of: Callable[..., Sandbox]
    ) -> None:
        account = account_of()
        account.add_fault(Fault("empty_page", path="/v1/chats/search", times=2))
        mine = ids(account.insert_chats(2))
        assert wait() == mine

    def test_a_search_that_sends_closed_chats_after_all_finds_the_open_ones(
        self, account_of: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account = account_of()
        account.insert_chats(3, status="closed")
        mine = ids(account.insert_chats(2))
        monkeypatch.setattr("airflow_provider_helpcrunch.chats.source_pages.NOT_CLOSED", EVERYTHING)
        finder = ChatsSensor(task_id="wait", at_least=2)._finder
        costs = []
        for distrust in (3600.0, 3600.0, -1.0):
            monkeypatch.setattr("airflow_provider_helpcrunch.chats.waiting.DISTRUST", distrust)
            before = len(account.journal)
            assert finder.find(HelpCrunchHook().client, datetime.now(UTC)) == mine
            costs.append(len(account.journal) - before)
        assert costs == [2, 1, 2]  # the search is not trusted for a while, then tried again


WRONG = {
    "at_least": [0, -1, 1001, "many", 1.5, True],
    "older_than": [0, -5, "15 minutes", True, 10**9, timedelta(0), float("nan")],
    "waiting_for": [0, -5, "15 minutes", True, 10**9, timedelta(0), float("nan")],
    "poke_interval": [0, 0.5],
    "deferrable": ["perhaps"],
    "patience": [0, "long"],
    "assignee": ["Ada", 0],
    "department": ["Billing", -1],
    "statuses": ["asleep", []],
    "created_since": ["yesterday"],
    "created_before": ["tomorrow"],
    "closed_since": ["yesterday"],
    "closed_before": ["tomorrow"],
    "filters": ["no json", [{"field": "chats.text", "operator": "=", "value": "a"}], {}],
    "comparison": ["XOR"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_argument_is_one_sentence_before_the_first_request(
    name: str, value: Any, account_of: Callable[..., Sandbox]
) -> None:
    account = account_of()
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        wait(**{name: value})
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert account.journal == []


def test_the_wrong_arguments_are_all_of_ours() -> None:
    assert set(ChatsSensor.template_fields) - {"helpcrunch_conn_id"} <= set(WRONG)


class TestDeferral:
    def test_pokes_once_then_leaves_the_worker(self, account_of: Callable[..., Sandbox]) -> None:
        account = account_of()
        account.insert_chats(2)
        with pytest.raises(TaskDeferred) as deferred:
            wait(at_least=3, deferrable=True, timeout=timedelta(hours=1), poke_interval=30, department=None)
        assert len(account.journal) == 1
        trigger = deferred.value.trigger
        assert isinstance(trigger, ChatsTrigger)
        assert trigger.poll_interval == 30
        assert deferred.value.timeout == timedelta(hours=1)
        assert deferred.value.method_name == "execute_complete"

    def test_does_not_defer_when_enough_chats_are_there(self, account_of: Callable[..., Sandbox]) -> None:
        mine = ids(account_of().insert_chats(2))
        assert wait(at_least=2, deferrable=True) == mine

    def test_returns_what_the_trigger_found(self) -> None:
        event = {"status": "success", "chats": [1, 2]}
        assert ChatsSensor(task_id="wait").execute_complete({}, event) == [1, 2]  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "error",
        [
            HelpCrunchAuthError(
                "The key is wrong.", status_code=401, method="POST", path="/chats", attempts=1
            ),
            HelpCrunchServerError("It is broken.", status_code=503, method="POST", path="/chats", attempts=6),
            HelpCrunchConfigurationError("There is no key."),
        ],
    )
    def test_an_error_keeps_its_class_and_its_facts(self, error: HelpCrunchError) -> None:
        with pytest.raises(type(error)) as caught:
            ChatsSensor(task_id="wait").execute_complete({}, failure_event(error))  # type: ignore[arg-type]
        assert str(caught.value) == str(error)
        assert vars(caught.value).get("status_code") == vars(error).get("status_code")

    def test_no_event_is_an_error(self) -> None:
        with pytest.raises(HelpCrunchError, match="ended without an event"):
            ChatsSensor(task_id="wait").execute_complete({}, None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("soft", [True, False])
    def test_soft_fail(self, soft: bool) -> None:
        sensor = ChatsSensor(task_id="wait", soft_fail=soft)
        event = failure_event(
            HelpCrunchServerError("Broken.", status_code=503, method="POST", path="/chats", attempts=6)
        )
        with pytest.raises(AirflowSkipException if soft else HelpCrunchServerError):
            sensor.resume_execution("execute_complete", {"event": event}, {})  # type: ignore[arg-type]
        # Airflow 3.0 forgets soft_fail where a deferred sensor times out.
        softens = soft and not airflow.__version__.startswith("3.0.")
        with pytest.raises(AirflowSkipException if softens else Exception, match="soft_fail|[Tt]imeout"):
            sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})  # type: ignore[arg-type]


def test_poke_mode_times_out_softly(account_of: Callable[..., Sandbox]) -> None:
    account_of()
    with pytest.raises(AirflowSkipException):
        wait(soft_fail=True)
