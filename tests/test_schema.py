"""The tables of CSV and Parquet against ``columns.json``: no release takes a column away or changes its type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from airflow_provider_helpcrunch import schema
from airflow_provider_helpcrunch.schema import Column, Table

COLUMNS: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("columns.json").read_text(encoding="utf-8")
)
"""The columns of each table, with their types, as a release, or the commit before, had them."""


def flat(columns: Iterable[Column], inside: str = "") -> Iterator[str]:
    """Yield each column with its type, and behind an object the columns inside it."""
    for column in columns:
        yield f"{inside}{column.name} {column.type}"
        yield from flat(column.fields, f"{inside}{column.name}.")


TABLES = {each.name: each for each in vars(schema).values() if isinstance(each, Table)}


@pytest.mark.parametrize("name", COLUMNS)
def test_no_column_goes_or_changes_its_type(name: str) -> None:
    now = list(flat(TABLES[name].columns))
    assert [column for column in COLUMNS[name] if column not in now] == []


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_added_at_the_end(name: str) -> None:
    before = [column for column in COLUMNS[name] if "." not in column]
    assert [f"{column.name} {column.type}" for column in TABLES[name].columns][: len(before)] == before


def test_new_tables_and_columns_are_kept_from_now_on() -> None:
    now = {name: list(flat(table.columns)) for name, table in TABLES.items()}
    assert now == COLUMNS, "Write what is new into tests/columns.json."
