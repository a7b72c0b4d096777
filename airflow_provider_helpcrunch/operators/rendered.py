"""
Detection of arguments that lost their value in rendering, as opposed to those that were left out.

Most optional arguments mean "everything" or "the default" when they are ``None``. A template or an upstream task that
results in ``None`` must not widen a job that way: ``department=None`` moves the chats of all departments. So each
argument is compared before and after rendering. Left out, or written as ``None``, it gets its default; written as
something and rendered to nothing, it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jinja2 import Environment

_NOTHING = frozenset({"", "none", "null", "undefined", "[]", "{}", "()", "set()"})
"""Texts to which a template renders a missing or empty value."""

_NULL = re.compile(r"[\[,]\s*(?:null|None)\s*[\],]")

_BEGINS = frozenset({"variable_begin", "block_begin", "linestatement_begin"})
"""Jinja's names of the signs that begin a template."""

_UPSTREAM = object()
"""Placeholder for a value from an upstream task: unknown when the DAG is parsed, but meant to be something."""


def missing_arguments(
    written: Mapping[str, Any], rendered: Mapping[str, Any], *, may_be_empty: Iterable[str] = ()
) -> Iterator[str]:
    """
    Yield the names of the arguments that have a value in the DAG file and none after rendering.

    :param written: the arguments before rendering
    :param rendered: the arguments after rendering
    :param may_be_empty: names of arguments for which an empty list is a valid value
    :return: an iterator over names
    """
    for name, value in rendered.items():
        if name in may_be_empty and (_is_empty(value) or value == "[]"):
            continue
        if _is_missing(written.get(name), value):
            yield name


def written_in_mapped(operator: Any, given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """
    Return the arguments of a mapped task as they are written in the DAG file.

    A mapped task is constructed from resolved values. Only the mapped operator knows whether a ``None`` among them is
    from the DAG file or from upstream.

    :param operator: the mapped operator, as it is in the DAG
    :param given: the resolved arguments of the mapped task
    :param names: names of the wanted arguments
    :return: for each name the value as it is written, or a placeholder if it came from upstream
    """
    return {name: _written(operator, given[name], name) for name in names if name in given}


def text_without_template(value: str, environment: Environment) -> str | None:
    """
    Return a text as Jinja leaves it, without its comments, or ``None`` if there is a template in it.

    :param value: the text before rendering
    :param environment: the Jinja environment, which says what begins a template
    :raises jinja2.TemplateSyntaxError: the template is malformed
    """
    tokens = list(environment.lex(value))
    if any(kind in _BEGINS for _, kind, _ in tokens):
        return None
    return "".join(text for _, kind, text in tokens if kind == "data")


def _written(operator: Any, value: Any, name: str) -> Any:
    if name in operator.partial_kwargs:
        return operator.partial_kwargs[name]
    choices = operator.expand_input.value
    if isinstance(choices, Mapping):  # expand(name=[…])
        choices = choices.get(name)
        choices = list(choices.values()) if isinstance(choices, Mapping) else choices
    elif isinstance(choices, (list, tuple)):  # expand_kwargs([{name: …}, …])
        choices = [choice.get(name, _UPSTREAM) for choice in choices if isinstance(choice, Mapping)]
    # Which of the choices this task got is not known here. A value that is among those in the DAG file counts as
    # written by the author; anything else, and everything from an XCom, came from upstream.
    return value if isinstance(choices, (list, tuple)) and value in choices else _UPSTREAM


def _is_missing(written: Any, value: Any) -> bool:
    if value is None or _is_undefined(value):
        return written is not None
    if isinstance(value, str):
        # A text that rendering did not change is left to the argument's own check, which has the better message.
        return value != written and (value.strip().lower() in _NOTHING or _has_null(value))
    if _is_empty(value):
        return not _is_empty(written)
    if isinstance(value, Mapping):
        # In a record from upstream, null fields are normal. A dictionary in the DAG file is checked field by field: a
        # template inside it may have rendered to nothing.
        return isinstance(written, Mapping) and any(
            _is_missing(written.get(key), item) for key, item in value.items()
        )
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        # Entries can be compared one by one only as long as rendering kept their number.
        same = isinstance(written, (list, tuple)) and len(written) == len(value)
        return any(_is_missing(written[at] if same else _UPSTREAM, item) for at, item in enumerate(value))
    return False


def _is_undefined(value: Any) -> bool:
    from jinja2 import Undefined

    return isinstance(value, Undefined)


def _is_empty(value: Any) -> bool:
    return (
        isinstance(value, (Sequence, Mapping, set, frozenset))
        and not isinstance(value, str)
        and len(value) == 0
    )


def _has_null(text: str) -> bool:
    """Say whether a text is a list with an empty entry: ``null`` in JSON or ``None`` in Python."""
    return text.lstrip().startswith("[") and bool(_NULL.search(text))
