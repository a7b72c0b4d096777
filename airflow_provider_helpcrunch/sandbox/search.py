"""
Searches: from the body of a request to a query, or to the complaints of HelpCrunch's validator.

Guesses where the documentation is silent: texts are compared without regard to case; null passes only ``!=`` and
``!~``; times are compared to the millisecond.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

from airflow_provider_helpcrunch.sandbox.chat_words import NUMBERED, SPELLINGS, STATUSES
from airflow_provider_helpcrunch.sandbox.complaints import ARRAY, BLANK, CHOICE, NUMERIC, STRING, integer

if TYPE_CHECKING:
    from collections.abc import Iterable

Complaints: TypeAlias = dict[str, str]
Test: TypeAlias = Callable[[Any], bool]
Row = TypeVar("Row")

DIRECTIONS = ("asc", "desc")

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    **{"=": operator.eq, "!=": operator.ne},
    **{">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le},
}
_TEXTUAL: dict[str, Callable[[Any, Any], bool]] = {
    **{"=": operator.eq, "!=": operator.ne},
    **{"~": operator.contains, "!~": lambda text, part: part not in text},
}
_NEGATIONS = ("!=", "!~")


class Field(NamedTuple):
    """
    A field that can be searched.

    :param kind: ``int``, ``ints`` (one of several), ``date``, ``string``, ``status`` or ``tags``
    :param get: its value in a row
    """

    kind: str
    get: Callable[[Any], Any]


class Grammar(NamedTuple):
    """
    The words of the searches of one resource.

    :param resource: the prefix of its fields, such as ``chats``
    :param sorts: the field of a row by the name of a sort
    :param fields: the fields that can be searched
    """

    resource: str
    sorts: Mapping[str, str]
    fields: Mapping[str, Field]

    @property
    def default(self) -> str:
        """The sort of a request that names none: the first."""
        return next(iter(self.sorts))


@dataclass(frozen=True, slots=True)
class Query(Generic[Row]):
    """
    Rows of a table, in an order. Queries of the same words are equal.

    :param sort: the field of a row that comes first in the order, before the id
    :param descending: the whole order is turned around
    :param words: the filters as JSON
    :param tests: the filters as functions
    :param any_of: a row needs to pass one test instead of all
    """

    sort: str
    descending: bool = True
    words: str = ""
    tests: tuple[Test, ...] = field(default=(), compare=False)
    any_of: bool = False

    def select(self, rows: list[Row]) -> Iterable[Row]:
        """Return the rows that pass, in the order given."""
        tests = self.tests
        if self.any_of and tests:
            return [row for row in rows if any(test(row) for test in tests)]
        selected: Iterable[Row] = rows
        for test in tests:
            selected = filter(test, selected)
        return selected


def ordering(asked: Mapping[str, Any], grammar: Grammar) -> tuple[Query[Any], Complaints]:
    """
    Read ``sort`` (with or without its prefix) and ``order`` (in any case); default: the newest row first.

    :param asked: the query parameters, or the body of a search
    :param grammar: the words of the resource
    :return: the query, and what is wrong by field
    """
    sort, order = asked.get("sort"), asked.get("order")
    key = grammar.default if sort is None else sort
    if isinstance(key, str):
        key = key.removeprefix(f"{grammar.resource}.")
    direction = order.lower() if isinstance(order, str) else "desc" if order is None else order
    complaints = {}
    if not isinstance(key, str) or key not in grammar.sorts:
        complaints["sort"] = CHOICE
    if direction not in DIRECTIONS:
        complaints["order"] = CHOICE
    query: Query[Any] = Query(grammar.sorts[grammar.default if complaints else key], direction == "desc")
    return query, complaints


def search(
    asked: Mapping[str, Any], grammar: Grammar, *, ignore_filter: bool = False
) -> tuple[Query[Any], Complaints]:
    """
    Read the body of a search, apart from its page.

    :param asked: the body
    :param grammar: the words of the resource
    :param ignore_filter: check the filter, but search without it
    :return: the query, and what is wrong by field
    """
    query, complaints = ordering(asked, grammar)
    comparison = "AND" if asked.get("comparison") is None else asked["comparison"]
    if not isinstance(comparison, str) or comparison.upper() not in ("AND", "OR"):
        complaints["comparison"] = CHOICE
    filters = asked.get("filter") or []
    if not isinstance(filters, list):
        return query, {**complaints, "filter": ARRAY}
    tests = []
    for place, each in enumerate(filters):
        test, wrong = _compiled(each, grammar.fields)
        complaints |= {f"filter[{place}]{part}": text for part, text in wrong.items()}
        tests.append(test)
    if complaints or ignore_filter:
        return query, complaints
    any_of = comparison.upper() == "OR"
    if any_of:
        tests = _joined(filters, grammar.fields, tests)
    return Query(query.sort, query.descending, json.dumps(filters), tuple(tests), any_of), {}


def _joined(filters: list[Any], fields: Mapping[str, Field], tests: list[Test]) -> list[Test]:
    """Return one test in place of those for equal texts of the same field: a search may ask for a hundred."""
    wanted: dict[str, set[str]] = {}
    others = []
    for each, test in zip(filters, tests, strict=True):
        if each["operator"] == "=" and fields[each["field"]].kind == "string":
            wanted.setdefault(each["field"], set()).add(each["value"].lower())
        else:
            others.append(test)
    return [*others, *(_one_of(fields[name].get, values) for name, values in wanted.items())]


def _one_of(get: Callable[[Any], Any], wanted: set[str]) -> Test:
    def test(row: Any) -> bool:
        there = get(row)
        return there is not None and there.lower() in wanted

    return test


_OPERATORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int", "ints", "date"), tuple(_ORDERED)),
    **dict.fromkeys(("string", "status"), tuple(_TEXTUAL)),
    "tags": ("=",),
}


def _compiled(asked: Any, fields: Mapping[str, Field]) -> tuple[Test, Complaints]:
    """
    Make a test of one filter.

    :param asked: an element of ``filter``
    :param fields: the fields that can be searched
    :return: the test, and what is wrong, by ``.field``, ``.operator``, ``.value`` or, for the whole, nothing
    """
    if not isinstance(asked, dict):
        return _anything, {"": ARRAY}
    name, sign, value = asked.get("field"), asked.get("operator"), asked.get("value")
    there = fields.get(name) if isinstance(name, str) else None
    if there is None:
        return _anything, {".field": CHOICE if name else BLANK}
    wrong = {
        ".operator": _operator_complaint(sign, there.kind),
        ".value": _value_complaint(value, there.kind),
    }
    complaints = {part: text for part, text in wrong.items() if text}
    if complaints:
        return _anything, complaints
    return _MAKERS[there.kind](there.get, sign, value), {}


def _anything(row: Any) -> bool:
    return True


def _operator_complaint(sign: Any, kind: str) -> str | None:
    if sign is None or sign == "":
        return BLANK
    return None if sign in _OPERATORS[kind] else CHOICE


def _value_complaint(value: Any, kind: str) -> str | None:
    if value is None or value in ("", []):
        return BLANK
    if kind in ("int", "ints", "date"):
        return NUMERIC if integer(value) is None else None
    if kind != "tags":
        return None if isinstance(value, str) else STRING
    named = isinstance(value, list) and all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in value
    )
    return None if named else ARRAY


def _numbers(get: Callable[[Any], Any], sign: Any, value: Any, *, scale: int = 1) -> Test:
    compare, wanted, missing = _ORDERED[sign], int(value) * scale, sign in _NEGATIONS

    def test(row: Any) -> bool:
        there = get(row)
        return missing if there is None else compare(there, wanted)

    return test


def _dates(get: Callable[[Any], Any], sign: Any, value: Any) -> Test:
    return _numbers(get, sign, value, scale=1000)


def _any_number(get: Callable[[Any], Any], sign: Any, value: Any) -> Test:
    compare, wanted = _ORDERED[sign], int(value)
    if sign == "!=":
        return lambda row: wanted not in get(row)
    return lambda row: any(compare(there, wanted) for there in get(row))


def _texts(get: Callable[[Any], Any], sign: Any, value: Any) -> Test:
    compare, wanted, missing = _TEXTUAL[sign], value.lower(), sign in _NEGATIONS

    def test(row: Any) -> bool:
        there = get(row)
        return missing if there is None else compare(there.lower(), wanted)

    return test


def _statuses(get: Callable[[Any], Any], sign: Any, value: Any) -> Test:
    word = value.lower()
    if sign in ("=", "!="):
        matching = {SPELLINGS.get(word) or NUMBERED.get(word)}
    else:
        matching = {status for spelling, status in SPELLINGS.items() if word in spelling}
    wanted = set(STATUSES) - matching if sign in _NEGATIONS else matching
    return lambda row: get(row) in wanted


def _tags(get: Callable[[Any], Any], sign: Any, value: Any) -> Test:
    wanted = {each["name"].lower() for each in value}
    return lambda row: wanted.issubset(name.lower() for name in get(row))


_MAKERS: dict[str, Callable[[Callable[[Any], Any], Any, Any], Test]] = {
    "int": _numbers,
    "ints": _any_number,
    "date": _dates,
    "string": _texts,
    "status": _statuses,
    "tags": _tags,
}
