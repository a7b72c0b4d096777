"""``SearchChatsOperator``, against a sandbox over HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pendulum
import pyarrow.parquet as pq
import pytest
from airflow_names import DAG

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError, HelpCrunchXComSizeError
from airflow_provider_helpcrunch.operators.chats import SearchChatsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import CHATS
from airflow_provider_helpcrunch.storage import read_records

pytestmark = pytest.mark.older

try:
    from airflow.sdk.execution_time import macros
except ImportError:  # Airflow 2
    from airflow import macros

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
TaskLog = Callable[[Any], list[str]]

SWITCHES = ["string", "integer", "fractional"]


def search(**arguments: Any) -> Any:
    return SearchChatsOperator(task_id="search", **arguments).execute({})  # type: ignore[arg-type]


def ids(chats: list[dict[str, Any]]) -> list[int]:
    return [chat["id"] for chat in chats]


def created(chat: dict[str, Any]) -> float:
    return float(chat["createdAt"])


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=8, chats=300)
    connection(server, requests_per_minute=10_000)
    return server


class TestFound:
    def test_all_chats_oldest_first_without_any_condition(self, server: Sandbox) -> None:
        found = search()
        assert ids(found) == ids(server.chats)
        assert json.loads(json.dumps(found)) == found
        assert {chat["status"] for chat in found} >= {"onhold", "no communication", "closed"}

    @pytest.mark.parametrize("total", ["root", "meta"])
    @pytest.mark.parametrize("chats", [0, 1, 99, 100, 101, 250])
    def test_whatever_their_number_and_wherever_the_total_is_told(
        self, chats: int, total: Any, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=8, chats=chats, search_total=total)
        connection(server, requests_per_minute=10_000)
        assert ids(search()) == ids(server.chats)

    def test_of_an_agent(self, server: Sandbox) -> None:
        for given in (1003, "1003", {"id": 1003, "name": "Ada"}):
            assert ids(search(assignee=given)) == ids(server.chats_of(1003, open_only=False))

    def test_of_nobody(self, server: Sandbox) -> None:
        nobodys = server.chats_of(None, open_only=False)
        assert ids(search(assignee="unassigned")) == ids(nobodys)
        assert 0 < len(nobodys) < 300

    def test_of_a_department(self, server: Sandbox) -> None:
        department = server.departments[2]["id"]
        wanted = [chat for chat in server.chats if (chat["department"] or {}).get("id") == department]
        assert ids(search(department=str(department))) == ids(wanted)
        assert wanted

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("opened", {"opened"}),
            ("Open", {"opened"}),
            ("on-hold", {"onhold"}),
            ("no_communication", {"no communication"}),
            (["onhold", "closed"], {"onhold", "closed"}),
            ('["on hold", "new"]', {"onhold", "new"}),
            ({"pending", "empty"}, {"pending", "empty"}),
        ],
    )
    @pytest.mark.parametrize("on_hold", ["onhold", "on hold", "on-hold"])
    def test_with_a_status_in_any_spelling(
        self,
        given: Any,
        meant: set[str],
        on_hold: Any,
        sandbox: StartSandbox,
        connection: SetConnection,
    ) -> None:
        server = sandbox(agents=8, chats=200, on_hold=on_hold)
        connection(server, requests_per_minute=10_000)
        raw = {on_hold if status == "onhold" else status for status in meant}
        found = search(statuses=given)
        assert ids(found) == [chat["id"] for chat in server.chats if chat["status"] in raw]
        assert {chat["status"] for chat in found} == meant
        assert {chat["statusRaw"] for chat in found} == raw

    def test_when_all_conditions_hold(self, server: Sandbox) -> None:
        since = created(server.chats[50])
        found = search(assignee=1001, statuses=["opened", "new", "pending"], created_since=since)
        assert ids(found) == [
            chat["id"]
            for chat in server.chats_of(1001)
            if chat["status"] in ("opened", "new", "pending") and created(chat) >= since
        ]
        assert found

    def test_by_filters(self, server: Sandbox) -> None:
        email = server.chats[7]["customer"]["email"] or server.chats[8]["customer"]["email"]
        given = [
            {"field": "chats.createdAt", "operator": ">", "value": at(created(server.chats[5]))},
            Filter("chats.customer.email", "=", email),
        ]
        wanted = [
            chat["id"]
            for chat in server.chats
            if chat["customer"]["email"] == email and created(chat) > created(server.chats[5])
        ]
        assert ids(search(filters=given)) == wanted
        assert wanted

    @pytest.mark.parametrize("comparison", ["OR", "or"])
    def test_by_either_of_two_filters(self, comparison: str, server: Sandbox) -> None:
        given = json.dumps(
            [{"field": "chats.assignee", "operator": "=", "value": agent} for agent in (1001, "1002")]
        )
        found = search(filters=given, comparison=comparison, statuses=["closed"])
        assert ids(found) == [
            chat["id"]
            for chat in server.chats
            if (chat["assignee"] or {}).get("id") in (1001, 1002) and chat["status"] == "closed"
        ]

    def test_by_tags(self, server: Sandbox) -> None:
        tagged = next(customer for customer in server.customers if customer["tags"])
        tag = tagged["tags"][0]["name"]
        having = {c["id"] for c in server.customers if tag in [each["name"] for each in c["tags"]]}
        given = [{"field": "chats.customer.tagsData", "operator": "=", "value": [tag]}]
        assert ids(search(filters=given)) == [c["id"] for c in server.chats if c["customer"]["id"] in having]

    def test_although_the_search_ignores_its_filter(self, server: Sandbox) -> None:
        server.add_fault(Fault("ignore_filter", times=0))
        assert ids(search(assignee=1003)) == ids(server.chats_of(1003, open_only=False))


class TestWindows:
    """Adjacent windows split the chats: none in two of them, and none in neither."""

    def borders(self, moments: list[float]) -> list[datetime]:
        """Return borders before, at and between moments, with and without fractions of a second."""
        some = sorted(set(moments))[:: max(1, len(set(moments)) // 6)]
        return [at(moment + more) for moment in some for more in (-0.5, 0.0, 0.001, 0.5, 1.0)]

    @pytest.mark.parametrize("timestamps", SWITCHES)
    @pytest.mark.parametrize("event", ["created", "closed"])
    def test_adjacent_windows(
        self, event: str, timestamps: Any, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=8, chats=60, timestamps=timestamps)
        connection(server, requests_per_minute=10_000)
        all_ = [chat for chat in server.chats if chat[f"{event}At"] is not None]
        inner = sorted(set(self.borders([float(chat[f"{event}At"]) for chat in all_])))
        found: list[int] = []
        for since, before in itertools.pairwise([None, *inner, None]):
            found += ids(search(**{f"{event}_since": since, f"{event}_before": before}))
        assert sorted(found) == sorted(ids(all_))

    def test_chats_of_one_second_stay_together(self, server: Sandbox) -> None:
        moment = next(
            created(chat)
            for chat, other in itertools.pairwise(server.chats)
            if created(chat) == created(other)
        )
        together = [chat["id"] for chat in server.chats if created(chat) == moment]
        assert len(together) >= 2
        assert ids(search(created_since=moment, created_before=moment + 1)) == together
        assert ids(search(created_since=at(moment), created_before=at(moment + 0.001))) == together
        assert not set(ids(search(created_before=moment))) & set(together)
        assert not set(ids(search(created_since=moment + 0.001))) & set(together)

    @pytest.mark.parametrize("fraction", ["000", "001", "499", "500", "999"])
    def test_fractions_of_a_second(self, fraction: str, server: Sandbox) -> None:
        base = 1_800_000_000
        chat = server.insert_chats(1, status="closed")[0]["id"]
        server.update_chat(chat, closedAt=f"{base}.{fraction}")
        exact = datetime.fromtimestamp(base, UTC) + timedelta(milliseconds=int(fraction))
        for border in (at(base), at(base + 0.25), exact, exact + timedelta(milliseconds=1), at(base + 1)):
            earlier = chat in ids(search(closed_since=at(base - 60), closed_before=border))
            later = chat in ids(search(closed_since=border, closed_before=at(base + 60)))
            assert (earlier, later) == (exact < border, exact >= border)

    def test_a_server_that_compares_carelessly_changes_nothing(self, server: Sandbox) -> None:
        since, before = created(server.chats[100]), created(server.chats[200])
        server.add_fault(Fault("ignore_filter", times=0))
        assert ids(search(created_since=since, created_before=before)) == [
            chat["id"] for chat in server.chats if since <= created(chat) < before
        ]

    def test_helpcrunch_is_asked_for_the_window_only(self, server: Sandbox) -> None:
        search(created_since="2023-11-15T00:00:00.5", created_before="2023-11-16T00:00:00.5")
        for request in server.journal:
            assert request.body["filter"] == [
                {"field": "chats.createdAt", "operator": ">=", "value": 1_700_006_400},
                {"field": "chats.createdAt", "operator": "<", "value": 1_700_092_801},
            ]
        assert len(server.journal) < len(server.chats) / 100 + 1

    def test_of_a_search_with_a_status_too(self, server: Sandbox) -> None:
        middle = created(server.chats[150])
        first, second = (
            ids(search(statuses="closed", **side))
            for side in ({"created_before": middle}, {"created_since": middle})
        )
        assert first + second == [chat["id"] for chat in server.chats if chat["status"] == "closed"]

    @pytest.mark.parametrize(
        "given",
        [
            *(datetime(2023, 11, 15, tzinfo=UTC), datetime(2023, 11, 15), date(2023, 11, 15)),
            datetime(2023, 11, 15, 2, tzinfo=timezone(timedelta(hours=2))),
            *("2023-11-15", "2023-11-15T00:00:00+00:00", "2023-11-15T00:00:00Z", "2023-11-15 00:00:00"),
            *("2023-11-15T02:00:00+02:00", " 2023-11-15T00:00:00.000000+00:00\n", "20231115T000000"),
            *(1_700_006_400, "1700006400", 1_700_006_400.0, "1700006400.000"),
            # What {{ ds_nodash }} renders; as UNIX seconds it would be a day of 1970.
            "20231115",
        ],
        ids=repr,
    )
    def test_spellings_of_one_moment(self, given: Any, server: Sandbox) -> None:
        search(created_since=given)
        (value,) = {request.body["filter"][0]["value"] for request in server.journal}
        assert value == 1_700_006_400

    def test_a_moment_of_airflow(self, server: Sandbox) -> None:
        search(created_since=pendulum.datetime(2023, 11, 15, 2, tz="Europe/Kyiv"))
        (value,) = {request.body["filter"][0]["value"] for request in server.journal}
        assert value == 1_700_006_400

    @pytest.mark.parametrize(
        ("since", "before"),
        [
            ("{{ data_interval_start }}", "{{ data_interval_end }}"),
            ("{{ ds }}", "{{ macros.ds_add(ds, 1) }}"),
            ("{{ data_interval_start.timestamp() }}", "{{ data_interval_end.int_timestamp }}"),
            ("{{ data_interval_start | string }}", "{{ data_interval_end.isoformat() }}"),
        ],
    )
    @pytest.mark.parametrize("native", [True, False])
    def test_the_interval_of_a_run(self, *, native: bool, since: str, before: str, server: Sandbox) -> None:
        with DAG("dag", schedule=None, render_template_as_native_obj=native):
            task = SearchChatsOperator(task_id="search", created_since=since, created_before=before)
        start = pendulum.datetime(2023, 11, 15)
        context: Any = {
            **{"data_interval_start": start, "data_interval_end": start.add(days=1)},
            **{"ds": "2023-11-15", "macros": macros},
        }
        task.render_template_fields(context)
        found = task.execute({})  # type: ignore[arg-type]
        assert ids(found) == [
            chat["id"]
            for chat in server.chats
            if start.timestamp() <= created(chat) < start.add(days=1).timestamp()
        ]
        assert 0 < len(found) < 300


FORMATS = ["jsonl", "json", "csv", "parquet", "jsonl.gz", "json.zst", "csv.gz"]
TIMES = ("createdAt", "closedAt", "lastMessageAt", "lastCustomerMessageAt", "snoozedUntil")


class TestFiles:
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_receipt(self, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "new" / f"chats.{suffix}"
        receipt = search(output_path=str(path), statuses=["closed", "opened"])
        wanted = [chat["id"] for chat in server.chats if chat["status"] in ("closed", "opened")]
        assert receipt == {
            **{"path": str(path), "records": len(wanted)},
            **{"bytes": path.stat().st_size, "format": suffix},
        }
        assert ids(list(read_records(receipt, table=CHATS))) == wanted
        assert [child.name for child in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize("timestamps", SWITCHES)
    @pytest.mark.parametrize("suffix", ["csv", "parquet", "csv.gz"])
    def test_typed_times_however_they_are_sent(
        self,
        suffix: str,
        timestamps: Any,
        sandbox: StartSandbox,
        connection: SetConnection,
        tmp_path: Path,
    ) -> None:
        server = sandbox(agents=8, chats=200, timestamps=timestamps)
        connection(server, requests_per_minute=10_000)
        receipt = search(output_path=str(tmp_path / f"chats.{suffix}"))
        rows = list(read_records(receipt, table=CHATS))
        assert ids(rows) == ids(server.chats)
        for row, chat in zip(rows, server.chats, strict=True):
            for name in TIMES:
                if chat[name] is None:
                    assert row[name] is None
                    continue
                micros = int(Decimal(str(chat[name])) * 1_000_000)
                assert row[name] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
                assert row[name].utcoffset() == timedelta(0)

    @pytest.mark.parametrize("timestamps", SWITCHES)
    @pytest.mark.parametrize("shape", ["new", "old"])
    @pytest.mark.parametrize("chats", [0, 30])
    def test_parquet_has_the_same_columns_in_every_run(
        self,
        chats: int,
        shape: Any,
        timestamps: Any,
        sandbox: StartSandbox,
        connection: SetConnection,
        tmp_path: Path,
    ) -> None:
        connection(sandbox(agents=8, chats=chats, timestamps=timestamps, shape=shape))
        path = tmp_path / "chats.parquet"
        assert search(output_path=str(path))["records"] == chats
        schema = pq.read_schema(path)
        assert schema.names == [column.name for column in CHATS.columns]
        assert {str(schema.field(name).type) for name in TIMES} == {"timestamp[us, tz=UTC]"}

    def test_json_lines_keep_the_times_as_they_were_sent(self, server: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "chats.jsonl"
        search(output_path=str(path))
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row, chat in zip(rows, server.chats, strict=True):
            assert {name: row[name] for name in chat if name not in ("status", "rating")} == {
                name: chat[name] for name in chat if name not in ("status", "rating")
            }

    def test_a_failure_leaves_the_earlier_object(self, server: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "chats.jsonl"
        path.write_text("the object of yesterday")
        server.add_fault(Fault("status", status=401, nth=2, times=0))
        with pytest.raises(HelpCrunchAuthError) as caught:
            search(output_path=str(path))
        assert isinstance(caught.value, AirflowFailException)
        assert path.read_text() == "the object of yesterday"

    def test_too_much_for_xcom(self, server: Sandbox) -> None:
        with pytest.raises(HelpCrunchXComSizeError, match="output_path"):
            search(max_xcom_bytes=1000)
        assert len(search(max_xcom_bytes=200_000, assignee=1003)) > 0


def test_the_log_tells_how_many_were_read_and_how_many_match(server: Sandbox, task_log: TaskLog) -> None:
    operator = SearchChatsOperator(task_id="search", statuses="closed")
    lines = task_log(operator)
    closed = len(operator.execute({}))  # type: ignore[arg-type]
    assert [line.partition(" in ")[0] for line in lines] == [
        f"Listed {closed} of 300 chats read (4 pages, 4 requests)"
    ]


def test_a_filter_by_status_that_finds_nothing_names_the_argument(server: Sandbox, task_log: TaskLog) -> None:
    misspelled = {"field": "chats.status", "operator": "=", "value": "Closed chats"}
    operator = SearchChatsOperator(task_id="search", filters=[misspelled])
    lines = task_log(operator)
    assert operator.execute({}) == []  # type: ignore[arg-type]
    assert [line for line in lines if "Use the argument statuses, which takes any spelling" in line]
