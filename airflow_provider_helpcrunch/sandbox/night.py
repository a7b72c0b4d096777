"""
Nights: time passes in the account, and people change it without any request of the client.

Most of what they do leaves no trace in what a client can filter by, as in HelpCrunch. The same seed, the same clock
and the same nights do the same.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_helpcrunch.sandbox.chat_data import TEXTS, planted
from airflow_provider_helpcrunch.sandbox.chat_words import OPEN, RATINGS, STATUSES
from airflow_provider_helpcrunch.sandbox.clock import DAY, SECOND
from airflow_provider_helpcrunch.sandbox.happenings import Happening
from airflow_provider_helpcrunch.sandbox.team import FIRST_AGENT_ID, FIRST_DEPARTMENT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.chat_data import Chat

HOURS_8 = 28_800.0
# Draws before a night gives up to find what it could change.
PATIENCE = 200

Done: TypeAlias = dict[str, Any] | None


def night(account: Account, seconds: float = HOURS_8, **counts: int) -> list[Happening]:
    """
    Let time pass, with changes at moments spread over it, and return them in order.

    :param account: the account
    :param seconds: how long. A clock that stands still goes on by a second with each change, even beyond that
    :param counts: how often each of :data:`KINDS` happens; less often where nothing is left to change
    :raises ValueError: a kind is unknown, or a number is below 0
    """
    _check(seconds, counts)
    with account.lock:
        account.nights += 1
        chance = random.Random(f"{account.settings.seed}:{account.nights}")
        kinds = [kind for kind in KINDS for _ in range(counts.get(kind, 0))]
        chance.shuffle(kinds)
        begin = account.clock.now
        moments = sorted(begin + int(chance.random() * seconds * SECOND) for _ in kinds)
        done = []
        for moment, kind in zip(moments, kinds, strict=True):
            account.clock.advance(max(0, moment - account.clock.now))
            details = KINDS[kind](account, chance)
            if details is not None:
                done.append(Happening(account.clock.now / SECOND, kind, **details))
        account.clock.advance(max(0, begin + int(seconds * SECOND) - account.clock.now))
        account.happenings += done
        return done


def _check(seconds: Any, counts: Mapping[str, Any]) -> None:
    if unknown := counts.keys() - KINDS.keys():
        message = f"a night has {', '.join(KINDS)} and seconds; not {', '.join(sorted(unknown))}"
        raise ValueError(message)
    for name, value in {"seconds": seconds, **counts}.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            message = f"{name} must be a number, at least 0, not {value!r}"
            raise ValueError(message)


def _chat(
    account: Account, chance: random.Random, wanted: Callable[[Chat], Any] | None = None
) -> Chat | None:
    """Return a chat that is as wanted, if one is found."""
    for _ in range(PATIENCE):
        there = account.chats.draw(chance)
        if there is None or wanted is None or wanted(there):
            return there
    return None


def _agent(account: Account, chance: random.Random) -> int | None:
    serials = account.agents.serials()
    return FIRST_AGENT_ID + chance.choice(serials) if serials else None


def _text(account: Account, chance: random.Random) -> str:
    return planted(account.cast, chance.choice(TEXTS))


def _new_chat(account: Account, chance: random.Random) -> Done:
    customer = account.customers.draw(chance)
    if customer is None:
        return None
    made = account.open_chat(customer.id, status="new", application=1 + chance.randrange(3))
    return {"resource": "chats", "id": made}


def _new_customer(account: Account, chance: random.Random) -> Done:
    return {"resource": "customers", "id": account.customers.arrive()}


def _new_message(account: Account, chance: random.Random) -> Done:
    chat = _chat(account, chance, lambda each: each.status != "empty")
    if chat is None:
        return None
    author = _agent(account, chance) if chance.random() < 0.6 else None
    kind = "private" if author is not None and chance.random() < 0.2 else "message"
    made = account.chats.say(chat.id, _text(account, chance), agent=author, type_=kind)
    return {"resource": "messages", "id": made.id, "chat": chat.id}


def _late_message(account: Account, chance: random.Random) -> Done:
    """Let a message of a customer arrive that was written before the last one: its id is high, its time is not."""
    chat = _chat(
        account, chance, lambda each: each.last_message_at and each.last_message_at > each.created_at
    )
    if chat is None or chat.last_message_at is None:
        return None
    at = chance.randrange(chat.created_at, chat.last_message_at)
    made = account.chats.say(chat.id, _text(account, chance), at=at)
    return {"resource": "messages", "id": made.id, "chat": chat.id}


def _edited_message(account: Account, chance: random.Random) -> Done:
    """Change the text of a message that is not the last one of its chat."""
    chat = _chat(
        account, chance, lambda each: each.last_message_at and len(account.chats.messages(each.id)) > 1
    )
    said = account.chats.messages(chat.id) if chat else []
    editable = [each for each in said if each.type != "tech" and chat and each.id != chat.last_message_id]
    if chat is None or not editable:
        return None
    made = account.chats.edit(chat.id, chance.choice(editable), f"{_text(account, chance)} (edited)")
    return {"resource": "messages", "id": made.id, "chat": chat.id, "fields": ("text", "edited", "updatedAt")}


def _silent_change(account: Account, chance: random.Random) -> Done:
    """Change a field of a chat that no filter finds the change by."""
    chat = _chat(account, chance, lambda each: each.status != "empty")
    if chat is None:
        return None
    choices: dict[str, tuple[str, list[Any]]] = {
        "assignee": ("assignee", [None, _agent(account, chance)]),
        "department": ("department", [FIRST_DEPARTMENT_ID + n for n in range(account.departments.count)]),
        "status": ("status", [word for word in STATUSES if word != "empty"]),
        "snoozedUntil": ("snoozed_until", [None, account.clock.now + DAY]),
        "rating": ("rating", list(RATINGS) if chat.status == "closed" and chat.last_agent else []),
        "readByAgent": ("read_by_agent", [True, False]),
    }
    open_ = {
        name: (field, [value for value in values if value != getattr(chat, field)])
        for name, (field, values) in choices.items()
    }
    name = chance.choice([name for name, (_, values) in open_.items() if values])
    field, values = open_[name]
    value = chance.choice(values)
    account.chats.change(chat.id, **{field: value})
    closing = ("closedAt", "closedBy") if name == "status" and "closed" in (value, chat.status) else ()
    return {"resource": "chats", "id": chat.id, "fields": (name, *closing)}


def _closed_chat(account: Account, chance: random.Random) -> Done:
    chat = _chat(account, chance, lambda each: each.status in OPEN)
    if chat is None:
        return None
    account.chats.change(chat.id, status="closed")
    return {"resource": "chats", "id": chat.id, "fields": ("status", "closedAt", "closedBy")}


def _edited_customer(account: Account, chance: random.Random) -> Done:
    there = account.customers.draw(chance)
    if there is None:
        return None
    number = chance.randrange(10**6)
    changes: dict[str, tuple[str, Any]] = {
        "name": ("name", planted(account.cast, f"Renamed {number}")),
        "email": ("email", f"{account.cast.canary}moved.{there.id}.{number}@mail.example"),
        "phone": ("phone", planted(account.cast, f"+4930{number:07}")),
        "notes": ("notes", planted(account.cast, f"Called back, case {number}")),
        "blocked": ("blocked", not there.blocked),
        "customData": ("custom_data", tuple({**dict(there.custom_data), "orders": number}.items())),
    }
    name = chance.choice(list(changes))
    account.change_customer(there.id, **dict([changes[name]]))
    return {"resource": "customers", "id": there.id, "fields": (name,)}


def _deleted_customer(account: Account, chance: random.Random) -> Done:
    there = account.customers.draw(chance)
    if there is None:
        return None
    return {"resource": "customers", "id": there.id, "gone": tuple(account.delete_customer(there.id))}


def _lost_chat(account: Account, chance: random.Random) -> Done:
    chat = _chat(account, chance)
    if chat is None:
        return None
    account.clock.tick()
    account.chats.remove(chat.id)
    return {"resource": "chats", "id": chat.id}


KINDS: dict[str, Callable[[Account, random.Random], Done]] = {
    "chats": _new_chat,
    "customers": _new_customer,
    "messages": _new_message,
    "late_messages": _late_message,
    "message_edits": _edited_message,
    "silent": _silent_change,
    "closed": _closed_chat,
    "customer_edits": _edited_customer,
    "deletions": _deleted_customer,
    "lost_chats": _lost_chat,
}
"""Everything that people do in a night."""
