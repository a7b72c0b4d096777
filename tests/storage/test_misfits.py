"""A value that does not fit its column is loud, and says nothing about anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import Table
from airflow_provider_helpcrunch.storage import Target, read_records

pytestmark = pytest.mark.older

SECRET = "kim@mail.example"


@pytest.fixture(params=["csv", "parquet"])
def write(request: pytest.FixtureRequest, table: Table, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write one record, and read it back with its types."""

    def write_one(**record: Any) -> dict[str, Any]:
        receipt = Target.resolve(str(tmp_path / f"x.{request.param}"), table).write([record])
        [row] = read_records(receipt, table=table)
        return row

    return write_one


@pytest.mark.parametrize(
    ("field", "value", "column", "found", "expected"),
    [
        ("text", {"a": SECRET}, "text", "dict", "string"),
        ("text", [SECRET], "text", "list", "string"),
        ("text", True, "text", "bool", "string"),
        ("text", 1.5, "text", "float", "string"),
        ("text", f"{SECRET}\ud83d", "text", "str", "string"),
        ("read", 1, "read", "int", "bool"),
        ("read", SECRET, "read", "str", "bool"),
        ("createdAt", SECRET, "createdAt", "str", "timestamp"),
        ("createdAt", "2024-05-01T08:00:00Z", "createdAt", "str", "timestamp"),
        ("createdAt", "NaN", "createdAt", "str", "timestamp"),
        ("createdAt", "1e9", "createdAt", "str", "timestamp"),
        ("createdAt", float("inf"), "createdAt", "float", "timestamp"),
        ("createdAt", True, "createdAt", "bool", "timestamp"),
        ("createdAt", 10**18, "createdAt", "int", "timestamp"),
        ("createdAt", str(10**18), "createdAt", "str", "timestamp"),
        ("createdAt", 10**30, "createdAt", "int", "timestamp"),
        ("customer", [SECRET], "customer", "list", "object"),
        ("customer", SECRET, "customer", "str", "object"),
        ("customer", {"id": SECRET}, "customer.id", "str", "int64"),
        ("agents", {"name": SECRET}, "agents", "dict", "list"),
        ("agents", [SECRET], "agents", "str", "object"),
        ("agents", [{"id": 1}, {"seen": SECRET}], "agents.seen", "str", "timestamp"),
    ],
)
def test_a_misfit(
    write: Callable[..., Any], field: str, value: Any, column: str, found: str, expected: str
) -> None:
    with pytest.raises(HelpCrunchStorageError) as error:
        write(id=4711, **{field: value})
    message = str(error.value)
    assert message.startswith(
        f"Column {column!r} of 'things' cannot hold a value of the record with id 4711: "
        f"it is of type {found}, and {expected} is expected"
    )
    assert SECRET not in message
    assert error.value.__suppress_context__


@pytest.mark.parametrize("value", [SECRET, 2**63, str(2**63), "", 1.0, True, "٣", " 3", [3]])
def test_a_misfit_of_the_id_itself(write: Callable[..., Any], value: Any) -> None:
    with pytest.raises(HelpCrunchStorageError, match="Column 'id' of 'things'") as error:
        write(id=value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("record", [[SECRET], SECRET, None, 3])
@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_a_record_that_is_no_record(record: Any, suffix: str, table: Table, tmp_path: Path) -> None:
    with pytest.raises(HelpCrunchStorageError) as error:
        Target.resolve(str(tmp_path / f"x.{suffix}"), table).write([record])
    assert type(record).__name__ in str(error.value)
    assert SECRET not in str(error.value)
    assert not (tmp_path / f"x.{suffix}").exists()


@pytest.mark.parametrize("value", [f"{SECRET}\ud83d", {1, 2}.__iter__(), {(1, 2): SECRET}])
def test_a_record_that_is_no_json(value: Any, table: Table, tmp_path: Path) -> None:
    with pytest.raises(
        HelpCrunchStorageError, match="record with id 4711 cannot be written as JSON"
    ) as error:
        Target.resolve(str(tmp_path / "x.jsonl"), table).write([{"id": 4711, "text": value}])
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        (1714550400, datetime(2024, 5, 1, 8, tzinfo=UTC)),
        ("1714550400", datetime(2024, 5, 1, 8, tzinfo=UTC)),
        ("1714550400.000", datetime(2024, 5, 1, 8, tzinfo=UTC)),
        ("1714550400.913", datetime(2024, 5, 1, 8, 0, 0, 913_000, tzinfo=UTC)),
        ("1714550400.1234567", datetime(2024, 5, 1, 8, 0, 0, 123_457, tzinfo=UTC)),
        (1714550400.5, datetime(2024, 5, 1, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("-0.5", datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_timestamps(write: Callable[..., Any], sent: Any, moment: datetime | None) -> None:
    assert write(id=1, createdAt=sent)["createdAt"] == moment


def test_numbers_and_texts_change_places_without_loss(write: Callable[..., Any]) -> None:
    row = write(id="9007199254740993", text=7)
    assert (row["id"], row["text"]) == (9007199254740993, "7")


def test_fields_without_a_column(table: Table, tmp_path: Path, warned: list[str]) -> None:
    records = [
        {"id": n, "mood": 1, "customer": {"id": 1, "hat": 2}, "agents": [{"shoe": 3}, None]} for n in range(3)
    ]
    receipt = Target.resolve(str(tmp_path / "x.csv"), table).write(records)
    assert next(read_records(receipt)).keys() == {column.name for column in table.columns}
    [warning] = warned
    assert warning.endswith("agents.shoe, customer.hat, mood")


def test_json_lines_keep_all_fields(table: Table, tmp_path: Path, warned: list[str]) -> None:
    receipt = Target.resolve(str(tmp_path / "x.jsonl"), table).write([{"id": 1, "mood": 1}])
    assert list(read_records(receipt)) == [{"id": 1, "mood": 1}]
    assert warned == []
