"""``UpsertCustomersOperator`` against a sandbox over HTTP."""

from __future__ import annotations

import functools
import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from airflow_names import DAG, OutletEvents
from hand_time import HandTime
from task_context import Instance, Store

from airflow_provider_helpcrunch._airflow import Asset, TaskDeferred
from airflow_provider_helpcrunch.client import RetryPolicy
from airflow_provider_helpcrunch.customers import progress_store
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchPartialError,
    HelpCrunchRateLimitError,
    HelpCrunchRefusedError,
    HelpCrunchServerError,
    HelpCrunchStorageError,
)
from airflow_provider_helpcrunch.hooks import helpcrunch
from airflow_provider_helpcrunch.operators.customers import ListCustomersOperator
from airflow_provider_helpcrunch.operators.upsert import UpsertCustomersOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.storage import read_records

pytestmark = pytest.mark.older

StartSandbox = Callable[..., Sandbox]
SetConnection = Callable[..., None]
TaskLog = Callable[[Any], list[str]]

ADA = {"userId": "u-1", "name": "Ada"}
BO = {"userId": "u-2", "name": "Bo"}
REFUSED = {"userId": "u-3", "notes": "secret " * 50}
COUNTS = {"created": 0, "updated": 0, "unchanged": 0, "planned": 0, "refused": 0, "failed": 0}
NONE: dict[str, Any] = {**COUNTS, "not_kept": 0, "fields_not_kept": []}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = functools.partial(RetryPolicy, first_pause=0.01, longest_pause=0.02)
    monkeypatch.setattr(helpcrunch, "RetryPolicy", quick)


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=2, chats=10)
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")
    return server


def task(customers: Any = (ADA, BO), **arguments: Any) -> UpsertCustomersOperator:
    return UpsertCustomersOperator(task_id="upsert", customers=customers, **arguments)


def upsert(customers: Any = (ADA, BO), context: Any = None, **arguments: Any) -> dict[str, Any]:
    return task(customers, **arguments).execute(context or {})


def writes(server: Sandbox) -> list[Any]:
    return [request for request in server.journal if request.applied]


def by_user(server: Sandbox) -> dict[str, Any]:
    return {each["userId"]: each for each in server.customers}


class TestResult:
    def test_counts_and_requests(self, server: Sandbox) -> None:
        assert upsert() == {**NONE, "created": 2, "requests": 4}
        assert upsert([{**ADA, "name": "Adele"}, BO]) == {**NONE, "updated": 1, "unchanged": 1, "requests": 3}
        assert len(server.journal) == 7

    def test_what_helpcrunch_does_not_keep(self, server: Sandbox, task_log: TaskLog) -> None:
        upsert()
        work = task([{**ADA, "city": "Lviv"}, {**BO, "name": "Bob"}])
        lines = task_log(work)
        kept = {"updated": 1, "unchanged": 1, "requests": 4}
        assert work.execute({}) == {**NONE, **kept, "not_kept": 1, "fields_not_kept": ["city"]}
        number = next(each["id"] for each in server.customers if each["userId"] == "u-1")
        assert f"Row 1: HelpCrunch accepted city of customer {number}, but shows another value." in lines
        assert "Customers: 1 updated, 1 unchanged; HelpCrunch did not keep city in 1 row; 4 requests" in lines
        assert "Lviv" not in "".join(lines)

    @pytest.mark.parametrize("nothing", [[], "[]", ()])
    def test_nothing_to_write_is_no_error(self, nothing: Any, server: Sandbox) -> None:
        assert upsert(nothing) == {**NONE, "requests": 0}
        assert server.journal == []

    def test_tags_for_all(self, server: Sandbox) -> None:
        upsert([{**ADA, "tags": ["vip"]}, BO], add_tags="synced, new")
        tags = {each["userId"]: [tag["name"] for tag in each["tags"]] for each in server.customers}
        assert (tags["u-1"], tags["u-2"]) == (["vip", "new", "synced"], ["new", "synced"])
        assert upsert([ADA, BO], remove_tags=["VIP", "new"])["updated"] == 2
        tags = {each["userId"]: [tag["name"] for tag in each["tags"]] for each in server.customers}
        assert (tags["u-1"], tags["u-2"]) == (["synced"], ["synced"])

    @pytest.mark.parametrize("native", [True, False])
    def test_templates(self, *, native: bool, server: Sandbox, tmp_path: Path) -> None:
        with DAG("dag", schedule=None, render_template_as_native_obj=native):
            operator = task(
                "{{ params.customers | tojson }}",
                key="{{ params.key }}",
                add_tags="{{ params.tags | tojson }}",
                create_missing="{{ params.yes }}",
                rejects_path="{{ params.path }}",
                dry_run="{{ params.no }}",
            )
        params = {
            "customers": [ADA, BO],
            "key": "userId",
            "tags": ["vip"],
            "yes": True,
            "no": False,
            "path": str(tmp_path / "rejects.csv"),
        }
        operator.render_template_fields({"params": params})  # type: ignore[typeddict-item]
        assert operator.execute({})["created"] == 2  # type: ignore[arg-type]

    def test_values_that_python_would_read_as_numbers(self, server: Sandbox) -> None:
        row = {"userId": "1_000", "phone": "+380441234567", "name": "Ada", "company": "{{ params.company }}"}
        with DAG("dag", schedule=None, render_template_as_native_obj=True):
            operator = task([row])
        operator.render_template_fields({"params": {"company": "Maier & Sons"}})  # type: ignore[typeddict-item]
        assert operator.execute({})["created"] == 1  # type: ignore[arg-type]
        created = server.customers[-1]
        assert {name: created[name] for name in row} == {**row, "company": "Maier & Sons"}

    @pytest.mark.parametrize("ending", ["jsonl", "csv"])
    def test_keys_that_a_database_gives_as_uuids(self, ending: str, server: Sandbox, tmp_path: Path) -> None:
        good, bad = UUID(int=7), UUID(int=8)
        rows = [{"userId": good, "name": "Ada"}, {"userId": bad, "name": ["no text"]}]
        path = str(tmp_path / f"rejects.{ending}")
        with pytest.raises(HelpCrunchRefusedError):
            task(rows, rejects_path=path).execute({})
        assert server.customers[-1]["userId"] == str(good)
        assert [row["userId"] for row in read_records(path)] == [str(bad)]

    def test_the_event_of_an_outlet_has_the_result(self, server: Sandbox) -> None:
        asset = Asset("x-helpcrunch://customers")
        context = {"outlet_events": OutletEvents([(asset, SimpleNamespace(extra={}))])}
        result = upsert(context=context, outlets=[asset])
        assert context["outlet_events"][asset].extra == result


class TestDryRun:
    def test_it_writes_nothing_and_says_what_it_would(self, server: Sandbox, task_log: TaskLog) -> None:
        upsert([ADA])
        number = next(each["id"] for each in server.customers if each["userId"] == "u-1")
        operator = task(
            [{**ADA, "name": "Adele"}, BO, ADA | {"userId": None}], dry_run=True, on_error="report"
        )
        operator.outlets = [Asset("x-helpcrunch://customers")]
        lines = task_log(operator)
        result = operator.execute({})  # type: ignore[arg-type]
        assert result == {**NONE, "planned": 2, "refused": 1, "requests": 2}
        assert lines == [
            "Row 3 was refused: it has no userId, by which its customer would be found",
            "::group::Dry run of 2 rows",
            "Dry run of 2 rows:\n"
            f"Row 1 would set name of customer {number}\n"
            "Row 2 would set name, userId of a new customer",
            "::endgroup::",
            "Customers: 2 planned, 1 refused; 2 requests",
        ]
        assert len(writes(server)) == 1
        assert operator.outlets == []


class TestRejects:
    @pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "json.gz"])
    def test_they_are_in_a_file_and_the_task_fails(
        self, suffix: str, server: Sandbox, tmp_path: Path
    ) -> None:
        path, instance = str(tmp_path / f"rejects.{suffix}"), Instance()
        with pytest.raises(HelpCrunchRefusedError) as caught:
            upsert([ADA, REFUSED, BO], {"ti": instance}, rejects_path=path)
        assert str(caught.value) == "1 row of customers could not be applied: 2. The log says why."
        result = instance.pushed["return_value"]
        assert (result["created"], result["refused"], result["rejects"]["records"]) == (2, 1, 1)
        rows = list(read_records(result["rejects"]))
        assert [row["userId"] for row in rows] == ["u-3"]
        assert "notes: This value is too long" in rows[0]["error"]
        mended = [{**row, "notes": "short"} for row in rows]
        assert upsert(mended)["created"] == 1

    def test_several_outputs_are_pushed_one_by_one_too(self, server: Sandbox) -> None:
        instance = Instance()
        with pytest.raises(HelpCrunchRefusedError):
            upsert([ADA, REFUSED, BO], {"ti": instance}, multiple_outputs=True)
        result = instance.pushed.pop("return_value")
        assert instance.pushed == result
        assert result["refused"] == 1

    def test_one_that_failed_is_worth_a_retry(self, server: Sandbox) -> None:
        upsert()
        number = next(each["id"] for each in server.customers if each["userId"] == "u-1")
        server.add_fault(Fault("status", status=500, path=f"/v1/customers/{number}", times=0))
        with pytest.raises(HelpCrunchPartialError) as caught:
            upsert([{**ADA, "name": "Adele"}, {**BO, "name": "Bob"}, REFUSED])
        assert not isinstance(caught.value, HelpCrunchRefusedError)
        assert str(caught.value).startswith("2 rows of customers could not be applied: 1, 3.")

    def test_report_succeeds(self, server: Sandbox) -> None:
        assert upsert([REFUSED, ADA], on_error="report") == {
            **NONE,
            "created": 1,
            "refused": 1,
            "requests": 4,
        }

    def test_fail_fast_stops_at_the_first(self, server: Sandbox) -> None:
        with pytest.raises(HelpCrunchRefusedError, match="HelpCrunch answered 400 .*notes"):
            upsert([REFUSED, ADA], on_error="fail_fast")
        with pytest.raises(HelpCrunchRefusedError, match="Row 1 was refused: it has no userId"):
            upsert([{"name": "Ada"}, ADA], on_error="fail_fast")
        assert writes(server) == []

    def test_a_file_that_is_left_untouched_by_a_run_that_stops(self, server: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "rejects.jsonl"
        path.write_text("those of yesterday")
        server.add_fault(Fault("status", status=500, times=0))
        with pytest.raises(HelpCrunchServerError):
            upsert([{"userId": f"new-{number}"} for number in range(5)], rejects_path=str(path))
        assert path.read_text() == "those of yesterday"


def test_the_log_names_rows_and_ids_alone(
    sandbox: StartSandbox, connection: SetConnection, task_log: TaskLog, caplog: pytest.LogCaptureFixture
) -> None:
    server = sandbox(agents=2, chats=10, canary="secret")
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")
    caplog.set_level(logging.DEBUG)
    known = next(each for each in server.customers if each["userId"])
    server.add_fault(Fault("status", status=500, path=f"/v1/customers/{known['id']}"))
    rows = [
        {**known, "name": "secret name", "notes": "secret note"},
        {**REFUSED, "email": "secret@mail.example"},
        {"userId": "secret", "blocked": "secret"},
        {"userId": "secret-2", "customData": {"secret": "secret"}},
    ]
    operator = task(rows)
    lines = task_log(operator)
    with pytest.raises(HelpCrunchPartialError) as caught:
        operator.execute({})  # type: ignore[arg-type]
    assert "secret" not in "\n".join([*lines, caplog.text, str(caught.value)]).replace("sandbox-key", "")
    assert any("customData[0].property" in line for line in lines)


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        (
            [{"name": "Ada"}, BO],
            {},
            "Row 1 was refused: it has no userId, by which its customer would be found",
        ),
        ([ADA, ADA], {}, "Row 2 was refused: another row has the same userId"),
        (
            [{**ADA, "name": "0f" * 32}],
            {},
            "Row 1 was refused: name is a hash, which would replace the value in HelpCrunch",
        ),
        ([ADA], {"create_missing": False}, "Row 1 was refused: no customer has this userId"),
        ([{**BO, "id": 5}], {}, "Row 1 was refused: the customer with this userId is "),
        (
            [{"email": "twins@mail.example"}],
            {"key": "email"},
            "Row 1 was refused: 2 customers have this email: ",
        ),
    ],
)
def test_the_log_says_why_a_row_is_refused(
    rows: list[dict[str, Any]], settings: dict[str, Any], said: str, server: Sandbox, task_log: TaskLog
) -> None:
    upsert([{"userId": f"twin-{number}", "email": "twins@mail.example"} for number in range(2)])
    upsert([BO])
    operator = task(rows, on_error="report", **settings)
    lines = task_log(operator)
    operator.execute({})  # type: ignore[arg-type]
    assert [line for line in lines if line.startswith(said)], lines


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"customers": None}, "customers must be a list of records, its JSON text, or a file; not NoneType"),
    ({"customers": 5}, "customers must be a list of records"),
    ({"customers": "customers"}, "'customers' has no suffix that names a format"),
    ({"customers": "[1"}, "which is not JSON"),
    ({"customers": ["Ada"]}, "Row 1 of customers must be an object with the fields of a customer, not str"),
    ({"customers": [{"userid": "u-1"}]}, "Row 1 of customers has 'userid', and a customer has no such field"),
    (
        {"customers": [{"name": "Ada"}]},
        "No row of customers has a readable userId, by which its customer would be found",
    ),
    ({"key": "phone"}, "key must be userId, email or id, not 'phone'"),
    ({"key": None}, "key must be userId, email or id, not None"),
    ({"add_tags": []}, "add_tags is empty: give at least one name, or leave it out."),
    ({"remove_tags": "[]"}, "remove_tags is empty: give at least one name, or leave it out."),
    ({"add_tags": [5]}, "add_tags must be a list of names"),
    ({"remove_tags": [""]}, "remove_tags must be a list of names"),
    ({"add_tags": "vip", "remove_tags": ["VIP", "new"]}, "add_tags and remove_tags both name 'vip'"),
    ({"create_missing": "perhaps"}, "create_missing must be true or false"),
    ({"dry_run": 2}, "dry_run must be true or false"),
    ({"deferrable": "soon"}, "deferrable must be true or false"),
    ({"on_error": "ignore"}, "on_error must be fail_at_end, fail_fast or report, not 'ignore'"),
    ({"rejects_path": "rejects"}, "parquet, with .gz or .zst behind the first three, or set rejects_format"),
    (
        {"rejects_path": "rejects.jsonl", "rejects_format": "csv"},
        "rejects_format='csv' contradicts the suffix",
    ),
    ({"rejects_path": "rejects", "rejects_format": "pdf"}, "rejects_format='pdf' is unknown"),
    ({"rejects_path": "/dev/null/rejects.csv"}, "'/dev/null' is not a directory"),
    ({"rejects_path": 5}, "A path must be a string or an ObjectStoragePath, not int"),
    ({"rejects_format": "csv"}, "rejects_format needs rejects_path"),
    ({"rejects_path": "r.csv", "customers": [{**ADA, "name": None}]}, "Row 1 of customers clears a field"),
    ({"patience": 0}, "patience must be a whole number from 1"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_refused_before_the_first_request(
    wrong: dict[str, Any], said: str, server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        upsert(**{"customers": [ADA], **wrong})
    assert said in str(caught.value)
    assert server.journal == []
    assert not list(tmp_path.glob("r*"))


def test_customers_listed_with_hashes_keep_their_values(server: Sandbox, tmp_path: Path) -> None:
    before = server.truth("customers")
    listing = ListCustomersOperator(
        task_id="list",
        output_path=str(tmp_path / "c.csv"),
        hash=["name", "email"],
        hash_salt="a long random text",
    )
    receipt = listing.execute({})  # type: ignore[arg-type]
    with pytest.raises(HelpCrunchRefusedError):
        upsert(receipt, key="id")
    assert server.truth("customers") == before
    assert writes(server) == []


def test_the_input_is_not_written_over(server: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("userId,name\nu-1,Ada\n")
    for given in (str(path), {"path": str(path)}, f"file://{path}"):
        with pytest.raises(
            HelpCrunchConfigurationError, match="rejects_path is the file of customers itself"
        ):
            upsert(given, rejects_path=str(path))
    with pytest.raises(HelpCrunchStorageError, match="There is no object"):
        upsert(str(tmp_path / "gone.csv"), rejects_path=str(path))
    assert path.read_text() == "userId,name\nu-1,Ada\n"
    assert server.journal == []


def test_a_limit_of_two_leaves_nothing_to_write(server: Sandbox, connection: SetConnection) -> None:
    connection(server, requests_per_minute=2)
    with pytest.raises(HelpCrunchConfigurationError, match="at least 3 on the connection"):
        upsert()
    assert server.journal == []


class TestStateStore:
    """What Airflow 3.3 keeps of a task from try to try."""

    RECORDS = tuple({"userId": f"new-{number}"} for number in range(1_020))

    def test_a_retry_goes_on_where_the_try_before_stopped(self, server: Sandbox) -> None:
        store = Store()
        records = [*self.RECORDS[:60], REFUSED]
        server.add_fault(Fault("status", status=401, path="/v1/customers", method="POST", nth=56))
        with pytest.raises(HelpCrunchError):
            upsert(records, {"task_state_store": store})
        before = len(server.journal)
        assert store.kept
        with pytest.raises(HelpCrunchRefusedError):
            upsert(records, {"task_state_store": store})
        assert len(writes(server)) == 60
        # One for a witness, one search, the five creations that are left and the one that is refused.
        assert len(server.journal) - before == 8
        # What was refused is tried again, as somebody may have mended the account.
        with pytest.raises(HelpCrunchRefusedError):
            upsert(records, {"task_state_store": store})
        assert len(server.journal) - before == 11
        assert upsert(records, {"task_state_store": store}, on_error="report") == {
            **NONE,
            "created": 60,
            "refused": 1,
            "requests": 3,
        }
        assert store.kept == {}

    def test_a_retry_tries_the_last_row_of_a_chunk_that_was_put_off(
        self, server: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress_store, "CHUNK", 10)
        store, records = Store(), self.RECORDS[:15]
        server.add_fault(Fault("status", status=503, path="/v1/customers", method="POST", nth=10))
        server.add_fault(Fault("status", status=401, path="/v1/customers", method="POST", nth=14))
        with pytest.raises(HelpCrunchError):
            upsert(records, {"task_state_store": store})
        assert upsert(records, {"task_state_store": store})["created"] == 15
        assert Counter(each.body["userId"] for each in writes(server)) == Counter(
            each["userId"] for each in records
        )

    def test_each_write_stores_a_small_part(self, server: Sandbox) -> None:
        store = Store()
        assert upsert(self.RECORDS, {"task_state_store": store})["created"] == 1_020
        assert store.largest < 600
        assert store.kept == {}

    def test_other_rows_or_choices_start_over(self, server: Sandbox) -> None:
        store = Store()
        with pytest.raises(HelpCrunchRefusedError):
            upsert([ADA, REFUSED], {"task_state_store": store})
        with pytest.raises(HelpCrunchRefusedError):
            upsert([ADA, REFUSED], {"task_state_store": store}, add_tags="vip")
        assert [tag["name"] for tag in by_user(server)["u-1"]["tags"]] == ["vip"]

    def test_rows_that_were_replaced_for_a_while_are_written_again(self, server: Sandbox) -> None:
        context = {"task_state_store": Store()}
        with pytest.raises(HelpCrunchRefusedError):
            upsert([ADA, REFUSED], context)
        assert upsert([{**ADA, "name": "Ada King"}], context)["updated"] == 1
        with pytest.raises(HelpCrunchRefusedError):
            upsert([ADA, REFUSED], context)
        assert by_user(server)["u-1"]["name"] == "Ada"

    @pytest.mark.parametrize("broken", ["get", "set", "delete"])
    def test_a_store_that_fails_is_done_without(self, broken: str, server: Sandbox, client_log: Any) -> None:
        assert upsert(context={"task_state_store": Store(broken)})["created"] == 2
        assert any("Airflow's state store cannot be used" in line for line in client_log)

    def test_a_dry_run_keeps_nothing(self, server: Sandbox) -> None:
        store = Store()
        upsert(context={"task_state_store": store}, dry_run=True)
        assert store.largest == 0


class TestDeferral:
    LIMIT = 12

    @pytest.fixture
    def limited(self, sandbox: StartSandbox, connection: SetConnection, hand_time: HandTime) -> Sandbox:
        server = sandbox(agents=2, chats=10, rate_limit=self.LIMIT, clock=hand_time.busy)
        connection(server, requests_per_minute=self.LIMIT, rate_limit_store="sqlite://")
        return server

    def deferred_until_done(
        self, time: HandTime, context: Any, **arguments: Any
    ) -> tuple[dict[str, Any], int]:
        """Play the part of Airflow: resume another object with plain JSON, and count the deferrals."""
        step, times = task(deferrable=True, **arguments).execute, 0
        while True:
            try:
                return step(context), times
            except TaskDeferred as deferred:
                times += 1
                trigger = json.loads(json.dumps(deferred.trigger.serialize()))[1]
                time.sleep(trigger["until"] - time())
                event = trigger["state"]
                step = functools.partial(
                    getattr(task(deferrable=True, **arguments), deferred.method_name), event=event
                )

    @pytest.mark.parametrize("store", [None, Store()])
    def test_it_goes_on_until_all_rows_are_done(
        self, store: Any, limited: Sandbox, hand_time: HandTime
    ) -> None:
        records = [*({"userId": f"new-{number}"} for number in range(30)), REFUSED]
        result, times = self.deferred_until_done(
            hand_time, {"task_state_store": store}, customers=records, on_error="report"
        )
        assert (result["created"], result["refused"]) == (30, 1)
        assert result["requests"] == len(limited.journal)
        assert times >= 2
        assert len(writes(limited)) == 30
        assert limited.count(429) == 0

    def test_without_it_the_task_waits_in_its_place(self, limited: Sandbox) -> None:
        assert upsert([{"userId": f"new-{number}"} for number in range(20)])["created"] == 20
        assert len(writes(limited)) == 20

    def test_patience_ends_it(self, limited: Sandbox) -> None:
        with pytest.raises(HelpCrunchRateLimitError, match="Run the task again later, or raise patience"):
            upsert([{"userId": f"new-{number}"} for number in range(20)], patience=5)

    def test_an_input_that_has_changed_meanwhile(self, server: Sandbox) -> None:
        state = {"fingerprint": "other", "requests": 1, "waited": 0.0, "progress": None}
        with pytest.raises(HelpCrunchError, match="input of this task has changed while it was deferred"):
            task().execute_complete({}, state)  # type: ignore[arg-type]
        with pytest.raises(HelpCrunchError, match="ended without an event"):
            task().execute_complete({}, None)  # type: ignore[arg-type]
        assert server.journal == []

    def test_a_state_that_is_too_large_keeps_the_slot(
        self, limited: Sandbox, hand_time: HandTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_helpcrunch.operators import deferral

        monkeypatch.setattr(deferral, "MOST_BYTES", 10)
        customers = [{"userId": f"n-{n}"} for n in range(15)]
        result, times = self.deferred_until_done(hand_time, {}, customers=customers)
        assert (result["created"], times) == (15, 0)
