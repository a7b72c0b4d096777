"""
``docs/errors.md`` against the code, both ways: what it quotes is in it, and each error and its class are on the page.

That the tests produce what it quotes is for a run of all tests to show: see ``produced_messages.py``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache

import pytest
from errors_page import CLONE, PAGE, is_said, page, quoted

from airflow_provider_helpcrunch import exceptions
from airflow_provider_helpcrunch._airflow import AirflowFailException

PACKAGE = CLONE / "airflow_provider_helpcrunch"
VARIABLE = "\0"
"""Stands in a message for a part that varies: a replacement field of an f-string, or ``%s`` of a log call."""
CLASSES = {
    name
    for name, value in vars(exceptions).items()
    if isinstance(value, type) and issubclass(value, exceptions.HelpCrunchError) and not name.startswith("_")
}
MAKERS = CLASSES | {"refused", "_refuse"}
"""What makes an error of its first argument: the classes, and functions that return or raise one."""
LOGGED = {"warning", "error", "exception", "critical", "warn"}
"""Methods that log their first argument: those of loggers above the level INFO, and ``warn`` of an export's run."""


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
        return re.sub(r"%(s|d|r|\.\d*f)", VARIABLE, node.value)
    return ""


def raised(source: str) -> list[str]:
    """
    Return the texts of all errors of this package that a module makes: those given to one of ``MAKERS``, and those of
    variables named ``msg`` unless they are for another class of errors, which the package catches.

    A text without two words of its own passes on what another error or the server said.
    """
    return _found(_messages, ast.parse(source))


def logged(source: str) -> list[str]:
    """
    Return the texts that a module logs as warnings or errors.

    A text without two words of its own passes on what an error says.
    """
    return _found(_warnings, ast.parse(source))


def _found(messages_of: Callable[[ast.AST], list[ast.expr]], tree: ast.AST) -> list[str]:
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = [text for scope in scopes for value in messages_of(scope) for text in _texts(value, scope, tree)]
    return [text for text in dict.fromkeys(found) if len(re.findall(r"[a-zA-Z]{2,}", text)) > 1]


def _warnings(function: ast.AST) -> list[ast.expr]:
    calls = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOGGED
        and _name(node.func.value) != "warnings"
    ]
    # A format of "%s" alone keeps a finished text from being taken for one.
    return [call.args[1] if _text(call.args[0]) == VARIABLE else call.args[0] for call in calls]


def _messages(function: ast.AST) -> list[ast.expr]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and node.args]
    given = [call.args[0] for call in calls if _name(call.func) in MAKERS]
    if any(_name(call.args[0]) == "msg" and _name(call.func).endswith("Error") for call in calls):
        return given
    return [*given, *_assigned(function, "msg")]


def _assigned(function: ast.AST, name: str) -> list[ast.expr]:
    nodes = list(ast.walk(function))
    assigned = [
        (target, node.value) for node in nodes if isinstance(node, ast.Assign) for target in node.targets
    ]
    named = [(node.target, node.value) for node in nodes if isinstance(node, ast.NamedExpr)]
    return [value for target, value in [*assigned, *named] if _name(target) == name]


def _texts(value: ast.AST, scope: ast.AST, tree: ast.AST) -> list[str]:
    """Return the texts that an expression may become: through variables of its function, and calls in its module."""
    if isinstance(value, ast.JoinedStr | ast.Constant):
        return [_text(value)]
    if isinstance(value, ast.Name):
        return [text for each in _assigned(scope, value.id) for text in _texts(each, scope, tree)]
    if isinstance(value, ast.Call):
        functions = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == _name(value.func)
        ]
        returned = [
            (node.value, function)
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        ]
        if returned:
            return [text for each, function in returned for text in _texts(each, function, tree)]
    return [text for part in ast.iter_child_nodes(value) for text in _texts(part, scope, tree)]


def _name(node: ast.AST) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


@cache
def sources() -> dict[str, str]:
    """Return the source of each module of the package but the sandbox, by its path."""
    modules = {path.relative_to(PACKAGE): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {
        str(name): path.read_text(encoding="utf-8")
        for name, path in modules.items()
        if "sandbox" not in name.parts
    }


@cache
def said() -> list[str]:
    return [text for source in sources().values() for text in texts(source)]


def test_every_message_on_the_page_is_in_the_code() -> None:
    messages = quoted()
    assert len(messages) > 100
    gone = [
        f"{PAGE} documents `{message}`, which no module says any more."
        for message in messages
        if not is_said(message, said())
    ]
    assert not gone, "\n".join([*gone, "Quote the new wording there, or remove the row."])


@pytest.mark.parametrize(
    ("texts_of", "verb", "more_than"),
    [(raised, "raises", 200), (logged, "logs", 40)],
    ids=["errors", "warnings"],
)
def test_everything_that_the_code_says_is_on_the_page(
    texts_of: Callable[[str], list[str]], verb: str, more_than: int
) -> None:
    messages = quoted()
    found = [(name, text) for name, source in sources().items() for text in texts_of(source)]
    assert len(found) > more_than
    missing = [
        f"{name} {verb} {text.replace(VARIABLE, '…')!r}, which {PAGE} does not explain."
        for name, text in found
        if not any(is_said(message, [text]) for message in messages)
    ]
    assert not missing, "\n".join([*missing, "Add a row there: what it means, and what to do."])


def test_every_error_class_is_on_the_page() -> None:
    assert len(CLASSES) > 15
    assert {name for name in CLASSES if f"`{name}`" not in page()} == set()


def test_the_page_says_which_errors_are_retried() -> None:
    rows = re.findall(r"^\| \[`(HelpCrunch\w+)`\].*\| (yes|no) \|$", page(), re.MULTILINE)
    permanent = {name for name in CLASSES if issubclass(getattr(exceptions, name), AirflowFailException)}
    assert dict(rows) == {name: "no" if name in permanent else "yes" for name in CLASSES}


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


def test_errors_are_found_however_they_are_made() -> None:
    module = """
def check(value):
    if not value:
        raise HelpCrunchError("given at once")
    if value < 0:
        problem = f"given as {value}" if value else "given as nothing"
        raise errors.HelpCrunchError(problem, attempts=1)
    msg = "made by a class that " + "varies"
    raise kinds[value](msg)

def convert(value):
    msg = "caught by the caller"
    raise ValueError(msg)

def pass_on(error):
    raise HelpCrunchError(f"{error}: {why(error)}") from HelpCrunchError(why(error))

def why(error):
    return "returned by a function"
"""
    found = {text.replace(VARIABLE, "…") for text in raised(module)}
    assert found == {
        "given at once",
        "given as …",
        "given as nothing",
        "made by a class that ",
        "returned by a function",
    }


def test_warnings_are_found_however_they_are_logged() -> None:
    module = """
def look(self, error):
    log.warning("Could not look at chat %d: %s", 1, error)
    self._log.error("No row has a key" if error else "No row has an id")
    warning = f"Messages of {error} are missing"
    log.warning("%s", warning)
    if (line := line_of(error)) is not None:
        self.log.warning(line)

async def poll(self, error):
    self.log.exception("The poll failed")
    self.run.warn("Kept for the manifest")

def line_of(row):
    return f"Row {row} was refused"

def not_logged(self, error):
    log.info("Nothing to do")
    log.warning("%s: %s", 1, error)
    warnings.warn("It has another name", DeprecationWarning)
    return error.outcome.exception()
"""
    found = {text.replace(VARIABLE, "…") for text in logged(module)}
    assert found == {
        "Could not look at chat …: …",
        "No row has a key",
        "No row has an id",
        "Messages of … are missing",
        "Row … was refused",
        "The poll failed",
        "Kept for the manifest",
    }
