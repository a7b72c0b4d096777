"""
Fields that an account ignores: HelpCrunch accepts their change, and the customer that it sends back does not show it.

So it may be with the place of a customer (``city``, ``regionCode``, ``countryCode``), which is read-only in newer
documentation, and with fields that an account does not show at all. They would differ in the next run again, and be
sent for each customer in each run. So a field that was ignored several times in a row is not sent any more.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

log = logging.getLogger(__name__)

MOST_IGNORED = 3
"""Customers in a row for whom HelpCrunch may ignore a field, before it is not sent any more."""


class IgnoredFields:
    """The fields that an account has ignored in one run."""

    def __init__(self) -> None:
        self._in_a_row: Counter[str] = Counter()

    def split(self, changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """
        Return the changes that are worth sending, and the names of the others.

        :param changes: the fields that differ
        """
        given_up = [name for name in changes if self._in_a_row[name] >= MOST_IGNORED]
        return {name: value for name, value in changes.items() if name not in given_up}, given_up

    def note(self, sent: Iterable[str], ignored: Collection[str]) -> None:
        """
        Take note of a change.

        :param sent: names of the fields that were sent
        :param ignored: names of those that HelpCrunch ignored
        """
        for name in sent:
            self._in_a_row[name] = self._in_a_row[name] + 1 if name in ignored else 0
            if self._in_a_row[name] == MOST_IGNORED:
                log.warning(
                    "HelpCrunch has ignored %s of %d customers in a row, so it is not sent for the others. Leave this "
                    "column out.",
                    name,
                    MOST_IGNORED,
                )
