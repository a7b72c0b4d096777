"""
Tables of an account: rows made from the seed when somebody asks for them, under the changes made since.

Results that cost a walk through all rows are kept until a change touches them: an order by one of the sort keys, the
rows a search found, the JSON of a record.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_provider_helpcrunch.sandbox.responses import encode

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.records import Record
    from airflow_provider_helpcrunch.sandbox.search import Query

# Searches whose results are kept between two changes.
REMEMBERED = 32
# Records whose JSON is kept; an account may have many times as many.
ENCODED = 10_000


class Identified(Protocol):
    """A row: an immutable value with an id."""

    @property
    def id(self) -> int:
        """The id, unique in its table."""


Row = TypeVar("Row", bound=Identified)


class Table(Generic[Row]):
    """
    Rows in the order of their ids, which several threads may read and change.

    :param first: the ids of the rows at the start
    :param make: makes one of these
    :param show: a row as the API sends it
    :param lock: the account's lock; the caller of a method that starts with ``_`` holds it
    :param seed: the seed of orders that are drawn
    """

    def __init__(
        self,
        first: range,
        make: Callable[[int], Row],
        show: Callable[[Row], Record],
        lock: threading.RLock,
        seed: int,
    ) -> None:
        self._first = first
        self._make = make
        self._show = show
        self._lock = lock
        self._chance = random.Random(seed)
        self._next = first.stop
        self._complete = False
        self._rows: dict[int, Row] = {}
        self._gone: set[int] = set()
        self._ids: list[int] = []
        self._encoded: dict[int, bytes] = {}
        self._orders: dict[str, list[int]] = {}
        self._results: dict[Query[Row], list[int]] = {}

    def page(
        self, query: Query[Row], offset: int, limit: int, *, shuffled: bool = False
    ) -> tuple[list[bytes], int]:
        """
        Return the encoded rows ``[offset, offset + limit)`` of a search and how many it finds, at one moment.

        :param shuffled: read from an order that is drawn for this call
        """
        with self._lock:
            found = self._found(query)
            if shuffled:
                found = self._chance.sample(found, len(found))
            return [self.encoded(each) for each in found[offset : offset + limit]], len(found)

    def encoded(self, row_id: int) -> bytes:
        """
        Return one row as JSON.

        :raises KeyError: there is none
        """
        with self._lock:
            row = self._encoded.get(row_id)
            if row is None:
                if len(self._encoded) >= ENCODED:
                    self._encoded.clear()
                row = self._encoded[row_id] = encode(self.record(row_id))
            return row

    def get(self, row_id: int) -> Row | None:
        """Return one row, if there is one."""
        with self._lock:
            row = self._rows.get(row_id)
            if row is None and not self._complete and row_id in self._first and row_id not in self._gone:
                return self._make(row_id)
            return row

    def records(self, wanted: Callable[[Row], bool] | None = None) -> list[Record]:
        """
        Return fresh copies as the API sends them, in the order of the ids.

        :param wanted: of which rows; default: all
        """
        with self._lock:
            return [self._show(row) for row in filter(wanted, self._all().values())]

    def record(self, row_id: int) -> Record:
        """
        Return a fresh copy of one row as the API sends it.

        :raises KeyError: there is none
        """
        with self._lock:
            row = self.get(row_id)
            if row is None:
                raise KeyError(row_id)
            return self._show(row)

    def ids(self) -> list[int]:
        """Return all ids, in order."""
        with self._lock:
            return self._listed().copy()

    def draw(self, chance: random.Random) -> Row | None:
        """Return any row, if there is one."""
        with self._lock:
            ids = self._listed()
            return self._rows[chance.choice(ids)] if ids else None

    def forget_json(self) -> None:
        """Forget what rows look like and what searches found: something that rows show has changed."""
        with self._lock:
            self._encoded.clear()
            self._results.clear()

    def _all(self) -> dict[int, Row]:
        if not self._complete:
            changed, self._complete = self._rows, True
            kept = (each for each in self._first if each not in self._gone)
            self._rows = {each: changed.pop(each, None) or self._make(each) for each in kept}
            self._rows |= changed
        return self._rows

    def _listed(self) -> list[int]:
        rows = self._all()
        if len(self._ids) != len(rows):
            self._ids = list(rows)
        return self._ids

    def _add(self, row: Row) -> None:
        self._next = row.id + 1
        self._rows[row.id] = row
        self._ids = []
        self._orders.clear()
        self._results.clear()

    def _replace(self, before: Row, **values: Any) -> Row:
        after: Row = before._replace(**values)  # type: ignore[attr-defined]
        self._rows[before.id] = after
        for key in [key for key in self._orders if getattr(before, key) != getattr(after, key)]:
            del self._orders[key]
        self._encoded.pop(before.id, None)
        self._results.clear()
        return after

    def _remove(self, row_id: int) -> None:
        self._rows.pop(row_id, None)
        self._ids = []
        self._gone.add(row_id)
        self._encoded.pop(row_id, None)
        self._orders.clear()
        self._results.clear()

    def _found(self, query: Query[Row]) -> list[int]:
        found = self._results.get(query)
        if found is None:
            rows = self._all()
            found = [each.id for each in query.select([rows[each] for each in self._order(query.sort)])]
            if query.descending:
                found.reverse()
            if len(self._results) >= REMEMBERED:
                self._results.clear()
            self._results[query] = found
        return found

    def _order(self, key: str) -> list[int]:
        """Return all ids by a sort key and then by id; rows without such a time come first, as in MySQL."""
        order = self._orders.get(key)
        if order is None:
            rows = self._all()
            order = self._orders[key] = sorted(rows, key=lambda each: (getattr(rows[each], key) or 0, each))
        return order
