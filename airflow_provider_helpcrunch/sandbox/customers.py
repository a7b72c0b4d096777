"""The customers of the account: a pure function of its seed."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from airflow_provider_helpcrunch.sandbox.records import Record, digest
from airflow_provider_helpcrunch.sandbox.team import FIRST_NAMES, LAST_NAMES

FIRST_CUSTOMER_ID = 880_001
TAGS = ("vip", "trial", "wholesale", "newsletter", "churned")


class Customer(NamedTuple):
    """One customer: what a chat shows of them, and the tags that only a search sees."""

    id: int
    name: str | None
    email: str | None
    user_id: str | None
    tags: tuple[str, ...]

    def short(self) -> Record:
        """Return the form that chats embed."""
        return {"id": self.id, "name": self.name, "email": self.email, "userId": self.user_id}

    def record(self) -> Record:
        """Return the short form, with the tags in the shape of ``tagsData``."""
        return {**self.short(), "tagsData": [{"name": tag} for tag in self.tags]}


@lru_cache(maxsize=50_000)
def customer(seed: int, serial: int) -> Customer:
    """
    Return one customer. Each of name, email and user id may be missing; one in three has tags.

    :param seed: the seed of the account
    :param serial: their number, from 0
    """
    drawn = digest(seed, "customer", serial)
    number = FIRST_CUSTOMER_ID + serial
    first, last = FIRST_NAMES[drawn % len(FIRST_NAMES)], LAST_NAMES[drawn // 7 % len(LAST_NAMES)]
    tagged = drawn >> 20 if drawn // 11 % 3 == 0 else 0
    return Customer(
        id=number,
        name=f"{first} {last}" if drawn // 13 % 5 else None,
        email=f"{first}.{last}.{number}@mail.example".lower() if drawn // 17 % 6 else None,
        user_id=f"u-{number}" if drawn // 19 % 2 else None,
        tags=tuple(tag for place, tag in enumerate(TAGS) if tagged >> place & 1),
    )
