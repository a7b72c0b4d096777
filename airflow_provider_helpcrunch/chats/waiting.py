"""
Condition that a sensor waits for: at least so many chats match a search.

A reading stops as soon as enough chats were found. Where closed chats cannot match, they are left out of the search, or
every chat that the account ever had would be read.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_helpcrunch.chats.checkpoint import SourceCheckpoint
from airflow_provider_helpcrunch.chats.criteria import Criteria
from airflow_provider_helpcrunch.chats.selection import Selection
from airflow_provider_helpcrunch.chats.source_pages import SourcePages
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.ids import check_id
from airflow_provider_helpcrunch.client.pagination import Position
from airflow_provider_helpcrunch.exceptions import HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.schema import Record

    Filters = Sequence[Filter | Mapping[str, Any]]


DISTRUST = 3600.0
"""Seconds for which closed chats are read too, once HelpCrunch has failed to exclude them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """
    At least so many chats match a search.

    :param criteria: the conditions of the search
    :param at_least: number of chats (1)
    :param older_than: only chats created at least so many seconds ago; ``None``: all
    :param waiting_for: only chats whose customer wrote the last message, at least so many seconds ago; ``None``: all
    """

    criteria: Criteria
    at_least: int = 1
    older_than: float | None = None
    waiting_for: float | None = None

    @property
    def excludes_closed(self) -> bool:
        """Whether no closed chat can match. Without a condition on statuses or on closing, chats must be open."""
        statuses = self.criteria.statuses
        return not self._is_about_closing if statuses is None else "closed" not in statuses

    @property
    def is_any_of(self) -> bool:
        """Whether one filter suffices (``OR``). HelpCrunch joins all filters by one word, so none can be added then."""
        return str(self.criteria.comparison).upper() == "OR"

    @property
    def _is_about_closing(self) -> bool:
        asked = {Filter.of(given).field for given in self.criteria.given}
        return self.criteria.is_timed("closed") or not asked.isdisjoint(("chats.status", "chats.closedAt"))

    def filters(self, now: datetime) -> Filters:
        """
        Return the filters that HelpCrunch applies.

        :param now: the time of the reading
        """
        filters = self.criteria.filters()
        if self.older_than is not None and not self.is_any_of:
            filters.append(Filter("chats.createdAt", "<=", now - timedelta(seconds=self.older_than)))
        return filters

    def match(self, chat: Mapping[str, Any], now: datetime) -> bool:
        """
        Say whether a chat matches.

        :param chat: a chat that HelpCrunch found
        :param now: the time of the reading
        :raises HelpCrunchResponseError: a field needed for this is unreadable, or the chat contradicts a filter
        """
        if not self.criteria.match(chat):
            return False
        if self.criteria.statuses is None and self.excludes_closed and not Selection(None).has_status(chat):
            return False
        if self.older_than is not None and not _is_past(_moment_in(chat, "createdAt"), now, self.older_than):
            return False
        return self.waiting_for is None or _is_past(_waits_since(chat), now, self.waiting_for)

    def to_json(self) -> dict[str, Any]:
        """Return the condition as plain JSON, for a trigger."""
        return {
            "criteria": self.criteria.to_json(),
            "at_least": self.at_least,
            "older_than": self.older_than,
            "waiting_for": self.waiting_for,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Condition:
        """
        Return the condition that :meth:`to_json` wrote.

        :param written: the plain JSON
        """
        return cls(**{**written, "criteria": Criteria.from_json(written["criteria"])})


class Finder:
    """
    Finds the chats of a condition, again and again.

    :param condition: the condition
    """

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self._open = OpenChats()

    def find(self, client: HelpCrunchClient, now: datetime) -> list[int]:
        """
        Return the ids of matching chats, oldest first: all of them, or those read until ``at_least`` were found.

        :param client: the account
        :param now: the current time
        :raises HelpCrunchError: a request failed, or the pages do not join
        """
        found: dict[int, None] = {}
        for chats in self._pages(client, self.condition.filters(now)):
            found |= dict.fromkeys(
                check_id("id", chat["id"]) for chat in chats if self.condition.match(chat, now)
            )
            if len(found) >= self.condition.at_least:
                break
        return list(found)

    def _pages(self, client: HelpCrunchClient, filters: Filters) -> Iterator[list[Record]]:
        if self.condition.excludes_closed and not self.condition.is_any_of:
            return self._open.pages(client, filters)
        return search_pages(client, filters, self.condition.criteria.comparison)


class OpenChats:
    """
    Chats that are not closed, read again and again.

    HelpCrunch's search by status is not trusted (see :mod:`.source_pages`). Whether it works is checked until it has
    found a chat. Where it does not, closed chats are among those read, and an hour later it is tried again.
    """

    def __init__(self) -> None:
        self._is_proven = False
        self._distrusted: float | None = None

    def pages(
        self, client: HelpCrunchClient, filters: Filters = (), *, proven: bool = False
    ) -> Iterator[list[Record]]:
        """
        Yield the chats page by page, oldest first; after a step back, some of them again.

        :param client: the account
        :param filters: further conditions. Default: none
        :param proven: ask once more where there are no chats, instead of leaving that to the next reading (``False``)
        :raises HelpCrunchError: a request failed, or the pages do not join
        """
        narrow = self._distrusted is None or time.monotonic() - self._distrusted > DISTRUST
        at = SourceCheckpoint(narrow=narrow, may_narrow=narrow, fresh=not self._is_proven)
        pages = SourcePages(_Filtered(None, given=tuple(map(Filter.of, filters))), at)
        goes_on = True
        while goes_on:
            page = pages.read(client)
            if narrow and not at.narrow:
                self._distrusted, narrow = time.monotonic(), False
            if page is None:
                continue
            self._is_proven = self._is_proven or bool(page.ids)
            yield page.records
            is_none = not page.ids and not page.offset
            goes_on = not (is_none and self._is_proven and not proven) and pages.next(client, page, page.ids)


@dataclass(frozen=True, slots=True)
class _Filtered(Selection):
    """
    Selection by filters alone.

    :param given: the filters
    """

    given: tuple[Filter, ...] = ()

    def filters(self) -> list[Filter]:
        return list(self.given)


def search_pages(
    client: HelpCrunchClient, filters: Filters, comparison: str = "AND"
) -> Iterator[list[Record]]:
    """
    Yield the chats of a search page by page, oldest first, and each once.

    :param client: the account
    :param filters: the conditions
    :param comparison: how they are joined: ``AND`` or ``OR`` (``AND``)
    :raises HelpCrunchError: a request failed, or the pages do not join
    """
    page = client.search_chats_page(filters, comparison=comparison)
    yield page.records
    # A listing would request an empty page once more. Here the next poll does that.
    if not page.ids or page.total == len(page) < LARGEST_PAGE:
        return
    with contextlib.closing(client.iter_search_chats(filters, comparison=comparison)) as listing:
        for chats in listing.batches(Position(page.end - 1, page.ids[-1]), page.ids):
            yield cast("list[Record]", chats)


def _waits_since(chat: Mapping[str, Any]) -> datetime | None:
    """Return when the customer wrote the last message of a chat; ``None`` if somebody else did, or there is none."""
    asked, latest = (_moment_in(chat, name) for name in ("lastCustomerMessageAt", "lastMessageAt"))
    # Whole seconds: the two may be written with and without a fraction.
    if asked is None or (latest is not None and _second(latest) > _second(asked)):
        return None
    return asked


def _moment_in(chat: Mapping[str, Any], name: str) -> datetime | None:
    raw = chat.get(name)
    moment = parse_timestamp(raw)
    if moment is None and raw not in (None, ""):
        msg = f"HelpCrunch sent the chat {chat.get('id')} without a readable {name}."
        raise HelpCrunchResponseError(msg)
    return moment


def _second(moment: datetime) -> int:
    return math.floor(moment.timestamp())


def _is_past(moment: datetime | None, now: datetime, seconds: float) -> bool:
    return moment is not None and moment <= now - timedelta(seconds=seconds)
