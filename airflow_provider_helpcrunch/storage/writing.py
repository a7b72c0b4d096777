"""Writer of records in each format. Memory holds one record, or one row group of Parquet."""

from __future__ import annotations

import gzip
import logging
from contextlib import nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.storage.csv_dialect import join_fields
from airflow_provider_helpcrunch.storage.tabular import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from airflow_provider_helpcrunch.schema import Column, Table
    from airflow_provider_helpcrunch.storage.formats import Compression, Format
    from airflow_provider_helpcrunch.storage.spool import Spool

log = logging.getLogger(__name__)

MOST_NAMES = 20
LONGEST_NAME = 40
"""Most unknown fields in a warning, and most characters of each name: the server controls both."""

ROW_GROUP = 10_000
"""Rows in a row group of a Parquet file."""


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


def write_records(records: Iterable[Any], spool: Spool, file_format: Format, table: Table) -> int:
    """
    Write records into a file, in order.

    :param records: dictionaries, as the API sent them; errors of their iterator are passed on
    :param spool: the file
    :param file_format: the format of the file
    :param table: the columns of a CSV or Parquet file; fields without a column are left out with one warning
    :return: the number of records
    :raises HelpCrunchStorageError: a record does not fit the format, or the disk is full
    """
    with _compressor(spool, file_format.compression) as sink:
        if file_format.kind == "jsonl":
            return _write_jsonl(records, sink)
        if file_format.kind == "json":
            return _write_json(records, sink)
        rows = Rows(table)
        write = _write_csv if file_format.kind == "csv" else _write_parquet
        count = write(rows.of(records), sink, table)
    if rows.unknown:
        log.warning(
            "The table of %s has no columns for these fields, they are not in the %s file: %s",
            table.name,
            file_format,
            ", ".join(name[:LONGEST_NAME] for name in sorted(rows.unknown)[:MOST_NAMES]),
        )
    return count


def _compressor(spool: Spool, compression: Compression | None) -> AbstractContextManager[Any]:
    if compression == "gz":
        # No time and no name, so that equal records give equal bytes.
        return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=spool, mtime=0)
    if compression == "zst":
        import zstandard

        return zstandard.ZstdCompressor(write_checksum=True).stream_writer(spool, closefd=False)  # type: ignore[arg-type]
    return nullcontext(spool)


def _write_jsonl(records: Iterable[Any], sink: _Sink) -> int:
    count = 0
    for record in records:
        sink.write(_json(record) + b"\n")
        count += 1
    return count


def _write_json(records: Iterable[Any], sink: _Sink) -> int:
    """Write one array with one record per line, so that it can be read line by line."""
    count = 0
    for record in records:
        sink.write((b",\n" if count else b"[\n") + _json(record))
        count += 1
    sink.write(b"\n]\n" if count else b"[]\n")
    return count


def _write_csv(rows: Iterable[dict[str, Any]], sink: _Sink, table: Table) -> int:
    sink.write(join_fields(column.name for column in table.columns).encode())
    count = 0
    for row in rows:
        sink.write(join_fields(row.values()).encode())
        count += 1
    return count


def _write_parquet(rows: Iterable[dict[str, Any]], sink: Any, table: Table) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(_arrow_fields(table.columns))
    count = 0
    remaining = iter(rows)
    with pq.ParquetWriter(sink, schema, write_page_checksum=True) as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            writer.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _arrow_fields(columns: Iterable[Column]) -> list[pa.Field[Any]]:
    import pyarrow as pa

    nested: dict[str, Callable[[Any], Any]] = {
        "struct": pa.struct,
        "list": lambda fields: pa.list_(pa.struct(fields)),
    }
    plain = {
        "int64": pa.int64(),
        "string": pa.string(),
        "json": pa.string(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
    return [
        pa.field(c.name, plain[c.type] if c.type in plain else nested[c.type](_arrow_fields(c.fields)))
        for c in columns
    ]


_encode = msgspec.json.Encoder().encode


def _json(record: Any) -> bytes:
    if not isinstance(record, dict):
        msg = f"A record must be a dictionary, not {type(record).__name__}."
        raise HelpCrunchStorageError(msg)
    try:
        return _encode(record)
    except (TypeError, ValueError, msgspec.MsgspecError, OverflowError, RecursionError) as exc:
        found = record.get("id")
        whose = f"with id {found}" if isinstance(found, int) else "without a readable id"
        # Without the message of the encoder: it may quote personal data.
        msg = f"The record {whose} cannot be written as JSON ({type(exc).__name__})."
        raise HelpCrunchStorageError(msg) from None
