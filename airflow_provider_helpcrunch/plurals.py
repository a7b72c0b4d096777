"""Numbers with their nouns, for sentences."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """
    Return a number with its noun, such as ``1 page`` or ``2,000 pages``.

    :param number: how many
    :param noun: the noun in the singular
    :param plural: the noun in the plural. Default: with an s
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
