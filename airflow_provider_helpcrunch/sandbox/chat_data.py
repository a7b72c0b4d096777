"""
The chats an account starts with: a pure function of its seed and of the moment they lead up to.

Times are UNIX milliseconds here, and agents and departments are ids; how HelpCrunch shows them is said in
:mod:`airflow_provider_helpcrunch.sandbox.shape`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from airflow_provider_helpcrunch.sandbox.chat_words import FROM_API, ORIGINS, RATINGS
from airflow_provider_helpcrunch.sandbox.clock import DAY, MINUTE, SECOND
from airflow_provider_helpcrunch.sandbox.records import digest
from airflow_provider_helpcrunch.sandbox.team import FIRST_AGENT_ID, FIRST_DEPARTMENT_ID

FIRST_CHAT_ID = 4_410_001
FIRST_CUSTOMER_ID = 880_001
FIRST_MESSAGE_ID = 91_200_001
STEP = 5 * MINUTE
"""Between the creation of two chats, on average; so the newest chat is at most this old."""
# Of a hundred chats: 50 closed, 3 empty, 47 open.
STATUS_BOUNDS = (
    *(("closed", 50), ("empty", 53), ("opened", 75), ("new", 84)),
    *(("pending", 91), ("onhold", 96), ("no communication", 100)),
)
TEXTS = (
    *("Glad it helped", "Where is my parcel?", "The invoice is wrong", "Thank you!", "It works now"),
    *("Can I change the address?", "Please call me back", "Здрастуйте, є питання", "How do I cancel?"),
)


class Chat(NamedTuple):
    """One chat. What is missing is ``None``, and shown as null."""

    id: int
    created_at: int
    customer: int
    status: str = "empty"
    assignee: int | None = None
    department: int | None = None
    agents: tuple[int, ...] = ()
    application: int = 1
    created_with: str = FROM_API
    last_message_at: int | None = None
    last_customer_message_at: int | None = None
    last_message_text: str | None = None
    last_message_id: int | None = None
    last_agent: int | None = None
    closed_by: str | None = None
    closed_at: int | None = None
    rating: str | None = None
    snoozed_until: int | None = None
    read_by_agent: bool = False
    read_by_customer: bool = False
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Cast:
    """
    The account at its start: all who may appear in the first chats.

    :param seed: the seed of the account
    :param agents: how many agents it starts with
    :param departments: how many departments it has
    :param customers: how many customers it has
    :param chats: how many chats it starts with
    :param now: the moment they lead up to, in UNIX milliseconds
    :param messages: how many messages a chat has on average
    :param canary: a string for every field with a person's data
    """

    seed: int
    agents: int
    departments: int
    customers: int
    chats: int
    now: int
    messages: int = 8
    canary: str = ""


def created_at(cast: Cast, serial: int) -> int:
    """Return when a chat was created. Of each ten chats, the last three share one second."""
    leader = serial - max(0, serial % 10 - 7)
    within = digest(cast.seed, "created", leader) % (STEP // SECOND) * SECOND
    return cast.now - (cast.chats - leader) * STEP + within


def chat(cast: Cast, serial: int) -> Chat:
    """
    Return one of the chats the account starts with.

    :param cast: all who may appear in it
    :param serial: its number in order of creation, from 0
    """
    drawn = digest(cast.seed, "chat", serial)
    share = drawn % 100
    made = Chat(
        id=FIRST_CHAT_ID + serial,
        created_at=created_at(cast, serial),
        customer=FIRST_CUSTOMER_ID + digest(cast.seed, "of", serial) % cast.customers,
        status=next(status for status, bound in STATUS_BOUNDS if share < bound),
        assignee=_assignee(cast, serial) if share < 50 or drawn // 100 % 8 else None,
        department=_department(cast, drawn // 800),
        application=1 + drawn // 7 % 3,
    )
    if made.status == "empty":
        return made._replace(updated_at=made.created_at)
    talked = _talk(cast, made, drawn)
    if made.status == "closed":
        talked = _closing(cast, talked, drawn)
    latest = max(made.created_at, talked.last_message_at or 0, talked.closed_at or 0)
    return talked._replace(updated_at=latest)


def stride(cast: Cast) -> int:
    """Return how many ids of messages are kept for each of the first chats."""
    return 20 * cast.messages + 4


def planted(cast: Cast, text: str) -> str:
    """Return a text as it is, or with the account's canary."""
    return f"{text} {cast.canary}" if cast.canary else text


def _messages(cast: Cast, serial: int, *, both: bool) -> int:
    """Return how many messages a chat has: one in a hundred has many times as many as the others."""
    drawn = digest(cast.seed, "messages", serial)
    if drawn % 100 == 0:
        return 20 * cast.messages
    usual = 1 + drawn // 100 % max(1, cast.messages * 8 // 5)
    return max(usual, 2) if both else usual


def begun(made: Chat, message_id: int, text: str) -> Chat:
    """
    Return a new chat with what its status implies: a first message of the customer, and who closed it.

    :param message_id: the message
    :param text: its text
    """
    closing = made.status == "closed"
    return made._replace(
        created_with="customer_message",
        agents=() if made.assignee is None else (made.assignee,),
        last_agent=made.assignee,
        last_message_at=made.created_at,
        last_customer_message_at=made.created_at,
        last_message_text=text,
        last_message_id=message_id,
        closed_by="agent" if closing else None,
        closed_at=made.created_at if closing else None,
    )


def _assignee(cast: Cast, serial: int) -> int | None:
    # The product of two draws: some agents have many chats, most have few.
    drawn = digest(cast.seed, "assignee", serial)
    busy = drawn % 997 * (drawn // 997 % 997) * cast.agents // (997 * 997)
    return FIRST_AGENT_ID + busy if cast.agents else None


def _department(cast: Cast, drawn: int) -> int | None:
    if not cast.departments or drawn % 5 == 0:
        return None
    return FIRST_DEPARTMENT_ID + drawn // 5 % cast.departments


def _after(cast: Cast, earlier: int, share: int, minutes: int) -> int:
    """Return a moment up to so many minutes after an earlier one, but never later than now."""
    span = min(minutes * MINUTE, cast.now - earlier)
    return earlier + (1 + share % minutes) * span // minutes // SECOND * SECOND


def _talk(cast: Cast, made: Chat, drawn: int) -> Chat:
    """Add what was said, if anything: one in twelve has no message yet."""
    spoken = drawn // 3 % 12 != 0
    answered = spoken and made.assignee is not None and made.status != "new"
    last = _after(cast, made.created_at, drawn // 11, 2880)
    # Without an agent, all that was said is the customer's.
    customer_at = max(made.created_at, last - (drawn // 17 % 2 * SECOND if answered else 0))
    heard = spoken and (not answered or drawn // 19 % 7 != 0)
    serial = made.id - FIRST_CHAT_ID
    count = _messages(cast, serial, both=answered and heard)
    return made._replace(
        created_with=ORIGINS[drawn // 13 % len(ORIGINS)],
        agents=(made.assignee,) if answered and made.assignee is not None else (),
        last_agent=made.assignee if answered else None,
        last_message_at=last if spoken else None,
        last_customer_message_at=customer_at if heard else None,
        last_message_text=planted(cast, TEXTS[drawn // 23 % len(TEXTS)]) if spoken else None,
        last_message_id=FIRST_MESSAGE_ID + serial * stride(cast) + count - 1 if spoken else None,
        read_by_agent=drawn // 29 % 3 != 0,
        read_by_customer=drawn // 31 % 2 == 0,
        snoozed_until=last + DAY if made.status == "pending" and drawn // 37 % 4 == 0 else None,
    )


def _closing(cast: Cast, made: Chat, drawn: int) -> Chat:
    after = _after(cast, made.last_message_at or made.created_at, drawn // 41, 600)
    rated = made.last_agent is not None and drawn // 43 % 3 == 0
    return made._replace(
        closed_by="customer" if drawn // 47 % 6 == 0 else "agent",
        closed_at=min(after + drawn // 53 % SECOND, cast.now),
        rating=RATINGS[drawn // 59 % len(RATINGS)] if rated else None,
    )
