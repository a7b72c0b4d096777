"""Redaction of server and library texts for messages and logs: without the API key, on one line, short."""

from __future__ import annotations

from urllib.parse import quote

LONGEST_TEXT = 300
_READ_AT_MOST = 20_000
_PIECE = 12
"""This many characters of the key in a row, or more, count as a piece of it; fewer may be chance."""


class Redactor:
    """
    Removes one API key from texts.

    :param api_key: the key; it and every piece of it, plain, percent-encoded or with escaped slashes, becomes ``***``
    """

    def __init__(self, api_key: str) -> None:
        self._length = min(_PIECE, len(api_key))
        spellings = (api_key, quote(api_key, safe=""), api_key.replace("/", "\\/"))
        self._pieces = frozenset(
            spelling[start : start + self._length]
            for spelling in spellings
            for start in range(len(spelling) - self._length + 1)
        )

    def __call__(self, text: object) -> str:
        """Return ``text`` without the key, control characters and line breaks, cut to 300 characters."""
        clean = self._without_key(str(text)[:_READ_AT_MOST])
        clean = " ".join("".join(char if char.isprintable() else " " for char in clean).split())
        return clean if len(clean) <= LONGEST_TEXT else clean[:LONGEST_TEXT] + "…"

    def __repr__(self) -> str:
        """Show no key."""
        return "Redactor(***)"

    def _without_key(self, text: str) -> str:
        kept: list[str] = []
        hidden_until = 0
        for place, char in enumerate(text):
            if text[place : place + self._length] in self._pieces:
                if place >= hidden_until:
                    kept.append("***")
                hidden_until = place + self._length
            if place >= hidden_until:
                kept.append(char)
        return "".join(kept)
