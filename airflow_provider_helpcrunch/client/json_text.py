r"""
JSON whose texts may be broken, as users' texts are.

Half an emoji (``"\ud83d"``, as left by a ``substring`` in JavaScript), bytes that are not UTF-8 and raw control
characters are not valid JSON, but they spoil only one text, not the records around it.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import re
from typing import Any, NamedTuple

import msgspec

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_MARK = "\udcff"
"""Replaces unreadable bytes until their place is known; like half an emoji, it is not a valid character."""

_RAW = {code: chr(0xDC00 + code) for code in range(0x20)}
"""Marks of the same kind for raw control characters."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BROKEN = re.compile("[\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"


class NotJSONError(ValueError):
    """The body is not JSON, even with allowance for broken texts."""


codecs.register_error("helpcrunch-mark", lambda error: (_MARK, error.end))  # type: ignore[attr-defined]


def decode(body: bytes) -> tuple[Any, list[str]]:
    """
    Decode JSON; if texts in it are broken, decode the readable rest.

    Half an emoji, bytes that are not UTF-8 and a raw NUL become U+FFFD. Other raw control characters stay as they are.

    :param body: the JSON, as UTF-8, with or without a byte order mark
    :return: the value, and the places of broken texts, such as ``record 7 (customer.name)``
    :raises NotJSONError: it is not JSON
    """
    body = body.removeprefix(_BOM)
    for read in (_decode_valid, _decode_broken):
        # Before msgspec 0.21 its errors are not ValueErrors, and the constraints of Airflow 3.0 and 3.1 pin those.
        with contextlib.suppress(ValueError, msgspec.MsgspecError, RecursionError):
            return read(body)
    raise NotJSONError  # outside the handlers: no library error with a piece of the body is chained to it


def _decode_valid(body: bytes) -> tuple[Any, list[str]]:
    return msgspec.json.decode(body), []


def _decode_broken(body: bytes) -> tuple[Any, list[str]]:
    text = _STRING.sub(lambda string: string[0].translate(_RAW), body.decode("utf-8", "helpcrunch-mark"))
    value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    places: list[str] = []
    return _repaired(value, _Place(places)), places


def _finite(literal: str) -> float:
    """Refuse NaN, Infinity and numbers beyond a float, as the strict decoder does."""
    if not math.isfinite(number := float(literal)):
        raise ValueError(literal)
    return number


def _readable(mark: re.Match[str]) -> str:
    code = ord(mark[0]) - 0xDC00
    return chr(code) if 0 < code < 0x20 else UNREADABLE


class _Place(NamedTuple):
    """Place in the value that a walk has reached; ``found`` collects the places of broken texts."""

    found: list[str]
    record: str = ""
    field: str = ""

    def inside(self, value: dict[str, Any]) -> _Place:
        """Return the place as seen from the outermost record around it."""
        return self._replace(record=f"record {value['id']}", field="") if self._is_record(value) else self

    def at(self, step: object) -> _Place:
        return self._replace(field=f"{self.field}.{step}" if self.field else str(step))

    def note(self) -> None:
        self.found.append(f"{self.record} ({self.field})" if self.record else self.field)

    def _is_record(self, value: dict[str, Any]) -> bool:
        return not self.record and isinstance(value.get("id"), int | str)


def _repaired(value: Any, place: _Place) -> Any:
    if isinstance(value, str) and _BROKEN.search(value):
        place.note()
        return _BROKEN.sub(_readable, value)
    if isinstance(value, list):
        return [_repaired(item, place.at(number)) for number, item in enumerate(value)]
    if isinstance(value, dict):
        here = place.inside(value)
        return {
            _repaired(name, here.at(name)): _repaired(item, here.at(name)) for name, item in value.items()
        }
    return value
