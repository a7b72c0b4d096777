"""What a task carries through a deferral: small enough for every database that Airflow runs on."""

from __future__ import annotations

import base64
import json
import zlib
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_BYTES = 40 * 1024
"""The largest state that is carried, in bytes of JSON. Airflow keeps a trigger's arguments and its event in columns
that hold 65,535 bytes on MySQL, the arguments encrypted, which makes a third more of them."""


def packed(value: Any) -> str:
    """
    Return plain JSON as a short text.

    :param value: the plain JSON
    """
    written = json.dumps(value, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(written, level=9)).decode()


def unpacked(text: str) -> Any:
    """
    Return what :func:`packed` was given.

    :param text: what it returned
    """
    return json.loads(zlib.decompress(base64.b64decode(text)))


def steps(numbers: Iterable[int]) -> list[int]:
    """
    Return the differences between neighbours, the first number included: small where the numbers ascend.

    :param numbers: such as ids, in order
    """
    return [after - before for before, after in pairwise([0, *numbers])]


def from_steps(differences: Iterable[int]) -> list[int]:
    """
    Return the numbers that :func:`steps` was given.

    :param differences: what it returned
    """
    return list(accumulate(differences))
