"""The messages that ``docs/errors.md`` quotes, and whether a text is one of them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
PAGE = "docs/errors.md"
OF_AIRFLOW = "Messages of Airflow"


def page() -> str:
    """Return the page."""
    return (CLONE / PAGE).read_text(encoding="utf-8")


def quoted() -> list[str]:
    """Return the messages that the page quotes: the code in the first column of its tables of messages."""
    messages: list[str] = []
    in_messages = False
    for line in page().partition(f"## {OF_AIRFLOW}")[0].splitlines():
        if line.startswith(("| message |", "| text |")):
            in_messages = True
        elif not line.startswith("|"):
            in_messages = False
        elif in_messages:
            first = re.split(r"(?<!\\)\|", line)[1]
            messages += [text.replace(r"\|", "|") for text in re.findall("`([^`]+)`", first)]
    return messages


@cache
def pattern_of(message: str) -> re.Pattern[str]:
    parts = [re.escape(part.strip()) for part in message.split("…") if part.strip()]
    return re.compile(".*".join(parts), re.DOTALL)


def is_said(message: str, by: list[str]) -> bool:
    """Return whether one of the texts holds all parts of the message, in their order."""
    pattern = pattern_of(message)
    return any(pattern.search(text) for text in by)
