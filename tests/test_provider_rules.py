"""Airflow's rules for its own providers, as far as no other test is about them already."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from every_operator import REQUIRED, every_operator
from public_modules import known_to_airflow, named_beside

from airflow_provider_helpcrunch.operators.base import WRITES_COLOR, HelpCrunchOperator

CLONE = Path(__file__).resolve().parents[1]
PACKAGE = CLONE / "airflow_provider_helpcrunch"
PACKAGES = sorted(file.parent.relative_to(PACKAGE) for file in PACKAGE.rglob("*/__init__.py"))
MODULES = sorted(file.stem for file in PACKAGE.glob("*.py") if not file.stem.startswith("__"))

WRITERS = {
    *("ReassignChatsOperator", "SendMessageOperator", "UpdateChatAssigneeOperator", "UpdateChatsOperator"),
    "UpsertCustomersOperator",
}
"""Operators that change the account."""


@cache
def _imported(place: Path) -> set[str]:
    """Return the modules that a file, or all files below a folder, import, and the names that they import from them."""
    files = [place] if place.is_file() else place.rglob("*.py")
    found = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _is_task_of(name: str, node: ast.AST) -> bool:
    """Say whether a node makes a task of a class, ``Name(…)`` or ``Name.partial(…)``."""
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute) and function.attr == "partial":
        function = function.value
    return isinstance(function, ast.Name) and function.id == name


@cache
def _examples() -> list[ast.AST]:
    return [
        node
        for file in (CLONE / "dags").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
    ]


@pytest.mark.parametrize("operator", every_operator())
def test_an_example_dag_has_a_task_of_it(operator: type[HelpCrunchOperator]) -> None:
    name = operator.__name__
    assert any(_is_task_of(name, node) for node in _examples())


@pytest.mark.parametrize("operator", every_operator())
def test_the_graph_shows_by_color_what_changes_the_account(operator: type[HelpCrunchOperator]) -> None:
    assert (operator.ui_color == WRITES_COLOR) is (operator.__name__ in WRITERS)


@pytest.mark.parametrize("module", [*known_to_airflow(), *named_beside()])
def test_a_public_module_has_tests_of_its_own(module: str) -> None:
    """A module ``a.b`` has ``tests/a/test_b.py``, or a folder ``tests/a/b``, that imports it."""
    place = (CLONE / "tests").joinpath(*module.split("."))
    file = place.with_name(f"test_{place.name}.py")
    files = [file] if file.exists() else [*place.glob("test_*.py")]
    assert any(f"{PACKAGE.name}.{module}" in _imported(each) for each in files)


@pytest.mark.parametrize("package", PACKAGES, ids=str)
def test_each_package_has_a_folder_of_tests_that_import_it(package: Path) -> None:
    """A package is tested through its surface, so that not each of its internal modules needs a file of tests."""
    folder = CLONE / "tests" / package
    assert [*folder.glob("test_*.py")]
    dotted = ".".join([PACKAGE.name, *package.parts])
    assert any(f"{name}.".startswith(f"{dotted}.") for name in _imported(folder))


@pytest.mark.parametrize("module", MODULES)
def test_a_test_imports_each_module_outside_of_the_packages(module: str) -> None:
    assert f"{PACKAGE.name}.{module}" in _imported(CLONE / "tests")


@pytest.mark.parametrize("operator", every_operator())
def test_template_fields_are_attributes(operator: type[HelpCrunchOperator]) -> None:
    task = operator(task_id="task", **REQUIRED.get(operator.__name__, {}))
    assert [field for field in task.template_fields if not hasattr(task, field)] == []
    assert set(task.template_fields_renderers) <= set(task.template_fields)
