"""Questions about records: words, times and fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.check.answers import (
    Answer,
    Question,
    contradicted,
    grouped,
    listed,
    unanswered,
    without_page,
)
from airflow_provider_helpcrunch.client.addresses import inbox_host
from airflow_provider_helpcrunch.client.vocabulary import RATINGS, STATUSES, rating_of, status_of
from airflow_provider_helpcrunch.plurals import counted
from airflow_provider_helpcrunch.schema import CHATS, CUSTOMERS
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_helpcrunch.check.replies import Replies
    from airflow_provider_helpcrunch.schema import Record, Table

ROLES = ("admin", "superviser", "agent", "agentChatOnly")
"""The documented roles of agents; an account may have roles of its own, whose names are not shown."""

# The words of the API are short and plain. A text that is anything else is not one of them, and may be a person's.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,29}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")

# A chat's notes are in the oldest edition of the documentation alone, and the client adds the raw words.
_OLD_FIELDS = frozenset({"notes"})
_ADDED_FIELDS = frozenset({"statusRaw", "ratingRaw"})


def _words(records: Iterable[Record], field: str) -> list[Any]:
    """Return the different values of a field, in alphabetical order, without null."""
    values = {str(value): value for record in records if (value := record.get(field)) is not None}
    return [values[text] for text in sorted(values)]


def _shown(word: Any) -> str:
    return str(word) if _WORD.fullmatch(str(word)) else "a text that is no word"


def _statuses(replies: Replies) -> Answer:
    words = _words(replies.chats, "status")
    if not words:
        return unanswered("no chat was seen")
    text = listed([_shown(word) for word in words])
    if all(status_of(word) in STATUSES for word in words):
        return Answer(text)
    return contradicted(
        text,
        "A chat with an unknown status counts as open and cannot be selected by it; one with a number stops a task.",
    )


def _on_hold(replies: Replies) -> Answer:
    words = [str(word) for word in _words(replies.chats, "status") if status_of(word) == "onhold"]
    return (
        Answer(listed(words))
        if words
        else unanswered(f"none of {counted(len(replies.chats), 'chat')} is on hold")
    )


def _ratings(replies: Replies) -> Answer:
    words = _words(replies.chats, "rating")
    if not words:
        return unanswered(f"none of {counted(len(replies.chats), 'chat')} is rated")
    known = [str(word) for word in words if rating_of(word) in RATINGS]
    return Answer(listed([*known, *_counted(words, known)]))


def _roles(replies: Replies) -> Answer:
    words = _words(replies.agents.records, "role")
    if not words:
        return unanswered("no agent has a role")
    known = [str(word) for word in words if word in ROLES]
    return Answer(listed([*known, *_counted(words, known)]))


def _counted(words: list[Any], known: list[str]) -> list[str]:
    number = len(words) - len(known)
    return (
        [f"{number} of the account's own" if known else f"only {number} of the account's own"]
        if number
        else []
    )


def _timestamps(replies: Replies) -> Answer:
    sources = (
        (
            "",
            replies.chats,
            ("createdAt", "closedAt", "lastMessageAt", "lastCustomerMessageAt", "snoozedUntil"),
        ),
        ("customers.", replies.customers.records, ("firstSeen", "lastSeen")),
        ("messages.", replies.messages.records, ("createdAt", "updatedAt")),
    )
    styles = {}
    for prefix, records, fields in sources:
        for field in fields:
            found = sorted(
                {_style(record[field]) for record in records if record.get(field) not in (None, "")}
            )
            if found:
                styles[prefix + field] = " and ".join(found)
    if not styles:
        return unanswered("no record with a time was seen")
    text = grouped(styles)
    if not any("unreadable" in style for style in styles.values()):
        return Answer(text)
    return contradicted(text, "An unreadable time is null in CSV and Parquet, and conditions on it fail.")


def _style(value: Any) -> str:
    if parse_timestamp(value) is None:
        return "unreadable"
    if isinstance(value, str):
        return "text with a fraction" if "." in value else "text of digits"
    return "integer" if isinstance(value, int) else "number with a fraction"


def _custom_data(replies: Replies) -> Answer:
    kinds = {_kind(record["customData"]) for record in replies.customers.records if "customData" in record}
    if not kinds:
        return unanswered("no customer with customData was seen")
    text = listed(sorted(kinds))
    if "something else" not in kinds:
        return Answer(text)
    return contradicted(text, "It is passed on as it is, and is JSON text in CSV and Parquet.")


def _kind(data: Any) -> str:
    if data is None:
        return "null"
    if isinstance(data, dict):
        return "object"
    if isinstance(data, list) and all(isinstance(pair, dict) and "property" in pair for pair in data):
        return "array of property and value" if data else "empty array"
    return "something else"


def _chat_fields(replies: Replies) -> Answer:
    return _fields(replies.chats, CHATS)


def _customer_fields(replies: Replies) -> Answer:
    return _fields(replies.customers.records, CUSTOMERS)


def _fields(records: list[Record], table: Table) -> Answer:
    """Compare the fields of records with the documentation; the names of unknown ones are the API's, not a person's."""
    if not records:
        return unanswered(f"there are no {table.name} to see")
    documented = {column.name for column in table.columns} - _ADDED_FIELDS
    seen = {name for record in records for name in record}
    new = sorted(name for name in seen - documented - _OLD_FIELDS if _FIELD.fullmatch(name))
    parts = {"without": sorted(documented - seen), "beyond the documentation": new}
    text = "; ".join(f"{words} {listed(names)}" for words, names in parts.items() if names)
    return Answer(text or "as documented")


def _domain(replies: Replies) -> Answer:
    reply = replies.organization
    if not reply.is_success:
        return unanswered(without_page(reply))
    body = reply.payload if isinstance(reply.payload, dict) else {}
    data = body.get("data", body)
    domain = data.get("domain") if isinstance(data, dict) else None
    if inbox_host(domain) is None:
        text = "no host of helpcrunch.com" if domain else "none"
        return Answer(f"{text}, so chats have no addresses unless the connection has an inbox_domain")
    return Answer("a host of helpcrunch.com" if "." in str(domain) else "a name alone")


QUESTIONS = (
    Question("statuses", "statuses", "seven words, in any spelling", _statuses),
    Question("on_hold", "on hold", "read as onhold, however it is spelt", _on_hold),
    Question("ratings", "ratings", "known words get one spelling, others pass as they are", _ratings),
    Question("roles", "roles", "any word", _roles),
    Question(
        "timestamps", "times", "UNIX seconds: a number or a text, with a fraction or without", _timestamps
    ),
    Question("custom_data", "customData", "an object, or an array of property and value", _custom_data),
    Question(
        "chat_fields", "chat fields", "any but id may be missing, others pass as they are", _chat_fields
    ),
    Question("customer_fields", "customer fields", "as for chats", _customer_fields),
    Question("domain", "account's domain", "part of a chat's address only if it looks like it", _domain),
)
"""What an account may answer differently about records."""
