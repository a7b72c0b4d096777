"""
The difference between an argument that was left out and one that lost its value on the way.

Most optional arguments mean "everything" or "the default" when they are ``None``. A template or an upstream task that
comes out as ``None`` must not widen a job that way. So what the author of the DAG wrote is compared with what it was
rendered to: written as ``None`` or left out is the default; written as something and rendered to nothing is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NOTHING = frozenset({"", "none", "null", "undefined", "[]", "{}", "()", "set()"})
"""Texts that a template makes of a value that is missing or empty."""

_NULL = re.compile(r"[\[,]\s*(?:null|None)\s*[\],]")

_UPSTREAM = object()
"""Stands for a value from an upstream task: unknown in the DAG file, but something."""


def missing_arguments(
    written: Mapping[str, Any], rendered: Mapping[str, Any], *, may_be_empty: Iterable[str] = ()
) -> Iterator[str]:
    """
    Yield the names of the arguments that were something in the DAG file and are nothing now.

    :param written: the arguments before rendering
    :param rendered: the arguments after rendering
    :param may_be_empty: those for which an empty list is a value
    :return: an iterator over names
    """
    for name, value in rendered.items():
        if name in may_be_empty and (_is_empty(value) or value == "[]"):
            continue
        if _is_missing(written.get(name), value):
            yield name


def written_in_mapped(operator: Any, given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """
    Return what the author of the DAG wrote for the arguments of a mapped task.

    A mapped task is constructed from values that are resolved already. Only the mapped operator knows whether a
    ``None`` among them stood in the DAG file or came from upstream.

    :param operator: the mapped operator, as it is in the DAG
    :param given: the arguments that the mapped task was constructed with
    :param names: the arguments that are wanted
    :return: for each name the value as it was written, or a placeholder where it came from upstream
    """
    return {name: _written(operator, given[name], name) for name in names if name in given}


def _written(operator: Any, value: Any, name: str) -> Any:
    if name in operator.partial_kwargs:
        return operator.partial_kwargs[name]
    choices = operator.expand_input.value
    if isinstance(choices, Mapping):  # expand(name=[…])
        choices = choices.get(name)
        choices = list(choices.values()) if isinstance(choices, Mapping) else choices
    elif isinstance(choices, (list, tuple)):  # expand_kwargs([{name: …}, …])
        choices = [choice.get(name, _UPSTREAM) for choice in choices if isinstance(choice, Mapping)]
    return value if isinstance(choices, (list, tuple)) and value in choices else _UPSTREAM


def _is_missing(written: Any, value: Any) -> bool:
    if value is None or _is_undefined(value):
        return written is not None
    if isinstance(value, str):
        # A text that the author wrote just so is judged by the argument's own rule, which says what it expects.
        return value != written and (value.strip().lower() in _NOTHING or _has_null(value))
    if _is_empty(value):
        return not _is_empty(written)
    if isinstance(value, Mapping):
        # A record from upstream may have fields that are null; one that the author wrote has none by accident.
        return isinstance(written, Mapping) and any(
            _is_missing(written.get(key), item) for key, item in value.items()
        )
    if isinstance(value, Sequence) and not isinstance(value, bytes):
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
    """Say whether a text is a list with nothing in one of its places, in JSON or as Python shows it."""
    return text.lstrip().startswith("[") and bool(_NULL.search(text))
