"""Survey of the input: all of it is read once before anything is sent, and only what tells its rows apart is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.customers.rows import Row, UnfitError, check_record, clears_field, key_in
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Survey:
    """
    What is known of an input before anything is sent. Make it with :meth:`of`.

    :param key: the field by which customers are found
    :param rows: number of its rows
    :param columns: names of its columns, in the order in which they appear
    :param clears: number of the first row that clears a field; ``None`` if none does
    :param fingerprint: short hash, equal only for equal input
    :param repeated: the keys that several rows have
    """

    key: str
    rows: int
    columns: tuple[str, ...]
    clears: int | None
    fingerprint: str
    repeated: frozenset[Any] = field(repr=False)

    @classmethod
    def of(cls, records: Iterable[tuple[int, Any]], key: str) -> Survey:
        """
        Read an input.

        Memory holds a hash of each key, about a hundred bytes, to find those that come twice.

        :param records: the records, each with its number
        :param key: the field by which customers are found
        :raises HelpCrunchConfigurationError: a record is no customer, or none has a key
        """
        rows, keys, clears = 0, 0, None
        columns: dict[str, None] = {}
        seen: set[bytes] = set()
        repeated: set[Any] = set()
        whole = hashlib.sha256()
        for number, record in records:
            check_record(number, record)
            rows += 1
            columns.update(dict.fromkeys(record))
            whole.update(_written(record))
            if clears is None and clears_field(record, key):
                clears = number
            try:
                found = key_in(record, key)
            except UnfitError:
                continue
            keys += 1
            digest = hashlib.blake2b(str(found).encode(errors="surrogatepass"), digest_size=8).digest()
            if digest in seen:
                repeated.add(found)
            seen.add(digest)
        if rows and not keys:
            msg = (
                f"No row of customers has a readable {key}, by which its customer would be found; set key to another "
                "field."
            )
            raise HelpCrunchConfigurationError(msg)
        return cls(key, rows, tuple(columns), clears, whole.hexdigest()[:12], frozenset(repeated))

    def read(
        self, records: Iterable[tuple[int, Mapping[str, Any]]], wanted: Callable[[int], bool]
    ) -> Iterator[Row]:
        """
        Yield rows of the input. Of rows with the same key none can be applied: nobody knows which is right.

        :param records: the records, each with its number
        :param wanted: says by its number whether a row is wanted
        """
        for number, record in records:
            if not wanted(number):
                continue
            row = Row.read(number, record, self.key)
            if row.key in self.repeated:
                yield Row(number, problem=f"another row has the same {self.key}")
            else:
                yield row


def _written(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, default=str).encode()
