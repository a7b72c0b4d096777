"""Rules for chats that get another agent: who may get them, and the note that is left in them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """
    Rules that hold for each chat that gets another agent.

    :param most_open: most open chats that an agent may have; ``None``: any number
    :param within_department: whether only members of a chat's department may get it
    :param note: text of a private note to each moved chat; ``None``: none
    :param note_agent: id of the agent who signs the notes; ``None``: nobody
    """

    most_open: int | None = None
    within_department: bool = False
    note: str | None = None
    note_agent: int | None = None


NO_RULES = Rules()
"""Everybody may get a chat, and no note is left."""
