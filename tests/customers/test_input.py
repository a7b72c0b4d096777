"""The input: its rows, its survey, and the rejects that are an input again, in every format."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from numpy_integer import NumPyInteger
from upserting import Work, client_of, created, customer, outcomes, sent, upsert, writes

from airflow_provider_helpcrunch.customers.rejects import Rejects
from airflow_provider_helpcrunch.customers.rows import KEYS
from airflow_provider_helpcrunch.customers.survey import Survey
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.operators.record_source import RecordSource
from airflow_provider_helpcrunch.privacy import Privacy
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CUSTOMERS
from airflow_provider_helpcrunch.storage import Target, read_records

DAY = datetime(2026, 1, 31, tzinfo=UTC)
FORMATS = ["jsonl", "json", "csv", "parquet", "jsonl.gz", "csv.zst"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_of_ours_in_each_format_is_an_input(suffix: str, account: Sandbox, tmp_path: Path) -> None:
    path = str(tmp_path / f"customers.{suffix}")
    receipt = Target.resolve(path, CUSTOMERS).write(account.truth("customers"))
    for given in (path, dict(receipt)):
        assert set(outcomes(Work(given, key="id").run(account))) == {"unchanged"}
    assert writes(account) == []


TEXTS = (
    *("name", "email", "userId", "company", "phone", "notes", "source", "referer", "lastPage", "locale"),
    *("createdFrom", "integrationId"),
)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("column", [*TEXTS, "firstSeen", "unsubscribed", "tags.name", "customData"])
def test_hashes_do_not_replace_what_they_were_made_of(
    column: str, key: str, suffix: str, account: Sandbox, tmp_path: Path
) -> None:
    everything: dict[str, Any] = {**dict.fromkeys(TEXTS, "7"), "email": "a@b.example", "unsubscribed": True}
    everything |= {"tags": ["vip"], "customData": {"plan": "gold"}}
    made = created(account, {"name": "Ada", "userId": "7"})
    client_of(account).update_customer(made[0], everything)
    account._state.journal.clear()
    before = account.truth("customers")
    privacy = Privacy.of(CUSTOMERS, hashed=[column], salt="a long random text")
    path = str(tmp_path / f"customers.{suffix}")
    target = Target.resolve(path, privacy.table)
    receipt = target.write(privacy.apply(each) for each in before if each["id"] in made)
    work = Work(receipt, key=key)
    assert outcomes(work.run(account)) == ["refused"]
    field = column.partition(".")[0]
    if field == key == "userId":  # no customer is found by it, and a row with an id creates none
        assert "no customer has this userId" in work.progress.errors[1]
    else:
        assert f"{field} is a hash, which would replace the value in HelpCrunch" in work.progress.errors[1]
        assert sent(account) == {}
    assert account.truth("customers") == before

    again = Work(work.reject(tmp_path / f"rejects.{suffix}"), key=key)
    assert outcomes(again.run(account)) == ["refused"]
    assert again.progress.errors == work.progress.errors


def test_user_ids_of_a_system_that_makes_hashes(account: Sandbox) -> None:
    assert upsert(account, [{"userId": "0f" * 32, "name": "Ada"}]) == ["created"]
    assert upsert(account, [{"userId": "0f" * 32, "name": "Bo"}]) == ["updated"]
    near = {"name": "0F" * 32, "company": "0f" * 31, "notes": "0f" * 33}
    assert upsert(account, [{"userId": "u-1", **near}]) == ["created"]


def test_a_table_of_a_spreadsheet(account: Sandbox, tmp_path: Path) -> None:
    ids = created(account, {"userId": "u-1", "name": "Ada", "company": "Lypa LLC", "tags": ["vip"]})
    path = tmp_path / "customers.csv"
    path.write_text(
        "userId;company;blocked;tags;lastSeen;customData;error\n"
        'u-1;;TRUE;"vip, trial";2026-01-31;"{""orders"": 3}";of an earlier run\n'
        'u-2;"";;;;;\n'
        ";;;;;;\n"
    )
    work = Work(str(path))
    assert outcomes(work.run(account)) == ["updated", "created"]
    one = customer(account, id=ids[0])
    assert (one["company"], one["blocked"], one["customData"]) == ("Lypa LLC", True, {"orders": 3})
    assert {tag["name"] for tag in one["tags"]} == {"vip", "trial"}
    assert (work.survey.rows, work.survey.clears) == (2, None)


@pytest.mark.parametrize("rejects", FORMATS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_rejects_are_an_input_again(suffix: str, rejects: str, account: Sandbox, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {
            "userId": f"new-{number}",
            "name": 'Ada; "Bo", Cy\n',
            "notes": "x" * (300 if number in (2, 4) else 9),
            "lastSeen": "1770000000",
            "unsubscribed": True,
            "tags": [{"name": "vip", "color": "#ff8800"}, {"name": "a, b"}],
            "customData": {"plan": "gold", "orders": 4, "is_trial": False},
        }
        for number in range(6)
    ]
    source = str(tmp_path / f"customers.{suffix}")
    Target.resolve(source, CUSTOMERS).write(records)
    work = Work(source)
    assert outcomes(work.run(account)).count("refused") == 2
    receipt = work.reject(tmp_path / f"rejects.{rejects}")
    rows = list(read_records(receipt))
    assert [row["userId"] for row in rows] == ["new-2", "new-4"]
    assert all("notes: This value is too long" in row["error"] for row in rows)
    again = Work(receipt)
    assert outcomes(again.run(account)) == ["refused", "refused"]
    assert set(again.survey.columns) - {"error"} == {name for name in records[0] if name != "id"}

    mended = [{**row, "notes": "short"} for row in rows]
    assert outcomes(Work(mended).run(account)) == ["created", "created"]
    shown = [
        {
            name: value
            for name, value in customer(account, userId=f"new-{number}").items()
            if name in records[0]
        }
        for number in (1, 2, 4)
    ]
    for each in shown:
        each.pop("userId"), each.pop("notes")
    assert shown[0] == shown[1] == shown[2]


def test_rejects_without_any_are_an_empty_file(account: Sandbox, tmp_path: Path) -> None:
    work = Work([{"userId": "u-1", "name": "Ada"}])
    work.run(account)
    assert work.reject(tmp_path / "rejects.csv")["records"] == 0
    assert (tmp_path / "rejects.csv").read_text() == "userId,name,error\n"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_cannot_say_that_a_field_is_cleared(suffix: str, tmp_path: Path) -> None:
    survey = Survey.of([(1, {"userId": "u-1"}), (2, {"userId": "u-2", "name": None})], "userId")
    with pytest.raises(
        HelpCrunchConfigurationError, match="Row 2 of customers clears a field, and an empty cell"
    ):
        Rejects(str(tmp_path / f"rejects.{suffix}")).refuse_loss(survey)
    Rejects(str(tmp_path / "rejects.jsonl")).refuse_loss(survey)


WRONG: list[dict[str, Any]] = [
    *({"userId": value} for value in (True, 7.5, 2.0**60, ["u"], {"u": 1}, b"u", DAY, Decimal(7))),
    *({"name": value} for value in (True, 1.5, ["secret"], {}, b"Ada", DAY)),
    *({"tags": value} for value in (7, True, 7.0, [7], [{"name": DAY}], b"vip")),
    *({"customData": value} for value in (7, {"plan": DAY}, {1: "x"}, {"orders": math.inf}, {"plan": [1]})),
    *({"blocked": value} for value in (1, 0.0, [True], b"true")),
    *({"lastSeen": value} for value in (True, [1], b"2026-01-31")),
    *({"id": value} for value in (True, 7.5, ["7"])),
]


def with_another(receipt: dict[str, Any]) -> Work:
    """Return the work of a file, and of a row that has a key: an input without any is refused as a whole."""
    return Work([*(record for _, record in RecordSource.of("customers", receipt)), {"userId": "u-2"}])


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_what_was_refused_for_its_type_is_refused_again(
    suffix: str, wrong: dict[str, Any], account: Sandbox, tmp_path: Path
) -> None:
    work = Work([{"userId": "u-1", **wrong}, {"userId": "u-2"}])
    assert outcomes(work.run(account)) == ["refused", "created"]
    receipt = work.reject(tmp_path / f"rejects.{suffix}")
    for number in range(2):  # and so are the rejects of the rejects
        again = with_another(receipt)
        assert outcomes(again.run(account)) == ["refused", "unchanged"]
        assert again.progress.errors == work.progress.errors
        receipt = again.reject(tmp_path / f"again-{number}.{suffix}")
    assert len(writes(account)) == 1


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("userId", 77.0),
            ("userId", 77),
            ("userId", NumPyInteger(77)),
            ("phone", 380501234567.0),
            ("lastSeen", DAY),
            ("lastSeen", DAY.date()),
        ),
        *(("lastSeen", 1_770_000_000.0), ("tags", ("a, b", "c")), ("blocked", True)),
        *(
            ("customData", {"orders": 4.0, "is_trial": False}),
            ("customData", [{"property": "plan", "value": "x"}]),
        ),
    ],
)
def test_what_fits_means_the_same_in_the_rejects(
    field: str, value: Any, suffix: str, account: Sandbox, tmp_path: Path
) -> None:
    ids = created(account, {"userId": "77", "name": "Kim"})
    record = {"userId": "77", field: value}
    work = Work([{**record, "notes": "x" * 300}])
    assert outcomes(work.run(account)) == ["refused"]
    rows = list(read_records(work.reject(tmp_path / f"rejects.{suffix}")))
    assert outcomes(Work([{**row, "notes": "short"} for row in rows]).run(account)) == ["updated"]
    assert {request.customer for request in writes(account)} == set(ids)
    assert outcomes(Work([{**record, "notes": "short"}]).run(account)) == ["unchanged"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    "empty",
    [
        *({"userId": None}, {"userId": ""}, {"tags": None}, {"customData": ""}, {"id": None}),
        *({"location": None}, {"device": None}, {"error": None}),
    ],
)
def test_what_is_empty_without_clearing_a_field_is_no_loss(
    empty: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    survey = Survey.of([(1, {"userId": "u-1", **empty}), (2, {"userId": "u-2"})], "userId")
    Rejects(str(tmp_path / f"rejects.{suffix}")).refuse_loss(survey)


class TestSurvey:
    @pytest.mark.parametrize(
        ("records", "said"),
        [
            (["secret"], "Row 1 of customers must be an object with the fields of a customer, not str"),
            ([{"userId": "u-1"}, None], "Row 2 of customers must be an object"),
            (
                [{"userId": "u-1", "mail": "secret"}],
                "Row 1 of customers has 'mail', and a customer has no such field",
            ),
            ([{"userId": "u-1", "phone": float("nan")}], "Row 1 of customers has NaN as phone: leave it out"),
            ([{"userId": "u-1"}, {"userId": "u-\ud83d"}], "Row 2 of customers holds half of a character"),
            (
                [{"userId": "u-1", "customData": {"a": "\udc00"}}],
                "Row 1 of customers holds half of a character",
            ),
            (
                [{"email": "secret"}, {"name": "secret"}],
                "No row of customers has a readable userId, by which",
            ),
        ],
    )
    def test_what_is_no_list_of_customers(self, records: Any, said: str) -> None:
        with pytest.raises(HelpCrunchConfigurationError) as caught:
            Survey.of(enumerate(records, 1), "userId")
        assert said in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_nothing(self) -> None:
        assert Survey.of([], "userId").rows == 0

    def test_equal_input_has_an_equal_fingerprint(self) -> None:
        records = [{"userId": "u-1", "firstSeen": datetime(2026, 1, 31, tzinfo=UTC)}, {"userId": "u-2"}]
        found = {Survey.of(enumerate(each, 1), "userId").fingerprint for each in (records, records[:])}
        assert len(found) == 1
        others = [records[::-1], records[:1], [*records, {}], [{**records[0], "name": None}, records[1]]]
        found |= {Survey.of(enumerate(each, 1), "userId").fingerprint for each in others}
        assert len(found) == 5


class TestSource:
    @pytest.mark.parametrize("given", [None, 5, "", "  ", {"userId": "u-1"}, b"u-1", '{"userId": "u-1"}'])
    def test_what_is_no_source(self, given: Any) -> None:
        with pytest.raises(
            HelpCrunchConfigurationError, match="customers must be a list of records, its JSON text"
        ):
            RecordSource.of("customers", given)

    def test_what_is_not_json(self) -> None:
        with pytest.raises(HelpCrunchConfigurationError, match="which is not JSON"):
            RecordSource.of("customers", "[{'userId': 1}]")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(HelpCrunchStorageError, match="There is no object"):
            list(RecordSource.of("customers", str(tmp_path / "gone.jsonl")))

    @pytest.mark.parametrize("given", [[{"id": 1}], ({"id": 1},), json.dumps([{"id": 1}]), iter([{"id": 1}])])
    def test_a_list_can_be_read_again(self, given: Any) -> None:
        source = RecordSource.of("customers", given)
        assert list(source) == list(source) == [(1, {"id": 1})]
        assert source.path is None
