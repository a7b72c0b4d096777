"""``docs/errors.md`` against the code: each message that it quotes exists, and each error class is on it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from airflow_provider_helpcrunch import exceptions

CLONE = Path(__file__).resolve().parents[1]
PACKAGE = CLONE / "airflow_provider_helpcrunch"
PAGE = "docs/errors.md"
OF_AIRFLOW = "Messages of Airflow"
VARIABLE = "\0"
"""Stands in a message for a part that varies: a replacement field of an f-string, or ``%s`` of a log call."""


def quoted(page: str) -> list[str]:
    """Return the messages that the page quotes: the code in the first column of its tables of messages."""
    messages: list[str] = []
    in_messages = False
    for line in page.partition(f"## {OF_AIRFLOW}")[0].splitlines():
        if line.startswith("| message |"):
            in_messages = True
        elif not line.startswith("|"):
            in_messages = False
        elif in_messages:
            first = re.split(r"(?<!\\)\|", line)[1]
            messages += [text.replace(r"\|", "|") for text in re.findall("`([^`]+)`", first)]
    return messages


def texts(source: str) -> list[str]:
    """Return all texts of a module but its docstrings, which would prove nothing about what it says."""
    tree = ast.parse(source)
    not_said = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for part in ast.iter_child_nodes(node)
    }
    found = [_text(node) for node in ast.walk(tree) if node not in not_said]
    return [text for text in found if text]


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or VARIABLE for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%(s|d|\.\d*f)", VARIABLE, node.value)
    return ""


def is_said(message: str, by: list[str]) -> bool:
    """Return whether one of the texts holds all parts of the message, in their order."""
    parts = [re.escape(part.strip()) for part in message.split("…") if part.strip()]
    pattern = re.compile(".*".join(parts), re.DOTALL)
    return any(pattern.search(text) for text in by)


@cache
def said() -> list[str]:
    modules = [path for path in PACKAGE.rglob("*.py") if "sandbox" not in path.relative_to(PACKAGE).parts]
    return [text for module in modules for text in texts(module.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def page() -> str:
    return (CLONE / PAGE).read_text(encoding="utf-8")


def test_every_message_on_the_page_is_in_the_code(page: str) -> None:
    messages = quoted(page)
    assert len(messages) > 100
    gone = [
        f"{PAGE} documents `{message}`, which no module says any more."
        for message in messages
        if not is_said(message, said())
    ]
    assert not gone, "\n".join([*gone, "Quote the new wording there, or remove the row."])


def test_every_error_class_is_on_the_page(page: str) -> None:
    classes = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and value.__module__ == exceptions.__name__ and not name.startswith("_")
    }
    assert len(classes) > 15
    assert {name for name in classes if f"`{name}`" not in page} == set()


@pytest.mark.parametrize(
    ("message", "is_there"),
    [
        ("the account has no agent", True),
        ("has no agent … and no", True),
        ("agent … and no chat …", True),
        ("the account has no agents", False),
        ("and no … has no agent", False),
        ("of the docstring", False),
        ("after … s", True),
    ],
)
def test_a_message_is_compared_by_its_parts_and_their_order(message: str, is_there: bool) -> None:
    module = """
'A text of the docstring.'
msg = f"the account has no agent {agent}, " f"and no chat"
wait = "after %.0f s"
"""
    assert is_said(message, texts(module)) is is_there
