"""Customers, messages and applications in files with columns: every field of the API has one, in one type."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient, parse_timestamp
from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import (
    AGENTS,
    APPLICATIONS,
    CHATS,
    CUSTOMERS,
    DEPARTMENTS,
    MESSAGES,
    Table,
)
from airflow_provider_helpcrunch.storage import Target, read_records
from airflow_provider_helpcrunch.storage.tabular import Rows

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]


def written(path: Path, table: Table, records: Any) -> list[dict[str, Any]]:
    """Write records, and return what is read back."""
    Target.resolve(str(path), table).write(iter(records))
    return list(read_records(str(path), table=table))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("timestamps", ["string", "integer", "fractional"])
@pytest.mark.parametrize("shape", ["new", "old"])
def test_a_file_has_every_field_whatever_the_documentation_calls_it(
    sandbox: Start, client: Connect, tmp_path: Path, suffix: str, timestamps: str, shape: str
) -> None:
    connected = client(sandbox(agents=3, chats=40, timestamps=timestamps, shape=shape, tech_messages=True))
    chat = next(connected.iter_chats())["id"]
    connected.update_chat_status(chat, "pending")
    for table, records in (
        (CUSTOMERS, connected.list_customers()),
        (MESSAGES, connected.list_messages(chat)),
        (APPLICATIONS, connected.list_applications()),
    ):
        rows = written(tmp_path / f"{table.name}.{suffix}", table, records)
        assert [row["id"] for row in rows] == [record["id"] for record in records]  # type: ignore[index]
        seen = Rows(table)
        assert len(list(seen.of(records))) == len(records) > 0
        assert seen.unknown == set()
        for row, record in zip(rows, records, strict=True):
            for column in table.columns:
                if column.type == "timestamp" and record.get(column.name) is not None:
                    assert isinstance(row[column.name], datetime)
                    assert row[column.name] == parse_timestamp(record[column.name])  # type: ignore[literal-required]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    "table", [AGENTS, APPLICATIONS, CHATS, CUSTOMERS, DEPARTMENTS, MESSAGES], ids=attrgetter("name")
)
def test_rows_that_were_read_are_written_again_as_they_were(
    suffix: str, table: Table, tmp_path: Path
) -> None:
    """So an export writes what has been deleted since, and a file of ours is an input."""
    records = Sandbox(agents=3, departments=2, chats=60, messages=4).truth(table.name)
    rows = written(tmp_path / f"first.{suffix}", table, records)
    assert len(rows) == len(records) > 0
    assert written(tmp_path / f"again.{suffix}", table, rows) == rows
    assert (tmp_path / f"again.{suffix}").read_bytes() == (tmp_path / f"first.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("custom_data", ["object", "array"])
def test_custom_data_is_json_text_of_one_shape(
    sandbox: Start, client: Connect, tmp_path: Path, suffix: str, custom_data: str
) -> None:
    customers = client(sandbox(chats=60, custom_data=custom_data)).list_customers()
    rows = written(tmp_path / f"customers.{suffix}", CUSTOMERS, customers)
    assert [json.loads(row["customData"]) for row in rows] == [each["customData"] for each in customers]


@pytest.mark.parametrize(
    "data",
    [[1], "text", 5, {"a": "\ud83d"}, {"a": object()}],
    ids=["list", "text", "number", "half an emoji", "object"],
)
def test_a_value_that_is_no_object_does_not_fit_a_json_column(data: Any) -> None:
    with pytest.raises(HelpCrunchStorageError, match="'customData' of 'customers' cannot hold a value"):
        list(Rows(CUSTOMERS).of([{"id": 1, "customData": data}]))
