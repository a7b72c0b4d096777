"""The customers an account starts with: a pure function of its seed and of the moment its chats lead up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from airflow_provider_helpcrunch.sandbox.chat_data import FIRST_CUSTOMER_ID
from airflow_provider_helpcrunch.sandbox.clock import DAY
from airflow_provider_helpcrunch.sandbox.records import digest
from airflow_provider_helpcrunch.sandbox.team import FIRST_NAMES, LAST_NAMES

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.chat_data import Cast

DEFAULT_COLOUR = "#c377e0"
TAGS = {
    **{"vip": "#ff8800", "trial": "#61bd4f", "wholesale": "#0079bf"},
    **{"newsletter": DEFAULT_COLOUR, "churned": "#b3bac5"},
}
"""The tags of the account, with their colours."""

ATTRIBUTES = ("plan", "orders", "is_trial", "birthday", "passport")
"""The custom attributes of the account. HelpCrunch's have to exist before a customer can have them."""

COMPANIES = ("Harbour Ltd", "Lypa LLC", "Otter & Sons", "Nordwind GmbH")
PLACES = (
    *(("BE", "DE", "Berlin"), ("30", "UA", "Kyiv"), ("46", "UA", "Lviv"), ("IDF", "FR", "Paris")),
    *(("MA", "PL", "Warsaw"), (None, "SG", "Singapore"), (None, None, None)),
)
LOCALES = ("de", "uk", "en", "fr", "pl", None)
CHANNELS = ("telegram", "instagram", "facebook", "viber", "whatsapp")
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Mozilla/5.0 (Macintosh) Safari/605.1.15")

Value: TypeAlias = str | int | bool


class Device(NamedTuple):
    """The device a customer was last seen with."""

    id: int
    ip: str
    timezone: str
    platform: str
    user_agent: str


class Customer(NamedTuple):
    """One customer. Times are UNIX milliseconds; a missing value is ``None`` and sent as null."""

    id: int
    name: str | None = None
    email: str | None = None
    user_id: str | None = None
    company: str | None = None
    phone: str | None = None
    first_seen: int | None = None
    last_seen: int | None = None
    region: str | None = None
    country: str | None = None
    city: str | None = None
    device: Device | None = None
    unsubscribed: bool = False
    blocked: bool = False
    source: str | None = None
    referer: str | None = None
    last_page: str | None = None
    locale: str | None = None
    created_from: str | None = None
    integration_id: str | None = None
    notes: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    custom_data: tuple[tuple[str, Value], ...] = ()

    def has_id_in(self, channel: str) -> str | None:
        """Return the id in a channel such as ``telegram``, if the customer came from there."""
        there = self.created_from is not None and self.created_from.startswith(channel)
        return self.integration_id if there else None


def customer(cast: Cast, serial: int) -> Customer:
    """
    Return one of the customers. Each of name, email and user id may be missing; one in three has tags.

    :param cast: the account they belong to
    :param serial: their number, from 0
    """
    drawn = digest(cast.seed, "customer", serial)
    number = FIRST_CUSTOMER_ID + serial
    first, last = FIRST_NAMES[drawn % len(FIRST_NAMES)], LAST_NAMES[drawn // 7 % len(LAST_NAMES)]
    tagged = drawn >> 20 if drawn // 11 % 3 == 0 else 0
    made = Customer(
        id=number,
        name=f"{first} {last}" if drawn // 13 % 5 else None,
        email=f"{first}.{last}.{number}@mail.example".lower() if drawn // 17 % 6 else None,
        user_id=f"u-{number}" if drawn // 19 % 2 else None,
        tags=tuple(tag for place, tag in enumerate(TAGS.items()) if tagged >> place & 1),
    )
    made = _traced(cast, made, digest(cast.seed, "trace", serial))
    return _planted(made, cast.canary) if cast.canary else made


def _traced(cast: Cast, made: Customer, drawn: int) -> Customer:
    """Add what HelpCrunch collects by itself, and what agents enter."""
    first = cast.now - drawn % (400 * DAY // 1000) * 1000
    region, country, city = PLACES[drawn // 3 % len(PLACES)]
    channel = CHANNELS[drawn // 5 % len(CHANNELS)] if drawn // 7 % 4 == 0 else None
    return made._replace(
        company=COMPANIES[drawn // 11 % len(COMPANIES)] if drawn // 13 % 3 == 0 else None,
        phone=f"+4930{drawn % 10_000_000:07}" if drawn // 17 % 2 else None,
        first_seen=first,
        last_seen=first + (cast.now - first) * (drawn // 19 % 100) // 100_000 * 1000,
        region=region,
        country=country,
        city=city,
        device=_device(made.id, drawn) if drawn // 23 % 5 else None,
        unsubscribed=drawn // 29 % 9 == 0,
        blocked=drawn // 31 % 40 == 0,
        source="https://shop.example/" if drawn // 37 % 3 else None,
        referer="https://search.example/?q=parcel" if drawn // 41 % 4 == 0 else None,
        last_page=f"https://shop.example/item/{drawn % 500}" if drawn // 43 % 4 else None,
        locale=LOCALES[drawn // 47 % len(LOCALES)],
        created_from=channel,
        integration_id=str(5_550_000_000 + made.id) if channel else None,
        notes="Prefers to be called in the evening" if drawn // 53 % 11 == 0 else None,
        custom_data=_custom_data(drawn // 59),
    )


def _device(number: int, drawn: int) -> Device:
    return Device(
        id=number + 100_000,
        ip=f"203.0.113.{drawn % 254 + 1}",
        timezone="Europe/Berlin" if drawn % 2 else "Europe/Kyiv",
        platform="desktop" if drawn // 3 % 2 else "mobile",
        user_agent=AGENTS[drawn // 5 % len(AGENTS)],
    )


def _custom_data(drawn: int) -> tuple[tuple[str, Value], ...]:
    if drawn % 3 == 0:
        return ()
    values: tuple[tuple[str, Value], ...] = (
        *(
            ("plan", ("gold", "silver", "free")[drawn % 3]),
            ("orders", drawn % 17),
            ("is_trial", drawn % 5 == 0),
        ),
    )
    return values[: 1 + drawn // 3 % 3]


def _planted(made: Customer, canary: str) -> Customer:
    """Put a string into each field that may hold a person's data; the fields that must be unique stay so."""
    number = made.id
    return made._replace(
        name=f"{made.name or 'Nobody'} {canary}",
        email=f"{canary}.{number}@mail.example",
        user_id=f"{canary}-{number}",
        company=f"Company of {canary}",
        phone=f"+49 30 {canary}",
        city=f"City of {canary}",
        device=Device(number, f"203.0.113.1 {canary}", "Europe/Berlin", "desktop", f"Browser of {canary}"),
        source=f"https://shop.example/?from={canary}",
        referer=f"https://search.example/?q={canary}",
        last_page=f"https://shop.example/account/{canary}",
        integration_id=f"{canary}-{number}",
        created_from=made.created_from or CHANNELS[number % len(CHANNELS)],
        notes=f"A note about {canary}",
        custom_data=(("plan", "gold"), ("birthday", f"1990-01-31 {canary}"), ("passport", f"X {canary}")),
    )
