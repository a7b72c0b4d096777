"""Server and library texts made fit for messages and logs: without the API key, on one line, short."""

from __future__ import annotations

import re

LONGEST_TEXT = 300
_TOKEN = re.compile(r"[A-Za-z0-9+/=_%.-]{12,}")


class Redactor:
    """
    Takes one API key out of texts.

    :param api_key: the key; it, any long piece of it and its percent-encoded form are replaced by ``***``
    """

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, text: object) -> str:
        """Return ``text`` without the key, control characters and line breaks, cut to 300 characters."""
        clean = str(text).replace(self._api_key, "***")
        clean = _TOKEN.sub(lambda match: "***" if self._is_part_of_key(match[0]) else match[0], clean)
        clean = " ".join("".join(char if char.isprintable() else " " for char in clean).split())
        return clean if len(clean) <= LONGEST_TEXT else clean[:LONGEST_TEXT] + "…"

    def __repr__(self) -> str:
        """Show no key."""
        return "Redactor(***)"

    def _is_part_of_key(self, token: str) -> bool:
        from urllib.parse import unquote

        plain = unquote(token)
        return plain in self._api_key or self._api_key in plain
