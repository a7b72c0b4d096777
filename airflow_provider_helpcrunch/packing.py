"""Packing: plain JSON as a short text, for state that Airflow stores in columns of a limited size."""

from __future__ import annotations

import base64
import json
import zlib
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def packed(value: Any) -> str:
    """
    Return plain JSON as a short text.

    :param value: the plain JSON
    """
    written = json.dumps(value, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(written, level=9)).decode()


def unpacked(text: str) -> Any:
    """
    Return the value of which :func:`packed` made a text.

    :param text: the text
    """
    return json.loads(zlib.decompress(base64.b64decode(text)))


def steps(numbers: Iterable[int]) -> list[int]:
    """
    Return the first number, then the differences between neighbours.

    Ids of neighbouring chats are close to each other, and small numbers compress well.

    :param numbers: numbers such as ids, in ascending order to pack well
    """
    return [after - before for before, after in pairwise([0, *numbers])]


def from_steps(differences: Iterable[int]) -> list[int]:
    """
    Return the numbers of which :func:`steps` made differences.

    :param differences: the differences
    """
    return list(accumulate(differences))
