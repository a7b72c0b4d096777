"""Answers of an account to the open questions of HelpCrunch's documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.check.replies import Replies, Reply

Verdict: TypeAlias = Literal["holds", "contradicted", "open"]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Answer of an account to one question.

    :param text: the answer in a few words, or why there is none; nothing in it is a person's
    :param verdict: ``holds`` or ``contradicted``: what it means for the assumption; ``open``: not answerable here
    :param consequence: what a contradiction means for the user; else empty
    """

    text: str
    verdict: Verdict = "holds"
    consequence: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """
    A question that the documentation leaves open.

    :param name: its name in JSON
    :param title: its name for a person
    :param assumption: what this package assumes or does about it, in a few words
    :param judge: concludes the answer from the replies
    """

    name: str
    title: str
    assumption: str
    judge: Callable[[Replies], Answer]


def contradicted(text: str, consequence: str) -> Answer:
    """Return an answer that contradicts the assumption."""
    return Answer(text, "contradicted", consequence)


def unanswered(reason: str) -> Answer:
    """Return the answer that there is none here."""
    return Answer(reason, "open")


def without_page(reply: Reply) -> str:
    """Return why a reply holds no page, in words."""
    if reply.problem:
        return reply.problem
    return f"refused with {reply.status}" if reply.is_refusal else "no list of records that can be read"


def listed(words: list[str]) -> str:
    """Return words with commas between them."""
    return ", ".join(words)


def grouped(named: dict[str, str]) -> str:
    """
    Return things by what they have in common.

    :param named: what each has, by its name
    :return: such as ``in meta: agents, chats; none: applications``
    """
    groups: dict[str, list[str]] = {}
    for name, common in named.items():
        groups.setdefault(common, []).append(name)
    return "; ".join(f"{common}: {listed(names)}" for common, names in groups.items())
