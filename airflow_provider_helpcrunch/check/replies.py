"""Replies of an account to the requests of a check, before anything is concluded from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.pages import Page, parse_page
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_helpcrunch.schema import Record


@dataclass(frozen=True)
class Reply:
    """
    Reply to one request.

    :param status: HTTP status; ``None``: there was no usable response
    :param payload: the decoded body of a success
    :param codes: the codes of the errors in a refusal, in order
    :param problem: why there is no usable response, in words without anything that the server sent; else empty
    """

    status: int | None = None
    payload: Any = field(default=None, repr=False)
    codes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_success(self) -> bool:
        """Whether HelpCrunch did what was asked."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether HelpCrunch refused the request itself."""
        return self.status is not None and not self.is_success

    @cached_property
    def page(self) -> Page | None:
        """The page of a list; ``None`` if it is none that the client can read."""
        if not self.is_success:
            return None
        try:
            return parse_page(self.payload)
        except ValueError:
            return None

    @property
    def records(self) -> list[Record]:
        """The records of the page; none if there is no page."""
        return [] if self.page is None else self.page.records

    @property
    def total(self) -> int | None:
        """The total of the page, if it has one."""
        return None if self.page is None else self.page.total

    @property
    def place_of_total(self) -> str:
        """Where the total stands, in words."""
        body = self.payload if isinstance(self.payload, Mapping) else {}
        meta = body.get("meta")
        in_meta = isinstance(meta, Mapping) and "total" in meta
        total = meta["total"] if isinstance(meta, Mapping) and in_meta else body.get("total")
        if total is None:
            return "none"
        place = "in meta" if in_meta else "at the root"
        return place if isinstance(total, int) else f"{place}, as a text"


@dataclass(frozen=True, kw_only=True)
class Replies:
    """
    All replies of an account, by what was asked.

    :param limit: records a page that the requests named; ``None``: HelpCrunch refused 100, so they named none
    :param agents: the first page of agents
    :param departments: the first page of departments
    :param applications: the applications
    :param organization: the account itself
    :param newest: ``GET /chats`` without any parameter
    :param oldest: the first page of chats by ``createdAt``, ascending
    :param last: chats in that order from the offset where its total says that the last one is; two, if a limit can be
        named
    :param beyond: chats from an offset behind all of them
    :param above: chats with a ``limit`` of 101
    :param closed: a search for the closed chats in front of :attr:`before`, by the word
    :param numbered: the same search by the number that one example of the documentation shows
    :param before: UNIX seconds; every chat created before is in ``oldest``. ``None``: there is no such chat
    :param nothing: a search that nothing matches
    :param updated: a search by ``chats.updatedAt``
    :param customers: the first page of customers by ``firstSeen``, ascending
    :param found_customers: a search of customers that all of them match
    :param messages: the newest messages of one chat
    :param missing: ``GET /chats/{id}`` of a chat that does not exist
    :param headers: names of all headers about a rate limit, in lower case
    :param responses: how many complete responses there were
    :param refused: how many of them were a 429
    """

    limit: int | None
    agents: Reply
    departments: Reply
    applications: Reply
    organization: Reply
    newest: Reply
    oldest: Reply
    last: Reply
    beyond: Reply
    above: Reply
    closed: Reply
    numbered: Reply
    before: int | None
    nothing: Reply
    updated: Reply
    customers: Reply
    found_customers: Reply
    messages: Reply
    missing: Reply
    headers: frozenset[str] = frozenset()
    responses: int = 0
    refused: int = 0

    @cached_property
    def chats(self) -> list[Record]:
        """Every chat that was seen, each once."""
        replies = (self.newest, self.oldest, self.last, self.closed, self.numbered, self.updated)
        by_id = {chat["id"]: chat for reply in replies for chat in reply.records}
        return list(by_id.values())


def moments(records: list[Record], name: str) -> list[datetime]:
    """
    Return the times in a field, in the order of the records, without those that cannot be read.

    :param records: the records
    :param name: the field
    """
    read = (parse_timestamp(record.get(name)) for record in records)
    return [moment for moment in read if moment is not None]
