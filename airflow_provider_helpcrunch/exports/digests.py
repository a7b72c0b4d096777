"""
Digests of records: 8 bytes of key and 16 bytes of digest for each, whatever the length of its texts.

Two exports are compared by them. Digests are of the row that a file holds, so that another spelling of the same value
(``1714550400`` and ``"1714550400"``, which the API's documentation both shows) is no change in CSV and Parquet.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.storage.tabular import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_helpcrunch.schema import Record, Table

SIZE = 16
_ENTRY = struct.Struct(f">q{SIZE}s")
_encode = msgspec.json.Encoder(order="deterministic").encode

Change: TypeAlias = Literal["inserted", "updated", "unchanged"]


def row_maker(table: Table, file_format: str) -> Callable[[Record], Record]:
    """
    Return the function that makes of a record the row that a file holds.

    :param table: the columns of the file
    :param file_format: the file's format: JSON and JSONL have all fields, CSV and Parquet those of the table
    """
    if file_format.startswith("json"):
        return lambda record: record
    rows = Rows(table)
    return lambda record: next(rows.of([record]))


def digester(table: Table, file_format: str) -> Callable[[Record], bytes]:
    """
    Return the function that digests a record.

    :param table: the columns of the file
    :param file_format: the file's format
    """
    row_of = row_maker(table, file_format)
    return lambda record: hashlib.blake2b(_encode(row_of(record)), digest_size=SIZE).digest()


class Digests:
    """
    Keys and digests of one export, packed.

    :param packed: what :attr:`packed` was. Default: none yet
    :raises HelpCrunchStorageError: the bytes are cut off
    """

    def __init__(self, packed: bytes = b"") -> None:
        if len(packed) % _ENTRY.size:
            msg = "The digests of the export before are damaged: restore them, or begin at another base_path."
            raise HelpCrunchStorageError(msg)
        self.packed = bytearray(packed)
        """The keys and digests as bytes."""

    def __len__(self) -> int:
        return len(self.packed) // _ENTRY.size

    def add(self, key: int, digest: bytes) -> None:
        """
        Add a record.

        :param key: its id
        :param digest: its digest
        """
        self.packed += _ENTRY.pack(key, digest)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return _ENTRY.iter_unpack(self.packed)


class Comparison:
    """
    Comparison with the export before.

    :param before: its digests
    """

    def __init__(self, before: Digests) -> None:
        self._before = dict(before)
        self.counts: dict[Change, int] = {"inserted": 0, "updated": 0, "unchanged": 0}
        """Number of records by change."""

    def change(self, key: int, digest: bytes) -> Change:
        """
        Say how a record differs, and count it.

        :param key: its id; each may come once
        :param digest: its digest
        """
        before = self._before.pop(key, None)
        change: Change = "inserted" if before is None else "unchanged" if before == digest else "updated"
        self.counts[change] += 1
        return change

    @property
    def left(self) -> set[int]:
        """Keys of the records that did not come: those deleted, once all have come."""
        return set(self._before)
