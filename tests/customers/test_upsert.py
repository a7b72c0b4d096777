"""Upserts on an account in process, judged by its journal and its customers."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from in_process import Killed, answer_404_for_nothing, send_ids_as_text
from upserting import Work, client_of, created, customer, outcomes, sent, upsert, writes

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConnectionError,
    HelpCrunchRateLimitError,
    HelpCrunchServerError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

ADA = {"userId": "u-1", "email": "ada@mail.example", "name": "Ada"}
BO = {"userId": "u-2", "email": "bo@mail.example", "name": "Bo"}
SEARCH = "POST /v1/customers/search"


class closing(list[Any]):  # noqa: N801
    """Rows that can be closed, as a listing can."""

    def close(self) -> None:
        pass


class TestCreated:
    @pytest.mark.parametrize("key", ["userId", "email"])
    def test_those_who_are_missing_are_created_once(self, key: str, account: Sandbox) -> None:
        before = len(account.customers)
        assert upsert(account, [ADA, BO], key=key) == ["created", "created"]
        assert upsert(account, [ADA, BO], key=key) == ["unchanged", "unchanged"]
        assert len(account.customers) == before + 2
        assert customer(account, **ADA)["name"] == "Ada"
        assert sent(account) == {SEARCH: 4, "POST /v1/customers": 2}

    def test_with_every_field(self, account: Sandbox) -> None:
        record = {
            **ADA,
            "company": "Lypa LLC",
            "phone": "+49 30 1234567",
            "firstSeen": "2026-01-31T08:00:00+00:00",
            "lastSeen": 1_770_000_000,
            "unsubscribed": True,
            "blocked": False,
            "notes": "Calls in the morning",
            "tags": ["vip", {"name": "new", "color": None}],
            "customData": {"plan": "gold", "orders": 4},
            "location": {"city": "Berlin"},
        }
        assert upsert(account, [record]) == ["created"]
        made = customer(account, **ADA)
        assert made["customData"] == {"plan": "gold", "orders": 4}
        assert [tag["name"] for tag in made["tags"]] == ["vip", "new"]
        assert (made["lastSeen"], made["unsubscribed"]) == ("1770000000", True)
        # What only an update can set follows the creation.
        assert [set(request.body) for request in writes(account)][1:] == [{"lastSeen", "unsubscribed"}]
        assert upsert(account, [record]) == ["unchanged"]

    def test_ids_that_are_texts(self, account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        found = next(each for each in account.customers if each["userId"])
        send_ids_as_text(monkeypatch)
        row = {"id": found["id"], "userId": found["userId"], "name": "Ada"}
        assert upsert(account, [row]) == ["updated"]

    def test_an_empty_account(self) -> None:
        account = Sandbox(rate_limit=None, agents=1, chats=0)
        for each in account.customers:
            client_of(account).delete_customer(each["id"])
        assert upsert(account, [ADA, BO]) == ["created", "created"]
        assert len(account.customers) == 2

    @pytest.mark.parametrize("others", [True, False])
    @pytest.mark.parametrize("total", [1, 5, "exact"])
    def test_in_an_account_that_says_in_its_own_way_that_nobody_is_there(
        self, total: Any, others: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account = Sandbox(rate_limit=None, agents=1, chats=8, total=total)
        if total == "exact":
            answer_404_for_nothing(monkeypatch, "customers")
        for each in () if others else account.customers:
            client_of(account).delete_customer(each["id"])
        before = len(account.customers)
        assert upsert(account, [ADA, BO]) == ["created", "created"]
        assert upsert(account, [ADA, BO]) == ["unchanged", "unchanged"]
        assert len(account.customers) == before + 2

    @pytest.mark.parametrize(
        ("record", "options", "said"),
        [
            ({"id": 99_999_999, "name": "Ada"}, {"key": "id"}, "no customer has this id"),
            (ADA, {"create_missing": False}, "no customer has this userId"),
            (
                {**ADA, "id": 99_999_999},
                {},
                "no customer has this userId, and the row has an id: leave it out",
            ),
        ],
    )
    def test_who_is_not_created(
        self, record: Any, options: dict[str, Any], said: str, account: Sandbox
    ) -> None:
        work = Work([record], **options)
        assert outcomes(work.run(account)) == ["refused"]
        assert said in work.progress.errors[1]
        assert writes(account) == []


class TestUpdated:
    @pytest.fixture(autouse=True)
    def ids(self, account: Sandbox) -> list[int]:
        known = {
            **ADA,
            "phone": "+49 30 1234567",
            "tags": ["vip"],
            "customData": {"plan": "gold", "orders": 4},
        }
        return created(account, known, BO)

    @pytest.mark.parametrize(
        ("change", "body"),
        [
            ({"name": "ada"}, {"name": "ada"}),
            ({"name": None}, {"name": None}),
            ({"name": ""}, {"name": None}),
            ({"company": "Lypa LLC", "name": "Ada"}, {"company": "Lypa LLC"}),
            ({"blocked": "true", "unsubscribed": "false"}, {"blocked": True}),
            ({"lastSeen": "2026-01-31"}, {"lastSeen": "1769817600"}),
            (
                {"customData": {"orders": 5}},
                {"customData": [{"property": "plan", "value": "gold"}, {"property": "orders", "value": 5}]},
            ),
            (
                {"customData": '[{"property": "plan", "value": "free"}]'},
                {"customData": [{"property": "plan", "value": "free"}, {"property": "orders", "value": 4}]},
            ),
            *(
                (
                    {"customData": {"plan": empty}},
                    {"customData": [{"property": "plan", "value": ""}, {"property": "orders", "value": 4}]},
                )
                for empty in (None, "")
            ),
            ({"phone": "+49 30 7654321"}, {"phone": "+49 30 7654321"}),
        ],
    )
    def test_only_what_differs_is_sent(
        self, change: dict[str, Any], body: dict[str, Any], account: Sandbox, ids: list[int]
    ) -> None:
        assert upsert(account, [{"userId": "u-1", **change}]) == ["updated"]
        assert [(request.method, request.customer, request.body) for request in writes(account)] == [
            ("PATCH", ids[0], body)
        ]
        assert upsert(account, [{"userId": "u-1", **change}]) == ["unchanged"]

    @pytest.mark.parametrize(
        "same",
        [
            {"name": " Ada "},
            {"email": "ADA@mail.example"},
            {"phone": "+49-30-1234567"},
            {"phone": 49301234567.0},
            {"phone": "49 (30) 1234567"},
            {"tags": ["VIP"]},
            {"tags": "vip"},
            {"tags": []},
            {"tags": None},
            {"customData": {"orders": "4"}},
            {"customData": {"orders": 4.0}},
            {"customData": '{"plan": "gold"}'},
            {"customData": {}},
            {"customData": {"birthday": None}},
            {"customData": {"birthday": ""}},
            {"company": None, "notes": "", "unsubscribed": None},
            {"location": {"city": "Kyiv"}, "device": None, "error": "of an earlier run"},
        ],
    )
    def test_nothing_is_sent_where_nothing_differs(self, same: dict[str, Any], account: Sandbox) -> None:
        assert upsert(account, [{"userId": "u-1", **same}]) == ["unchanged"]
        assert sent(account) == {SEARCH: 2}

    def test_attributes_without_a_value_are_not_sent_back(self, account: Sandbox, ids: list[int]) -> None:
        client = client_of(account)
        honest = client.iter_search_customers

        def found(*arguments: Any, **options: Any) -> Any:
            listing = honest(*arguments, **options)
            rows = [
                {**each, "customData": {**(each["customData"] or {}), "birthday": None}} for each in listing
            ]
            return closing(rows)

        client.iter_search_customers = found  # type: ignore[method-assign]
        assert outcomes(Work([{"userId": "u-1", "customData": {"orders": 5}}]).run(client)) == ["updated"]
        assert [pair["property"] for pair in writes(account)[0].body["customData"]] == ["plan", "orders"]

    @pytest.mark.parametrize("custom_data", ["object", "array"])
    def test_custom_data_in_both_shapes(self, custom_data: Any) -> None:
        account = Sandbox(rate_limit=None, agents=1, chats=0, custom_data=custom_data)
        created(account, {**ADA, "customData": {"plan": "gold", "orders": 4}})
        assert upsert(account, [{"userId": "u-1", "customData": {"orders": 4}}]) == ["unchanged"]
        assert upsert(account, [{"userId": "u-1", "customData": {"orders": 5}}]) == ["updated"]
        assert len(writes(account)[0].body["customData"]) == 2

    def test_tags_are_added_and_those_of_others_stay(self, account: Sandbox, ids: list[int]) -> None:
        record = {"userId": "u-1", "tags": "trial, vip"}
        assert upsert(account, [record], add_tags=({"name": "synced"},)) == ["updated"]
        assert [(request.path, request.body) for request in writes(account)] == [
            (f"/v1/customers/{ids[0]}/tags", {"tags": [{"name": "trial"}, {"name": "synced"}]})
        ]
        assert {tag["name"] for tag in customer(account, id=ids[0])["tags"]} == {"vip", "trial", "synced"}

    def test_tags_are_removed_even_if_the_row_has_them(self, account: Sandbox, ids: list[int]) -> None:
        records = [{"userId": "u-1", "tags": ["VIP"]}, {"userId": "u-2"}]
        assert upsert(account, records, remove_tags=({"name": "vip"},)) == ["updated", "unchanged"]
        assert [(request.method, request.customer) for request in writes(account)] == [("DELETE", ids[0])]
        assert customer(account, id=ids[0])["tags"] == []

    @pytest.mark.parametrize(
        ("key", "value"), [("email", " ADA@Mail.example"), ("userId", " u-1 "), ("id", None), ("id", "text")]
    )
    def test_by_each_key(self, key: str, value: Any, account: Sandbox, ids: list[int]) -> None:
        value = {None: ids[0], "text": str(ids[0])}.get(value, value)
        assert upsert(account, [{key: value, "name": "Adele"}], key=key) == ["updated"]
        assert [(request.customer, request.body) for request in writes(account)] == [
            (ids[0], {"name": "Adele"})
        ]

    @pytest.mark.parametrize("key", ["userId", "id"])
    @pytest.mark.parametrize("kind", [int, float, str])
    def test_by_a_number_of_any_type(self, kind: Any, key: str, account: Sandbox) -> None:
        ids = created(account, {"userId": "77"})
        value = {"userId": 77, "id": ids[0]}[key]
        assert upsert(account, [{key: kind(value), "integrationId": 5.0}], key=key) == ["updated"]
        assert [(request.customer, request.body) for request in writes(account)] == [
            (ids[0], {"integrationId": "5"})
        ]
        rows = [{"userId": kind(77)}, {"userId": "77"}]
        assert upsert(account, rows) == ["refused", "refused"]  # one key in two spellings

    def test_a_user_id_in_other_letters_is_that_of_somebody_else(self, account: Sandbox) -> None:
        assert upsert(account, [{"userId": "U-1", "name": "Una"}]) == ["created"]
        assert customer(account, userId="u-1")["name"] == "Ada"

    def test_the_id_of_a_row_must_be_that_of_its_customer(self, account: Sandbox, ids: list[int]) -> None:
        work = Work([{"userId": "u-1", "id": ids[1]}, {"userId": "u-2", "id": ids[1], "name": "Bob"}])
        assert outcomes(work.run(account)) == ["refused", "updated"]
        assert work.progress.errors[1] == (
            f"the customer with this userId is {ids[0]}, and the row has the id {ids[1]}"
        )

    def test_what_others_listed_can_be_written_back(self, account: Sandbox) -> None:
        assert set(upsert(account, account.customers, key="id")) == {"unchanged"}
        assert writes(account) == []


class TestRefused:
    def test_several_customers_with_one_key(self, account: Sandbox) -> None:
        ids = created(account, ADA, {**BO, "email": "ADA@mail.example"})
        work = Work([{"email": "ada@mail.example", "name": "Who"}], key="email")
        assert outcomes(work.run(account)) == ["refused"]
        assert work.progress.errors == {1: f"2 customers have this email: {ids[0]}, {ids[1]}"}
        assert writes(account) == []

    def test_several_rows_with_one_key(self, account: Sandbox) -> None:
        work = Work([ADA, BO, {**ADA, "email": "Ada@mail.example", "name": "Adele"}], key="email")
        assert outcomes(work.run(account)) == ["refused", "created", "refused"]
        assert set(work.progress.errors.values()) == {"another row has the same email"}

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"userId": None}, "it has no userId, by which its customer would be found"),
            ({"userId": "  "}, "it has no readable userId"),
            ({"userId": True}, "it has no readable userId"),
            ({"userId": 7.5}, "it has no readable userId"),
            ({"userId": 2.0**53}, "it has no readable userId"),
            ({"userId": "#VALUE! 7.5"}, "it has no readable userId"),
            ({"name": "#VALUE! true"}, "name must be a text"),
            ({"tags": "#VALUE! 7"}, "tags must be a list of names"),
            ({"id": "seven"}, "its id is not a HelpCrunch id"),
            ({"name": ["secret"]}, "name must be a text"),
            ({"name": 1.5}, "name must be a text"),
            ({"blocked": "secret"}, "blocked must be true or false"),
            ({"lastSeen": "secret"}, "lastSeen must be a time"),
            ({"tags": 7}, "tags must be a list of names"),
            ({"tags": [{"label": "secret"}]}, "tags must be a list of names"),
            ({"tags": '["secret"'}, "tags must be a list of names"),
            ({"customData": "secret"}, "customData must be an object"),
            ({"customData": {"plan": ["secret"]}}, "customData must be an object"),
        ],
    )
    def test_a_value_that_does_not_fit_costs_no_request_and_is_not_repeated(
        self, wrong: dict[str, Any], said: str, account: Sandbox
    ) -> None:
        work = Work([{**ADA, **wrong}, BO])
        assert outcomes(work.run(account)) == ["refused", "created"]
        assert said in work.progress.errors[1]
        assert "secret" not in work.progress.errors[1]
        assert len(writes(account)) == 1

    def test_what_helpcrunch_refuses_does_not_stop_the_others(self, account: Sandbox) -> None:
        work = Work([ADA, {**BO, "notes": "x" * 256}, {"userId": "u-3", "customData": {"height": 3}}])
        assert outcomes(work.run(account)) == ["created", "refused", "refused"]
        assert "notes: This value is too long" in work.progress.errors[2]
        assert "customData[0].property" in work.progress.errors[3]

    @pytest.mark.parametrize(
        "wrong",
        [{"notes": "x" * 256}, {"notes": "x" * 256, "customData": {"height": 3}}, {"userId": "u-2"}],
    )
    def test_the_error_is_one_sentence(self, wrong: dict[str, Any], account: Sandbox) -> None:
        created(account, BO)
        work = Work([{**ADA, **wrong}], key="email")
        assert outcomes(work.run(account)) == ["refused"]
        assert "answered 400: " in work.progress.errors[1]
        assert work.progress.errors[1].endswith(".")
        assert re.search(r"\.[.;]", work.progress.errors[1]) is None

    def test_a_customer_who_is_deleted_meanwhile(self, account: Sandbox) -> None:
        ids = created(account, ADA, BO)
        account.add_fault(Fault("status", status=404, path=f"/v1/customers/{ids[0]}"))
        records = [{**ADA, "name": "Adele"}, {**BO, "name": "Bob"}]
        assert upsert(account, records) == ["refused", "updated"]


class TestLookups:
    """A lookup that finds nobody is believed only if it could have found somebody."""

    def test_fifty_with_each_request(self, account: Sandbox) -> None:
        records = [{"userId": f"new-{number}"} for number in range(120)]
        assert Counter(upsert(account, records)) == {"created": 120}
        assert sent(account) == {SEARCH: 1 + 3, "POST /v1/customers": 120}

    def test_an_account_that_does_not_join_by_or(self, account: Sandbox) -> None:
        created(account, ADA)

        for request in ("first", "second"):
            client = client_of(account)
            honest = client.iter_search_customers
            client.iter_search_customers = lambda filters, honest=honest, **_: honest(filters)  # type: ignore[method-assign]
            expected = ["unchanged", "created"] if request == "first" else ["unchanged", "unchanged"]
            assert outcomes(Work([ADA, BO]).run(client)) == expected
        assert len([each for each in account.customers if each["userId"] in ("u-1", "u-2")]) == 2

    @pytest.mark.parametrize("most", [1, 20])
    def test_an_account_that_looks_at_the_first_conditions_alone(self, most: int, account: Sandbox) -> None:
        records = [{"email": f"known-{number}@mail.example"} for number in range(30)]
        created(account, *records)
        client = client_of(account)
        honest = client.iter_search_customers
        some = lambda filters, **options: honest(filters[:most], **options)  # noqa: E731
        client.iter_search_customers = some  # type: ignore[method-assign]
        assert set(outcomes(Work(records, key="email").run(client))) == {"unchanged"}

    def test_an_account_that_ignores_filters_creates_nobody(self, account: Sandbox) -> None:
        account.add_fault(Fault("ignore_filter", times=0))
        before = account.customers
        with pytest.raises(Exception, match="HelpCrunch ignored a search condition") as caught:
            upsert(account, [{"userId": f"new-{number}"} for number in range(20)])
        assert "new-" not in str(caught.value)
        assert account.customers == before

    def test_a_customer_without_the_key_is_no_witness(self, account: Sandbox) -> None:
        created(account, ADA)
        nobody = next(each for each in account.customers if each["userId"] is None)

        client = client_of(account)
        honest = client.iter_search_customers
        found: Any = lambda filters, **_: honest(  # noqa: E731
            [{"field": "customers.id", "operator": "=", "value": nobody["id"]}]
            if len(filters) > 1
            else filters
        )
        client.iter_search_customers = found  # type: ignore[method-assign]
        assert outcomes(Work([ADA, BO]).run(client)) == ["unchanged", "created"]

    def test_one_key_that_cannot_be_searched_for(self, account: Sandbox) -> None:
        created(account, ADA)
        account.add_fault(Fault("status", status=400, path="/v1/customers/search", nth=2))
        assert upsert(account, [{**ADA, "name": "Adele"}, BO]) == ["updated", "created"]

    def test_an_id_that_a_search_does_not_find_is_read(self, account: Sandbox) -> None:
        ids = created(account, ADA)
        client = client_of(account)
        honest = client.iter_search_customers
        witness = lambda filters, **_: honest(filters[-1:])  # noqa: E731
        client.iter_search_customers = witness  # type: ignore[assignment]
        assert outcomes(Work([{"id": ids[0], "name": "Adele"}], key="id").run(client)) == ["updated"]
        assert sent(account)["GET /v1/customers/{id}"] == 1

    @pytest.mark.parametrize("together", [True, False])
    def test_an_account_that_regards_upper_and_lower_case(self, together: bool, account: Sandbox) -> None:
        created(account, {**ADA, "email": "Ada@Mail.example"}, BO)
        client = client_of(account)
        honest = client.iter_search_customers

        def exact(filters: Any, **options: Any) -> Any:
            wanted = {each.value for each in filters}
            found = honest(filters, **options)
            return closing(each for each in found if wanted & {each["email"], together and each["id"]})

        client.iter_search_customers = exact  # type: ignore[method-assign]
        records = [
            {"email": "Ada@Mail.example", "name": "Adele"},
            {"email": "BO@mail.example", "name": "Bob"},
        ]
        assert outcomes(Work(records, key="email").run(client)) == ["updated", "updated"]


LOST = ["reset", "close", "truncate"]


class TestFaults:
    @pytest.mark.parametrize("kind", LOST)
    def test_a_creation_whose_response_is_lost_is_not_repeated(self, kind: str, account: Sandbox) -> None:
        account.add_fault(Fault(kind, path="/v1/customers", method="POST"))
        assert upsert(account, [ADA, BO]) == ["created", "created"]
        assert sent(account)["POST /v1/customers"] == 2
        assert customer(account, **ADA)

    def test_a_creation_that_did_not_arrive_is_made_after_a_lookup(self, account: Sandbox) -> None:
        account.add_fault(Fault("status", status=500, path="/v1/customers", method="POST"))
        assert upsert(account, [ADA, BO]) == ["created", "created"]
        paths = [(request.method, request.path) for request in account.journal]
        assert paths[-2:] == [("POST", "/v1/customers/search"), ("POST", "/v1/customers")]
        assert len(writes(account)) == 2

    @pytest.mark.parametrize("kind", LOST)
    def test_a_change_whose_response_is_lost(self, kind: str, account: Sandbox) -> None:
        ids = created(account, ADA)
        account.add_fault(Fault(kind, path=f"/v1/customers/{ids[0]}"))
        assert upsert(account, [{**ADA, "name": "Adele"}]) == ["updated"]

    def test_one_row_without_a_response_does_not_stop_the_others(self, account: Sandbox) -> None:
        ids = created(account, ADA, BO)
        account.add_fault(Fault("status", status=503, path=f"/v1/customers/{ids[0]}", times=0))
        work = Work([{**ADA, "name": "Adele"}, {**BO, "name": "Bob"}])
        assert outcomes(work.run(account)) == ["failed", "updated"]
        assert "answered 503" in work.progress.errors[1]

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "Adele"},
            {"phone": "+49 30 1234567"},
            {"lastSeen": "1770000000"},
            {"locale": "de"},
            {"customData": {"orders": 5}},
            {"tags": "vip"},
        ],
    )
    def test_a_write_that_changes_nothing_is_no_success(
        self, change: dict[str, Any], account: Sandbox
    ) -> None:
        created(account, {**ADA, "customData": {"orders": 4}})
        account.add_fault(Fault("ignore_write", times=0))
        work = Work([{**ADA, **change}])
        assert outcomes(work.run(account)) == ["failed"]
        assert f"the customer that it sent back shows other {next(iter(change))}" in work.progress.errors[1]

    @pytest.mark.parametrize("field", ["phone", "locale"])
    def test_what_helpcrunch_writes_its_own_way_or_not_at_all_is_applied(
        self, field: str, account: Sandbox
    ) -> None:
        created(account, ADA)
        for shown in ({field: "another spelling"}, {}):
            client = client_of(account)
            honest = client.update_customer

            def update(*arguments: Any, shown: Any = shown, honest: Any = honest) -> Any:
                after = honest(*arguments)
                return {**{name: each for name, each in after.items() if name != field}, **shown}

            client.update_customer = update  # type: ignore[method-assign]
            assert outcomes(Work([{**ADA, field: f"wanted {len(shown)}"}]).run(client)) == ["updated"]

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (Fault("status", status=502, times=0), HelpCrunchServerError),
            (Fault("close", times=0), HelpCrunchConnectionError),
        ],
    )
    def test_three_in_a_row_stop_it_and_a_retry_goes_on(
        self, fault: Fault, error: type[Exception], account: Sandbox
    ) -> None:
        work = Work([{"userId": f"new-{number}"} for number in range(80)])
        client = client_of(account)
        run = work.engine().run(client)
        for _ in range(10):
            next(run)
        account.add_fault(fault)
        with pytest.raises(error):
            list(run)
        account.clear_faults()
        work.progress = work.progress.retried()
        assert len(work.run(account)) >= 67
        assert work.progress.counts()["created"] + work.progress.counts()["unchanged"] == 80
        assert len([each for each in account.customers if str(each["userId"]).startswith("new-")]) == 80

    def test_the_rate_limit_interrupts_between_two_requests(self, account: Sandbox) -> None:
        work = Work([{"userId": f"new-{number}"} for number in range(30)])
        engine, results = work.engine(), []
        while True:
            try:
                results += list(engine.run(client_of(account, most=7, period=3600.0)))
            except HelpCrunchRateLimitError:
                results += [None]
            else:
                break
        assert work.progress.counts()["created"] == len(writes(account)) == 30

    def test_a_dry_run_writes_nothing(self, account: Sandbox) -> None:
        ids = created(account, ADA)
        work = Work([{**ADA, "name": "Adele", "tags": ["vip"]}, BO, {"userId": 5, "notes": 5}], dry_run=True)
        results = work.run(account)
        assert [(each.outcome, each.customer, each.names) for each in results] == [
            ("planned", ids[0], ("name", "tags")),
            ("planned", None, ("name", "email", "userId")),
            ("planned", None, ("userId", "notes")),
        ]
        assert writes(account) == []


class TestFiveThousand:
    """Four in five are there already, one in a hundred is refused."""

    @pytest.mark.long
    def test_with_a_crash_in_the_middle(self, tmp_path: Path) -> None:
        account = Sandbox(rate_limit=None, agents=2, chats=13_000, now=1_800_000_000)
        ids = [each["userId"] for each in account.customers if each["userId"]][:4000]
        assert len(ids) == 4000
        ids += [f"new-{number}" for number in range(1000)]
        records = [
            {
                "userId": each,
                "company": f"Company {number}",
                "notes": "x" * (300 if number % 100 == 50 else 9),
            }
            for number, each in enumerate(ids)
        ]
        path = tmp_path / "customers.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))

        # Before Airflow 3.3 nothing is left of the first try but what HelpCrunch shows.
        with pytest.raises(Killed):
            Work(str(path)).run(killed_at(client_of(account), 2_345))
        assert len(writes(account)) == 2_345
        work = Work(str(path))
        work.run(account)
        assert work.progress.counts() == {
            "created": 990,
            "updated": 4000 - 40 - 2_345,
            "unchanged": 2_345,
            "planned": 0,
            "refused": 50,
            "failed": 0,
        }
        by_company = Counter(request.body["company"] for request in writes(account))
        assert (set(by_company.values()), len(by_company)) == ({1}, 4950)
        assert sent(account)[SEARCH] == 1 + 48 + 1 + 100

        receipt = work.reject(tmp_path / "rejects.csv")
        assert receipt["records"] == 50
        mended = (tmp_path / "rejects.csv").read_text().replace("x" * 300, "x" * 200)
        (tmp_path / "mended.csv").write_text(mended)
        last = Work(str(tmp_path / "mended.csv"))
        last.run(account)
        assert last.progress.counts()["created"] + last.progress.counts()["updated"] == 50
        by_company = Counter(request.body["company"] for request in writes(account))
        assert (set(by_company.values()), len(by_company)) == ({1}, 5000)


def killed_at(client: HelpCrunchClient, number: int) -> HelpCrunchClient:
    """Let the worker die when this many writes were made, before it learns of the last."""
    made = iter(range(1, number + 1))
    for name in ("create_customer", "update_customer"):
        honest = getattr(client, name)

        def write(*arguments: Any, honest: Any = honest) -> Any:
            done = honest(*arguments)
            if next(made) == number:
                raise Killed
            return done

        setattr(client, name, write)
    return client
