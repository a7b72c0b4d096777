"""Records of what people did in the account by themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Happening:
    """
    One thing that people did.

    :param at: when, in UNIX seconds
    :param kind: a name of :data:`~.night.KINDS`
    :param resource: ``chats``, ``messages`` or ``customers``
    :param id: the record
    :param chat: the chat of a message
    :param fields: the fields of the API that changed; empty for a new or deleted record
    :param gone: the chats that went with a deleted customer
    """

    at: float
    kind: str
    resource: str
    id: int
    chat: int | None = None
    fields: tuple[str, ...] = ()
    gone: tuple[int, ...] = ()
