"""``docs/compatibility.md`` against the code: which modules are public."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from public_modules import named_beside

CLONE = Path(__file__).resolve().parents[1]
PACKAGE = "airflow_provider_helpcrunch"


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
    assert sorted(named_beside()) == sorted(set(in_reference) - {"sandbox.pytest_plugin"})


@pytest.mark.parametrize("name", named_beside())
def test_a_public_module_is_there_and_says_what_is_in_it(name: str) -> None:
    assert importlib.import_module(f"{PACKAGE}.{name}").__doc__
