"""Reader of written objects, as a stream of records."""

from __future__ import annotations

import codecs
import gzip
import io
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchStorageError,
)
from airflow_provider_helpcrunch.storage.csv_reading import read_csv
from airflow_provider_helpcrunch.storage.formats import input_format
from airflow_provider_helpcrunch.storage.lineage import report
from airflow_provider_helpcrunch.storage.location import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_helpcrunch._airflow import ObjectStoragePath
    from airflow_provider_helpcrunch.schema import Table
    from airflow_provider_helpcrunch.storage.formats import Compression, Format
    from airflow_provider_helpcrunch.storage.location import Location
    from airflow_provider_helpcrunch.storage.target import Receipt

_BUFFER = 2**20
_COMPRESSED_CHUNK = 2**14
_BATCH = 1_000


def read_records(
    path: str | ObjectStoragePath | Receipt | dict[str, Any],
    file_format: str | None = None,
    *,
    table: Table | None = None,
) -> Iterator[dict[str, Any]]:
    """
    Read records back, one by one, without loading the object into memory.

    In a task downstream of an operator that has an ``output_path``::

        @task
        def count_admins(receipt):
            return sum(agent["role"] == "admin" for agent in read_records(receipt))

        count_admins(list_agents.output)

    JSON Lines and JSON give records as the API sent them, Parquet gives typed ones (timestamps as ``datetime`` in UTC).
    CSV has only text: an empty field is ``None``, an empty quoted one is ``""``, and all others stay text. With
    ``table`` the fields get their types, and the records equal those of Parquet. A CSV file may be from a spreadsheet:
    with semicolons or tabs, with a first line that declares them (``sep=;``), or without a last line end, which is an
    error only if a receipt gives another size in bytes. Texts may begin with the byte order mark of UTF-8. A JSON array
    that was not written by this package is loaded whole.

    :param path: the object: its path or URL, an ``ObjectStoragePath``, or the receipt of the task that wrote it;
        also a mapping with ``path`` and ``format`` alone
    :param file_format: the format, such as ``jsonl`` or ``csv.gz``, if the path's suffix names none. Default: by the
        receipt or the suffix
    :param table: the types of the columns of a CSV file; default ``None``: text. Other formats do not need it
    :return: an iterator over the records, in order; the object is opened when the first one is read
    :raises HelpCrunchConfigurationError: the path names no object, its format is not known, or a library is missing
    :raises HelpCrunchStorageError: while iterating: there is no such object, it cannot be read, or it is cut short or
        damaged
    """
    if isinstance(path, dict) and "path" not in path:
        msg = "This is not a receipt: a mapping must have the keys 'path' and 'format'."
        raise HelpCrunchConfigurationError(msg)
    location = locate(str(path["path"]) if isinstance(path, dict) else path)
    size = path.get("bytes") if isinstance(path, dict) else None
    return _read(location, input_format(path, file_format), table, size)


def _read(
    location: Location, file_format: Format, table: Table | None, size: int | None
) -> Iterator[dict[str, Any]]:
    try:
        with _open(location) as raw:
            suspicious = size is not None and size != _size(raw)
            with _decompressor(raw, file_format.compression) as source:
                if file_format.kind != "parquet":
                    _skip_byte_order_mark(source)
                if file_format.kind == "csv":
                    yield from read_csv(source, table, suspicious=suspicious)
                else:
                    yield from _READERS[file_format.kind](source)
    except HelpCrunchError:
        raise
    except FileNotFoundError as exc:
        msg = f"There is no object {location.text!r}."
        raise HelpCrunchStorageError(msg) from exc
    # Every filesystem and every codec has an exception tree of its own.
    except Exception as exc:
        msg = f"{location.text!r} cannot be read as {file_format}: {type(exc).__name__}: {exc}"
        raise HelpCrunchStorageError(msg) from exc


def _open(location: Location) -> io.BufferedReader:
    raw: Any
    if location.remote is None:
        raw = io.FileIO(location.local)
    else:
        # The filesystem may have cached the size of an older object that was replaced since.
        location.remote.fs.invalidate_cache()
        raw = location.remote.fs.open(location.remote.path, "rb", block_size=5 * _BUFFER)
        raw = raw if hasattr(raw, "readinto") else _RawFile(raw)
    report("input", location)
    return io.BufferedReader(raw, _BUFFER)


def _size(raw: io.BufferedReader) -> int:
    size = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    return size


def _decompressor(raw: io.BufferedReader, compression: Compression | None) -> Any:
    if compression is None:
        return raw
    if not raw.peek(1):
        msg = "the file is empty, but a compressed file of no records is not: write it again"
        raise EOFError(msg)
    if compression == "gz":
        return gzip.GzipFile(fileobj=raw)
    return io.BufferedReader(_ZstdStream(raw), _BUFFER)


def _skip_byte_order_mark(source: io.BufferedReader) -> None:
    """Skip the mark that programs on Windows write before UTF-8, and refuse their UTF-16."""
    head = source.peek(4)[:4]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head:
        msg = "the file is in UTF-16: save it in UTF-8"
        raise ValueError(msg)
    if head.startswith(codecs.BOM_UTF8):
        source.read(len(codecs.BOM_UTF8))


class _RawFile(io.RawIOBase):
    """A remote file that only has ``read``, as those of SFTP do, for a buffered reader."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        try:
            if not self.closed:
                self._file.close()
        finally:
            super().close()


class _ZstdStream(io.RawIOBase):
    """Decompresses, and raises if the end is missing, which zstandard's own reader does not notice."""

    def __init__(self, raw: io.BufferedReader) -> None:
        import zstandard

        self._raw = raw
        self._new_frame: Callable[[], Any] = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new_frame()
        self._rest = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if self._frame.eof:
                self._rest = self._frame.unused_data
            compressed = self._rest or self._raw.read(_COMPRESSED_CHUNK)
            self._rest = b""
            if not compressed and self._frame.eof:
                return 0
            if not compressed:
                msg = "compressed file ended before the end of its frame"
                raise EOFError(msg)
            if self._frame.eof:
                self._frame = self._new_frame()
            self._ready = memoryview(self._frame.decompress(compressed))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def _read_jsonl(source: io.BufferedReader) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(source, 1):
        if line.strip():
            yield _numbered(number, line)


def _read_json(source: io.BufferedReader) -> Iterator[dict[str, Any]]:
    head = source.readline(), source.readline()
    if head[0] != b"[\n" or not head[1].startswith(b"{") or not head[1].rstrip(b",\n").endswith(b"}"):
        whole = b"".join(head) + source.read()
        yield from msgspec.json.decode(whole, type=list[dict[str, Any]])
        return
    line = head[1]
    number = 2
    while line.endswith(b",\n"):
        yield _numbered(number, line[:-2])
        line = source.readline()
        number += 1
    yield _numbered(number, line)
    if source.read().strip() != b"]":
        msg = "the array does not end where its last record does"
        raise EOFError(msg)


def _numbered(number: int, line: bytes) -> dict[str, Any]:
    try:
        return _decode(line)
    except msgspec.DecodeError as exc:
        msg = f"line {number}: {exc}"
        raise ValueError(msg) from exc


def _read_parquet(source: io.BufferedReader) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            yield from batch.to_pylist()


_READERS: dict[str, Callable[[Any], Iterator[dict[str, Any]]]] = {
    "jsonl": _read_jsonl,
    "json": _read_json,
    "parquet": _read_parquet,
}
