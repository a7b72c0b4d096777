"""``ListCustomersOperator`` and ``SearchCustomersOperator``, against a sandbox over HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow_names import DAG

from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchConfigurationError,
    HelpCrunchResponseError,
    HelpCrunchXComSizeError,
)
from airflow_provider_helpcrunch.operators.customer_criteria import CustomerCriteria
from airflow_provider_helpcrunch.operators.customers import ListCustomersOperator, SearchCustomersOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import CUSTOMERS
from airflow_provider_helpcrunch.storage import read_records

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
TaskLog = Callable[[Any], list[str]]

FORMATS = ["jsonl", "json", "csv", "parquet", "jsonl.gz", "json.zst", "csv.gz"]


def listed(**arguments: Any) -> Any:
    return ListCustomersOperator(task_id="customers", **arguments).execute({})  # type: ignore[arg-type]


def search(**arguments: Any) -> Any:
    return SearchCustomersOperator(task_id="search", **arguments).execute({})  # type: ignore[arg-type]


def ids(customers: Any) -> list[int]:
    return [customer["id"] for customer in customers]


def names_of(customer: dict[str, Any]) -> set[str]:
    return {tag["name"] for tag in customer["tags"]}


def matching(server: Sandbox, test: Callable[[dict[str, Any]], Any]) -> list[int]:
    """Return the ids of the customers that pass a test, sorted."""
    found = [customer["id"] for customer in server.customers if test(customer)]
    assert 0 < len(found) < len(server.customers)
    return sorted(found)


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=8, chats=250)
    connection(server, requests_per_minute=10_000)
    return server


class TestList:
    @pytest.mark.parametrize("chats", [0, 1, 99, 100, 230])
    def test_every_customer_first_seen_first(
        self, chats: int, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=8, chats=chats)
        connection(server, requests_per_minute=10_000)
        rows = listed()
        assert sorted(rows, key=lambda row: row["id"]) == server.truth("customers")
        assert [int(row["firstSeen"]) for row in rows] == sorted(int(row["firstSeen"]) for row in rows)
        assert {request.path for request in server.journal} == {"/v1/customers"}

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_in_a_file_of_each_format(self, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        receipt = listed(output_path=str(tmp_path / f"customers.{suffix}"))
        assert (receipt["records"], receipt["format"]) == (len(server.customers), suffix)
        rows = sorted(read_records(receipt, table=CUSTOMERS), key=lambda row: row["id"])
        assert ids(rows) == ids(server.truth("customers"))
        for row, customer in zip(rows, server.truth("customers"), strict=True):
            assert (row["tags"], row["location"]) == (customer["tags"], customer["location"])
            data = row["customData"]
            assert (json.loads(data) if isinstance(data, str) else data) == customer["customData"]

    def test_customers_who_are_deleted_meanwhile_hide_no_others(self, server: Sandbox) -> None:
        server.add_fault(Fault("erase", rows=30, nth=2))
        found = listed()
        assert set(ids(found)) >= set(ids(server.customers))
        assert len(set(ids(found))) == len(found)

    @pytest.mark.parametrize("kind", ["empty_page", "short_page", "duplicate_rows", "close", "garbage"])
    def test_a_page_that_is_lost_once_is_read_again(self, kind: str, server: Sandbox) -> None:
        server.add_fault(Fault(kind, offset=99))
        assert sorted(ids(listed())) == ids(server.truth("customers"))

    def test_too_much_for_xcom(self, server: Sandbox) -> None:
        with pytest.raises(HelpCrunchXComSizeError, match="output_path"):
            listed(max_xcom_bytes=1000)


class TestFound:
    def test_all_customers_without_any_condition(self, server: Sandbox) -> None:
        assert ids(search()) == ids(listed())

    @pytest.mark.parametrize(
        ("argument", "field"), [("email", "email"), ("user_id", "userId"), ("company", "company")]
    )
    def test_by_a_text_in_any_case(self, argument: str, field: str, server: Sandbox) -> None:
        value = next(customer[field] for customer in server.customers if customer[field])
        wanted = matching(server, lambda customer: customer[field] == value)
        for given in (value, value.upper(), f" {value} "):
            assert sorted(ids(search(**{argument: given}))) == wanted
        sent = {json.dumps(request.body["filter"]) for request in server.journal}
        assert json.dumps([{"field": f"customers.{field}", "operator": "=", "value": value}]) in sent

    def test_an_id_of_digits_that_became_a_number(self, server: Sandbox) -> None:
        search(user_id=77)
        assert server.journal[0].body["filter"][0]["value"] == "77"

    @pytest.mark.parametrize("tags", [["trial"], ["trial", "newsletter"]])
    def test_with_all_tags(self, tags: list[str], server: Sandbox) -> None:
        wanted = matching(server, lambda customer: names_of(customer) >= set(tags))
        for given in (tags, json.dumps(tags), ", ".join(tags), {tag.upper() for tag in tags}):
            assert sorted(ids(search(tags=given))) == wanted
        assert len(server.journal[0].body["filter"]) == 1

    @pytest.mark.parametrize("tags", [["trial"], ["trial", "vip", "churned"]])
    def test_with_any_of_some_tags(self, tags: list[str], server: Sandbox) -> None:
        wanted = matching(server, lambda customer: names_of(customer) & set(tags))
        assert sorted(ids(search(tags=tags, match_tags="any"))) == wanted
        body = server.journal[0].body
        assert len(body["filter"]) == len(tags)
        assert body["comparison"] == ("AND" if len(tags) == 1 else "OR")

    def test_with_any_of_some_tags_and_another_condition(self, server: Sandbox) -> None:
        company = next(customer["company"] for customer in server.customers if customer["company"])
        wanted = matching(
            server, lambda each: each["company"] == company and names_of(each) & {"trial", "newsletter"}
        )
        assert sorted(ids(search(tags=["trial", "newsletter"], match_tags="any", company=company))) == wanted
        assert [each["field"] for each in server.journal[0].body["filter"]] == ["customers.company"]

    @pytest.mark.parametrize("comparison", ["AND", "or"])
    def test_by_filters(self, comparison: str, server: Sandbox) -> None:
        given = [Filter("customers.countryCode", "=", "DE"), Filter("customers.company", "~", "a")]
        join = all if comparison == "AND" else any
        wanted = matching(
            server,
            lambda each: join(
                (each["location"]["countryCode"] == "DE", "a" in (each["company"] or "").lower())
            ),
        )
        assert sorted(ids(search(filters=given, comparison=comparison))) == wanted

    def test_although_the_search_ignores_its_filters(self, server: Sandbox) -> None:
        server.add_fault(Fault("ignore_filter", times=0))
        customer = next(each for each in server.customers if each["email"])
        assert ids(search(email=customer["email"])) == [customer["id"]]
        wanted = matching(server, lambda each: "trial" in names_of(each))
        assert sorted(ids(search(tags="trial"))) == wanted
        seen = sorted(int(each["lastSeen"]) for each in server.customers)[100]
        wanted = matching(server, lambda each: int(each["lastSeen"]) >= seen)
        assert sorted(ids(search(seen_since=seen))) == wanted

    def test_a_filter_of_ones_own_that_is_ignored_is_an_error(self, server: Sandbox) -> None:
        server.add_fault(Fault("ignore_filter", times=0))
        given = [{"field": "customers.id", "operator": "=", "value": server.customers[5]["id"]}]
        with pytest.raises(HelpCrunchResponseError, match="ignored a search condition: it sent the customer"):
            search(filters=given)

    def test_nobody(self, server: Sandbox, task_log: TaskLog) -> None:
        operator = SearchCustomersOperator(task_id="search", email="nobody@mail.example")
        lines = task_log(operator)
        assert operator.execute({}) == []  # type: ignore[arg-type]
        assert [line.partition(" (")[0] for line in lines] == ["Listed 0 customers"]

    @pytest.mark.parametrize("timestamps", ["string", "integer", "fractional"])
    def test_adjacent_windows_split_the_customers(
        self, timestamps: Any, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=8, chats=60, timestamps=timestamps)
        connection(server, requests_per_minute=10_000)
        seen = sorted({float(each["lastSeen"]) for each in server.customers if each["lastSeen"]})
        borders = [
            datetime.fromtimestamp(moment + more, UTC) for moment in seen[::12] for more in (-0.5, 0.0, 0.5)
        ]
        found: list[int] = []
        for since, before in itertools.pairwise([None, *borders, None]):
            found += ids(search(seen_since=since, seen_before=before))
        assert sorted(found) == sorted(ids(server.customers))

    @pytest.mark.parametrize("native", [True, False])
    def test_templates(self, *, native: bool, server: Sandbox) -> None:
        with DAG("dag", schedule=None, render_template_as_native_obj=native):
            task = SearchCustomersOperator(
                task_id="search",
                tags="{{ params.tags | tojson }}",
                match_tags="{{ params.match }}",
                seen_since="{{ params.since }}",
            )
        task.render_template_fields(
            {"params": {"tags": ["trial", "vip"], "match": "any", "since": 1_000_000_000}}  # type: ignore[typeddict-item]
        )
        wanted = matching(server, lambda each: names_of(each) & {"trial", "vip"})
        assert sorted(ids(task.execute({}))) == wanted  # type: ignore[arg-type]

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_in_a_file_of_each_format(self, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        receipt = search(output_path=str(tmp_path / f"found.{suffix}"), tags="trial")
        wanted = matching(server, lambda each: "trial" in names_of(each))
        assert sorted(ids(read_records(receipt, table=CUSTOMERS))) == wanted

    def test_a_refused_key_leaves_the_earlier_object(self, server: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "found.jsonl"
        path.write_text("the object of yesterday")
        server.add_fault(Fault("status", status=401, times=0))
        with pytest.raises(HelpCrunchAuthError):
            search(output_path=str(path))
        assert path.read_text() == "the object of yesterday"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seen_since": "soon"}, "seen_since must be a time"),
        ({"seen_since": 20, "seen_before": 20}, "must be earlier than seen_before"),
        ({"email": ""}, "email must be a text that is not empty, not ''"),
        ({"user_id": "  "}, "user_id must be a text that is not empty"),
        ({"user_id": True}, "user_id must be a text that is not empty, not True"),
        ({"company": ["Harbour Ltd"]}, "company must be a text that is not empty"),
        ({"tags": []}, "tags is empty"),
        ({"tags": [1]}, "tags must be a list of names"),
        ({"match_tags": "some"}, "match_tags must be all or any, not 'some'"),
        ({"comparison": "XOR"}, "comparison must be AND or OR"),
        (
            {"comparison": "OR", "email": "ada@mail.example"},
            "With comparison OR HelpCrunch can search by filters",
        ),
        ({"comparison": "OR", "tags": "vip", "match_tags": "any"}, "With comparison OR HelpCrunch"),
        ({"filters": 5}, "filters must be a list of objects"),
        ({"filters": "soon"}, "which is not JSON"),
        ({"filters": [{"field": "chats.assignee", "operator": "=", "value": 1}]}, "cannot be searched by"),
    ],
)
def test_refused_before_the_first_request(wrong: dict[str, Any], said: str, server: Sandbox) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        search(**wrong)
    assert said in str(caught.value)
    assert server.journal == []


@pytest.mark.parametrize(
    ("arguments", "field", "values"),
    [
        ({"times": {"seen_since": 5}}, "lastSeen", ("soon", [])),
        ({"texts": {"email": "ada@mail.example"}}, "email", (5, ["ada@mail.example"])),
        ({"tags": ("vip",)}, "tags", ("vip", {})),
    ],
)
def test_a_field_that_cannot_be_read_is_not_taken_for_a_match(
    arguments: dict[str, Any], field: str, values: tuple[Any, ...]
) -> None:
    plain = {"given": (), "comparison": "AND", "times": {}, "texts": {}, "tags": (), "any_tag": False}
    criteria = CustomerCriteria(**{**plain, **arguments})
    for customer in ({"id": 7}, *({"id": 7, field: value} for value in values)):
        with pytest.raises(HelpCrunchResponseError, match=f"the customer 7 without a readable {field}"):
            criteria.match(customer)
    assert criteria.match({"id": 7, field: None}) is False
