"""``docs/compatibility.md`` against the code: which modules are public, and the columns that no release takes away."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from airflow_provider_helpcrunch import schema
from airflow_provider_helpcrunch.schema import Column, Table

CLONE = Path(__file__).resolve().parents[1]
PAGE = (CLONE / "docs/compatibility.md").read_text(encoding="utf-8")
PACKAGE = "airflow_provider_helpcrunch"
COLUMNS: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("columns.json").read_text(encoding="utf-8")
)
"""The columns of each table, with their types, as some release or the version before this change had them."""


def public_modules() -> list[str]:
    """Return the modules that the page names, beside those that Airflow is told of."""
    (sentence,) = re.findall(r"and (`approvals`.*?)\. All others are internal", PAGE, re.DOTALL)
    return re.findall(r"`([\w.]+)`", sentence)


def test_the_page_names_the_modules_of_the_reference() -> None:
    tree = ast.parse((CLONE / "scripts/documentation/hooks.py").read_text(encoding="utf-8"))
    (beside,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BESIDE"
    ]
    assert isinstance(beside, ast.Call)
    assert isinstance(beside.func, ast.Attribute)
    in_reference = ast.literal_eval(beside.func.value).split()
    # The page says how tests use the sandbox elsewhere; its plugin is a part of it.
    assert sorted(public_modules()) == sorted(set(in_reference) - {"sandbox.pytest_plugin"})


@pytest.mark.parametrize("name", public_modules())
def test_a_public_module_is_there_and_says_what_is_in_it(name: str) -> None:
    assert importlib.import_module(f"{PACKAGE}.{name}").__doc__


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
