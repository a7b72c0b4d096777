"""
The messages of chats: made from the seed when somebody reads a chat, under what was added and edited since.

The messages of the start fit their chats: the last message, its time and its author are those that the chat
shows. Private notes and ``tech`` rows leave no trace in the chat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from airflow_provider_helpcrunch.sandbox.chat_data import (
    FIRST_CHAT_ID,
    FIRST_MESSAGE_ID,
    TEXTS,
    Cast,
    Chat,
    chat,
    planted,
    stride,
)
from airflow_provider_helpcrunch.sandbox.clock import MINUTE
from airflow_provider_helpcrunch.sandbox.records import digest


class Message(NamedTuple):
    """One message. Times are UNIX milliseconds; ``agent`` is an id."""

    id: int
    chat: int
    sender: str
    agent: int | None
    type: str
    text: str
    created_at: int
    read: bool = False
    edited: bool = False
    updated_at: int | None = None
    broadcast: str | None = None


@dataclass(slots=True)
class Messages:
    """
    All messages of the account. Not thread-safe: the chats they belong to have a lock.

    :param cast: the account at its start
    """

    cast: Cast
    _added: dict[int, list[Message]] = field(default_factory=dict)
    _edited: dict[int, Message] = field(default_factory=dict)
    _count: int = 0

    def of(self, chat_id: int) -> list[Message]:
        """Return the messages of a chat, from the oldest to the newest."""
        serial = chat_id - FIRST_CHAT_ID
        first = _talk(self.cast, chat(self.cast, serial), serial) if 0 <= serial < self.cast.chats else []
        said = [self._edited.get(each.id, each) for each in (*first, *self._added.get(chat_id, ()))]
        return sorted(said, key=lambda each: (each.created_at, each.id))

    def add(self, chat_id: int, **values: object) -> Message:
        """Add a message with a fresh id; arguments as for :class:`Message`."""
        number = FIRST_MESSAGE_ID + self.cast.chats * stride(self.cast) + self._count
        self._count += 1
        made = Message(id=number, chat=chat_id, **values)  # type: ignore[arg-type]
        self._added.setdefault(chat_id, []).append(made)
        return made

    def edit(self, message: Message, text: str, now: int) -> Message:
        """Change the text of a message."""
        made = self._edited[message.id] = message._replace(text=text, edited=True, updated_at=now)
        return made

    def forget(self, chat_id: int) -> None:
        """Forget what was added to a chat that is gone."""
        self._added.pop(chat_id, None)


def _talk(cast: Cast, made: Chat, serial: int) -> list[Message]:
    """Return what was said in a chat before the account's start."""
    if made.last_message_id is None or made.last_message_at is None:
        return []
    first = FIRST_MESSAGE_ID + serial * stride(cast)
    count = made.last_message_id - first + 1
    said = [_said(cast, made, place, count) for place in range(count)]
    if made.closed_at is not None:
        note = ("chat_status_changed", "resolution_time")[serial % 2]
        said.append(
            Message(first + count, made.id, "agent", made.assignee, "tech", note, made.closed_at, True)
        )
    return said


def _said(cast: Cast, made: Chat, place: int, count: int) -> Message:
    number = (made.last_message_id or 0) - count + 1 + place
    drawn = digest(cast.seed, "message", number)
    last = made.last_message_at or 0
    moment = last if place == count - 1 else made.created_at + (last - made.created_at) * place // count
    sender = _sender(made, place, count, drawn)
    kind = "email" if drawn // 7 % 30 == 0 else "message"
    # Neither the first message nor the last two, which the chat shows, are notes.
    if 0 < place < count - 2 and made.last_agent is not None and drawn // 11 % 9 == 0:
        sender, kind = "agent", "private"
    text = TEXTS[drawn % len(TEXTS)]
    if place == count - 1:
        text = made.last_message_text or ""
    elif place == count - 2 and made.last_customer_message_at not in (None, last):
        moment = made.last_customer_message_at or moment
    edited = drawn // 13 % 25 == 0
    return Message(
        number,
        made.id,
        sender,
        made.last_agent if sender == "agent" else None,
        kind,
        text if place == count - 1 else planted(cast, text),
        moment,
        read=place < count - 1,
        edited=edited,
        updated_at=min(moment + MINUTE, cast.now) if edited else None,
    )


def _sender(made: Chat, place: int, count: int, drawn: int) -> str:
    """Return who wrote a message, such that the last of each side are those the chat shows."""
    if made.last_agent is None:
        return "customer"
    if made.last_customer_message_at is None:
        return "agent"
    by_customer = made.last_customer_message_at == made.last_message_at
    if place == count - 1:
        return "customer" if by_customer else "agent"
    if place == count - 2:
        return "agent" if by_customer else "customer"
    return "agent" if drawn // 5 % 2 else "customer"
