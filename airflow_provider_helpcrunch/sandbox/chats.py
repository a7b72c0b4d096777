"""The chats of the account and what is said in them, which several threads may read and change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.chat_data import (
    FIRST_CHAT_ID,
    TEXTS,
    Cast,
    Chat,
    begun,
    chat,
    planted,
)
from airflow_provider_helpcrunch.sandbox.chat_words import OPEN
from airflow_provider_helpcrunch.sandbox.messages import Message, Messages
from airflow_provider_helpcrunch.sandbox.table import Table

if TYPE_CHECKING:
    import threading

    from airflow_provider_helpcrunch.sandbox.clock import Clock
    from airflow_provider_helpcrunch.sandbox.faults import Place
    from airflow_provider_helpcrunch.sandbox.shape import Shape


class Chats(Table[Chat]):
    """
    All chats, in the order of their ids, which is that of their creation.

    :param cast: how many there are at the start, and who may appear in these
    :param clock: the account's clock
    :param shape: how a chat is sent
    :param lock: the account's lock
    """

    def __init__(self, cast: Cast, clock: Clock, shape: Shape, lock: threading.RLock) -> None:
        first = range(FIRST_CHAT_ID, FIRST_CHAT_ID + cast.chats)
        super().__init__(
            first, lambda number: chat(cast, number - FIRST_CHAT_ID), shape.chat, lock, cast.seed
        )
        self._cast = cast
        self._clock = clock
        self._messages = Messages(cast)
        self._taken: list[tuple[int, int]] = []

    def create(self, of: int, **values: Any) -> int:
        """
        Add a chat that is later than all others, and return its id.

        :param of: the id of the customer
        :param values: its fields beside the defaults of :class:`~.chat_data.Chat`
        """
        with self._lock:
            self._all()
            now, number = self._clock.tick(), self._next
            made = Chat(number, now, of, updated_at=now, **values)
            if made.status != "empty":
                text = planted(self._cast, TEXTS[number % len(TEXTS)])
                said = {"type": "message", "text": text, "created_at": now}
                if made.assignee is not None:
                    self._messages.add(number, sender="agent", agent=made.assignee, **said)
                last = self._messages.add(number, sender="customer", agent=None, **said)
                made = begun(made, last.id, text)
            self._add(made)
            return number

    def change(self, chat_id: int, **values: Any) -> None:
        """
        Change fields of one chat, the way a write or a person does.

        A chat that gets the status closed gets ``closed_at`` and, without another one, an agent as the one
        who closed it; a chat that leaves it loses both. Nothing else changes by itself.

        :raises KeyError: there is none
        """
        with self._lock:
            before = self._all()[chat_id]
            now = self._clock.tick()
            status = values.get("status", before.status)
            if status != before.status and "closed" in (status, before.status):
                closing = status == "closed"
                values.setdefault("closed_by", "agent" if closing else None)
                values.setdefault("closed_at", now if closing else None)
            self._replace(before, **{"updated_at": now, **values})

    def remove(self, chat_id: int) -> None:
        """
        Remove one chat with its messages.

        :raises KeyError: there is none
        """
        with self._lock:
            if chat_id not in self._all():
                raise KeyError(chat_id)
            self._remove(chat_id)
            self._messages.forget(chat_id)

    def of_customer(self, customer_id: int) -> list[int]:
        """Return the ids of a customer's chats."""
        with self._lock:
            return [each.id for each in self._all().values() if each.customer == customer_id]

    def messages(self, chat_id: int) -> list[Message]:
        """
        Return the messages of a chat, from the oldest to the newest.

        :raises KeyError: there is no such chat
        """
        with self._lock:
            if self.get(chat_id) is None:
                raise KeyError(chat_id)
            return self._messages.of(chat_id)

    def say(
        self,
        chat_id: int,
        text: str,
        *,
        agent: int | None = None,
        type_: str = "message",
        at: int | None = None,
    ) -> Message:
        """
        Add a message to a chat, and show it there if it is the last one and no note.

        A first message makes an empty chat new or, by an agent, opened; a customer's message opens a closed chat.

        :param agent: the author's id; ``None``: the customer, or for a note nobody known
        :param type_: ``message``, ``private`` or ``tech``
        :param at: when, in UNIX milliseconds; default: now
        :raises KeyError: there is no such chat
        """
        with self._lock:
            before = self._all()[chat_id]
            now = self._clock.tick()
            sender = "customer" if agent is None and type_ == "message" else "agent"
            made = self._messages.add(
                chat_id,
                sender=sender,
                agent=agent,
                type=type_,
                text=text,
                created_at=now if at is None else at,
            )
            if type_ == "message" and made.created_at >= (before.last_message_at or 0):
                self._replace(before, updated_at=now, **_shown(before, made))
            elif type_ == "message" and sender == "customer":
                latest = max(before.last_customer_message_at or 0, made.created_at)
                self._replace(before, last_customer_message_at=latest)
            elif type_ == "message" and agent is not None:
                self._replace(before, **_parties(before, made))
            return made

    def edit(self, chat_id: int, message: Message, text: str) -> Message:
        """Change the text of a message; the chat shows it if it is its last one."""
        with self._lock:
            before = self._all()[chat_id]
            made = self._messages.edit(message, text, self._clock.tick())
            if before.last_message_id == made.id:
                self._replace(before, last_message_text=text)
            return made

    def take(self, rows: int, at: Place, agent: int | None, by: int) -> None:
        """
        Let a person take open chats which are not theirs yet, and note each in :attr:`taken`.

        :param rows: how many; fewer where there are fewer
        :param at: the earliest (``front``), the latest (``end``) or any (``random``)
        :param agent: of whom, ``None`` for any chats, unassigned ones included
        :param by: the id of the agent who takes them
        """
        with self._lock:
            open_ = [each for each in self._all().values() if each.status in OPEN and each.assignee != by]
            ids = [each.id for each in open_ if agent in (None, each.assignee)]
            rows = min(rows, len(ids))
            picked = {"front": ids[:rows], "end": ids[len(ids) - rows :]}.get(at)
            for chat_id in self._chance.sample(ids, rows) if picked is None else picked:
                self.change(chat_id, assignee=by)
                self._taken.append((chat_id, by))

    @property
    def taken(self) -> list[tuple[int, int]]:
        """The chats that :meth:`take` took so far, each with its taker."""
        with self._lock:
            return self._taken.copy()


def _shown(before: Chat, said: Message) -> dict[str, Any]:
    """Return what a chat's last message changes in it."""
    by_customer = said.sender == "customer"
    changed: dict[str, Any] = {
        "last_message_at": said.created_at,
        "last_message_id": said.id,
        "last_message_text": said.text,
        "read_by_agent": not by_customer,
        "read_by_customer": by_customer,
    }
    if by_customer:
        changed["last_customer_message_at"] = said.created_at
    if before.status == "empty":
        changed["status"] = "new" if by_customer else "opened"
    elif before.status == "closed" and by_customer:
        changed |= {"status": "opened", "closed_by": None, "closed_at": None}
    return {
        **changed,
        **_parties(before, said),
        **({"last_agent": said.agent} if said.agent is not None else {}),
    }


def _parties(before: Chat, said: Message) -> dict[str, Any]:
    """Return the agents who took part, with the author of a message."""
    if said.agent is None or said.agent in before.agents:
        return {}
    return {"agents": (*before.agents, said.agent), "last_agent": before.last_agent or said.agent}
