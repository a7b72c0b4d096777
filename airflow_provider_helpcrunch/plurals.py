"""Words for sentences: numbers with their nouns, durations, and the beginning of long values, texts and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NAMED = 20
"""Most items that a sentence names."""

LONGEST_QUOTED = 200
"""Most characters of a value that a sentence quotes."""

LONGEST_LINE = 120
"""Most columns of a line of the log."""

_UNITS = ((86_400, 86_400, "d", 3600, "h"), (3600, 3600, "h", 60, "min"), (120, 60, "min", 1, "s"))
"""From how many seconds on a duration has two units; each with its seconds and name, the greater one first."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """
    Return a number with its noun, such as ``1 page`` or ``2,000 pages``.

    :param number: how many
    :param noun: the noun in the singular
    :param plural: the noun in the plural. Default: with an s
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """
    Return a duration for a person: ``0.4 s``, ``61 s``, ``2 min 10 s``, ``1 h 5 min`` or ``3 d 4 h``.

    Below two minutes it is in seconds, as the windows of HelpCrunch's rate limit are.

    :param seconds: how long, in seconds
    """
    whole = round(seconds)
    for least, size, unit, smaller_size, smaller in _UNITS:
        if whole >= least:
            greater, rest = divmod(round(seconds / smaller_size), size // smaller_size)
            return f"{greater:,} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"


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


def shorten(text: str, most: int) -> str:
    """
    Return a text, cut with ``…`` where it is longer than wanted.

    :param text: the text
    :param most: most characters of the result
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
