"""
Upsert: the customer of each row is found by its key, and created or changed so far as it differs.

A customer is created by a request that is not idempotent. Where its response is lost, the row is put off to the end,
and its customer is looked up again before anything is sent again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.client import retry
from airflow_provider_helpcrunch.client.customer_fields import CREATE_FIELDS, tag_names, unconfirmed
from airflow_provider_helpcrunch.customers.changes import (
    NotKept,
    different_fields,
    fields_not_kept,
    may_be_ignored,
    missing_tags,
    present_tags,
)
from airflow_provider_helpcrunch.customers.ignored import IgnoredFields
from airflow_provider_helpcrunch.customers.lookup import AT_ONCE, Lookup
from airflow_provider_helpcrunch.customers.rows import Row, UnfitError
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchApiError,
    HelpCrunchBadRequestError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
    HelpCrunchUnconfirmedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.models import Customer
    from airflow_provider_helpcrunch.customers.lookup import Found
    from airflow_provider_helpcrunch.customers.progress import Outcome, Progress

log = logging.getLogger(__name__)

REFUSALS = (HelpCrunchBadRequestError, HelpCrunchNotFoundError)
"""Errors by which HelpCrunch refuses one row; others may be applied."""

FAULTS = (*retry.FAULTS, HelpCrunchUnconfirmedError)
"""Errors without a usable response, even after all retries."""

MOST_FAULTS = 3
"""Faults in a row after which the service is considered down."""

MOST_CODES = 5
"""Most error codes in a line of the log."""


@dataclass(frozen=True, slots=True)
class Options:
    """
    How rows are applied.

    :param key: the field by which customers are found: ``id``, ``userId`` or ``email``
    :param add_tags: tags for every customer, as requests write them. Default: none
    :param remove_tags: tags that no customer is to keep, as requests write them. Default: none
    :param create_missing: whether customers who are not found are created (``True``)
    :param dry_run: whether changes are only planned (``False``)
    """

    key: str
    add_tags: tuple[Mapping[str, Any], ...] = ()
    remove_tags: tuple[Mapping[str, Any], ...] = ()
    create_missing: bool = True
    dry_run: bool = False

    def tags_of(self, row: Row) -> list[Mapping[str, Any]]:
        """
        Return the tags that the customer of a row is to have, each once.

        :param row: the row
        """
        wanted = {next(iter(tag_names([tag]))): tag for tag in (*row.tags, *self.add_tags)}
        return [tag for name, tag in wanted.items() if name not in tag_names(self.remove_tags)]


class Result(NamedTuple):
    """
    Result of one row.

    :param row: its number
    :param outcome: ``created``, ``updated``, ``planned`` (a dry run), ``unchanged`` (nothing differs), ``refused``
        (unfit, or HelpCrunch sent 400 or 404) or ``failed`` (no usable response)
    :param customer: id of its customer, where that is known
    :param names: names of the fields that were changed or would be
    :param error: why it was refused or failed
    :param not_kept: names of the fields that HelpCrunch accepted, but shows with another value
    :param not_sent: names of the fields that were not sent any more, because HelpCrunch ignores them
    """

    row: int
    outcome: Outcome
    customer: int | None = None
    names: tuple[str, ...] = ()
    error: HelpCrunchError | UnfitError | None = None
    not_kept: tuple[str, ...] = ()
    not_sent: tuple[str, ...] = ()


class Upsert:
    """
    Applies the rows that have no outcome yet. After a rate limit error :meth:`run` may be called again.

    :param rows: returns the rows whose numbers pass a test, in order, each time anew
    :param options: how they are applied
    :param progress: outcomes so far, kept up to date
    """

    def __init__(
        self,
        rows: Callable[[Callable[[int], bool]], Iterable[Row]],
        options: Options,
        progress: Progress,
    ) -> None:
        self._rows = rows
        self._options = options
        self._progress = progress
        self._lookup = Lookup(options.key)
        self._ignored = IgnoredFields()
        self._late: set[int] = set()
        self._doubtful: set[int] = set()
        self._faults = 0

    def run(self, client: HelpCrunchClient) -> Iterator[Result]:
        """
        Apply the rows.

        :param client: the account. One request for each 50 rows, and one for each that has to be created or changed
        :return: a result for each row
        :raises HelpCrunchRateLimitError: no request is allowed
        :raises HelpCrunchError: the key was refused, or three rows in a row met a fault
        """
        for rows in self._blocks(is_late=False):
            yield from self._applied(client, rows, is_late=False)
        # Most inputs have no such rows, and are not read again for them.
        for rows in self._blocks(is_late=True) if self._late else ():
            yield from self._applied(client, rows, is_late=True)

    def _blocks(self, *, is_late: bool) -> Iterator[list[Row]]:
        def is_left(row: int) -> bool:
            return (row in self._late) is is_late and self._progress.is_open(row)

        left = iter(self._rows(is_left))
        while rows := list(islice(left, AT_ONCE)):
            yield rows

    def _applied(self, client: HelpCrunchClient, rows: Sequence[Row], *, is_late: bool) -> Iterator[Result]:
        found = self._lookup.of(client, [row for row in rows if row.problem is None])
        for row in rows:
            result = self._result(client, row, found)
            self._faults = self._faults + 1 if result.outcome == "failed" else 0
            if self._faults >= MOST_FAULTS and isinstance(result.error, HelpCrunchError):
                raise result.error
            if result.outcome == "failed" and not is_late:
                log.warning("Row %d is tried once more at the end: %s", row.number, in_brief(result.error))
                self._late.add(row.number)
                continue
            self._late.discard(row.number)
            error = None if result.error is None else str(result.error)
            self._progress.record(row.number, result.outcome, error, (*result.not_kept, *result.not_sent))
            yield result

    def _result(self, client: HelpCrunchClient, row: Row, found: Found | None) -> Result:
        try:
            if row.problem is not None:
                raise UnfitError(row.problem)
            there = (found or {}).get(row.key)
            # A customer whose id was not found by a search may be there nevertheless: this is cheap, and certain.
            if there is None or (not there and self._options.key == "id"):
                there = self._lookup.of_one(client, row)
            customer = self._only_one(row, there)
            if customer is None:
                return self._created(client, row)
            return self._updated(client, row, customer)
        except (*REFUSALS, UnfitError) as error:
            return Result(row.number, "refused", error=error)
        except FAULTS as error:
            return Result(row.number, "failed", error=error)

    def _only_one(self, row: Row, there: Sequence[Customer]) -> Customer | None:
        """Return the customer of a row; ``None`` if there is none."""
        key = self._options.key
        if len(there) > 1:
            ids = ", ".join(str(customer["id"]) for customer in there[:10])
            msg = f"{len(there)} customers have this {key}: {ids}"
            raise UnfitError(msg)
        if there and row.wanted not in (None, there[0]["id"]):
            msg = f"the customer with this {key} is {there[0]['id']}, and the row has the id {row.wanted}"
            raise UnfitError(msg)
        return there[0] if there else None

    def _created(self, client: HelpCrunchClient, row: Row) -> Result:
        key, tags = self._options.key, self._options.tags_of(row)
        if row.wanted is not None or not self._options.create_missing:
            advice = (
                ", and the row has an id: leave it out to create one" if key != "id" and row.wanted else ""
            )
            msg = f"no customer has this {key}{advice}"
            raise UnfitError(msg)
        fields = different_fields(row.fields, {})
        names = (*fields, *(["tags"] if tags else []))
        if self._options.dry_run:
            return Result(row.number, "planned", None, names)
        new = {name: value for name, value in fields.items() if name in CREATE_FIELDS}
        # Stays here if no response comes: HelpCrunch may have created the customer.
        self._doubtful.add(row.number)
        customer = client.create_customer({**new, **({"tags": tags} if tags else {})})
        # The customer is there, so what was not kept is no failure: the next run finds the difference, and sends it.
        first = fields_not_kept(new, {}, customer)
        no_tags = ("tags",) if missing_tags(tags, customer) else ()
        # The rest can only be set once the customer is there.
        rest = {name: value for name, value in fields.items() if name not in CREATE_FIELDS}
        changes, not_sent = self._ignored.split(different_fields(rest, customer))
        then = self._changed(client, customer, changes)
        unmade = {*first.untouched, *no_tags, *then.untouched, *not_sent}
        return Result(
            row.number,
            "created",
            customer["id"],
            tuple(name for name in names if name not in unmade),
            not_kept=(*first.names, *no_tags, *then.names),
            not_sent=tuple(not_sent),
        )

    def _updated(self, client: HelpCrunchClient, row: Row, customer: Customer) -> Result:
        number, options = customer["id"], self._options
        changes, not_sent = self._ignored.split(different_fields(row.fields, customer))
        more = missing_tags(options.tags_of(row), customer)
        fewer = present_tags(options.remove_tags, customer)
        names = (*changes, *(["tags"] if more or fewer else []))
        if options.dry_run and names:
            return Result(row.number, "planned", number, names)
        not_kept = self._changed(client, customer, changes)
        if more:
            client.add_customer_tags(number, more)
        if fewer:
            client.remove_customer_tags(number, fewer)
        made = tuple(name for name in names if name not in not_kept.untouched)
        changed: Outcome = "updated" if made else "unchanged"
        return Result(
            row.number,
            "created" if row.number in self._doubtful else changed,
            number,
            made,
            not_kept=not_kept.names,
            not_sent=tuple(not_sent),
        )

    def _changed(self, client: HelpCrunchClient, customer: Customer, changes: Mapping[str, Any]) -> NotKept:
        """
        Change a customer, if there is anything to change.

        The client checks some fields of the response; here the others are held against the past.

        :return: what HelpCrunch did not keep; what it left as it was, it may ignore
        """
        if not changes:
            return NotKept()
        after = client.update_customer(customer["id"], changes)
        not_kept = fields_not_kept(changes, customer, after)
        if unmade := [name for name in not_kept.untouched if not may_be_ignored(name, after)]:
            raise unconfirmed(customer["id"], unmade)
        self._ignored.note(changes, not_kept.untouched)
        return not_kept


def in_brief(error: BaseException | None) -> str:
    """
    Return what an error says without HelpCrunch's own words, which may quote personal data.

    :param error: the error of a result
    """
    if isinstance(error, HelpCrunchApiError):
        codes = ", ".join(detail.code for detail in error.errors[:MOST_CODES])
        return f"{error.method} {error.path}: HelpCrunch answered {error.status_code}{f' ({codes})' if codes else ''}"
    if isinstance(error, HelpCrunchResponseError):
        return (
            f"{error.method} {error.path}: HelpCrunch sent no usable response" if error.path else str(error)
        )
    return str(error)
