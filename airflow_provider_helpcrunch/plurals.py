"""Numbers with their nouns, and values and lists of which only the beginning is shown, for sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NAMED = 20
"""Most items that a sentence names."""

LONGEST_QUOTED = 200
"""Most characters of a value that a sentence quotes."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """
    Return a number with its noun, such as ``1 page`` or ``2,000 pages``.

    :param number: how many
    :param noun: the noun in the singular
    :param plural: the noun in the plural. Default: with an s
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def named(items: Sequence[object]) -> str:
    """
    Return items with commas between them, such as ``1, 2, 3``; after the first :data:`MOST_NAMED`, ``and 5 more``.

    :param items: the items
    """
    more = len(items) - MOST_NAMED
    return ", ".join(map(str, items[:MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def quoted(value: Any) -> str:
    """
    Return a value as Python writes it; of a long one the beginning.

    :param value: what somebody gave
    """
    text = repr(value)
    more = len(text) - LONGEST_QUOTED
    return text if more <= 0 else f"{text[:LONGEST_QUOTED]}… and {more:,} more characters"
