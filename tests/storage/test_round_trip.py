"""Records written to local disk are read back unchanged, in every format and compression."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_helpcrunch._airflow import ObjectStoragePath
from airflow_provider_helpcrunch.schema import AGENTS, Column, Table
from airflow_provider_helpcrunch.storage import Target, read_records

TEXT_FORMATS = [f"{kind}{end}" for kind in ("jsonl", "json", "csv") for end in ("", ".gz", ".zst")]
FORMATS = [*TEXT_FORMATS, "parquet"]


@pytest.fixture
def typed() -> list[dict[str, Any]]:
    """The records of the fixture ``records`` as rows of the table."""
    zoe = {"id": 7, "name": "Zoë", "seen": datetime(2024, 5, 1, 8, 0, 0, 500_000, tzinfo=UTC)}
    return [
        {
            "id": 1,
            "text": 'a "quoted" line,\r\nand another\n',
            "read": True,
            "createdAt": datetime(2024, 5, 1, 8, 0, 0, 120_000, tzinfo=UTC),
            "customer": zoe,
            "agents": [zoe, {"id": 8, "name": "", "seen": None}],
        },
        {
            "id": 2,
            "text": "",
            "read": False,
            "createdAt": datetime(1970, 1, 1, tzinfo=UTC),
            "customer": None,
            "agents": [],
        },
        dict.fromkeys(("id", "text", "read", "createdAt", "customer", "agents")) | {"id": 3},
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format(
    suffix: str, records: list[Any], typed: list[Any], table: Table, tmp_path: Path
) -> None:
    path = tmp_path / "not" / "there" / f"x.{suffix}"
    receipt = Target.resolve(str(path), table).write(iter(records))
    assert receipt == {"path": str(path), "records": 3, "bytes": path.stat().st_size, "format": suffix}
    assert type(receipt) is dict
    expected = records if suffix.startswith("json") else typed
    assert list(read_records(receipt, table=table)) == expected
    assert list(read_records(str(path), table=table)) == expected
    assert list(read_records(ObjectStoragePath(f"file://{path}"), table=table)) == expected


class OnlyRead(io.IOBase):
    """A file as that of sshfs, which Airflow uses for SFTP: not a raw one, and it reads less than it is asked."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.tell, self.readable, self.seekable = file.tell, file.readable, file.seekable  # type: ignore[method-assign]

    def read(self, size: int = -1) -> Any:
        return self._file.read(min(size, 64 * 1024))

    def seek(self, offset: int, whence: int = 0, /) -> Any:
        return self._file.seek(offset, whence)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_remote_file_that_can_only_be_read(
    suffix: str, records: list[Any], typed: list[Any], table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem
    from upath import UPath

    really = MemoryFileSystem.open
    place: Any = UPath(f"memory://helpcrunch/read.{suffix}")
    Target.resolve(place, table).write(records * 2_000)
    monkeypatch.setattr(MemoryFileSystem, "open", lambda *args, **named: OnlyRead(really(*args, **named)))
    expected = records if suffix.startswith("json") else typed
    assert list(read_records(place, table=table)) == expected * 2_000
    place.unlink()


@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing(suffix: str, table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(str(tmp_path / f"x.{suffix}"), table).write([])
    assert receipt["records"] == 0
    assert list(read_records(receipt)) == []


@pytest.mark.parametrize("suffix", TEXT_FORMATS)
def test_the_same_records_make_the_same_bytes(
    suffix: str, records: list[Any], table: Table, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        Target.resolve(str(tmp_path / f"{name}.{suffix}"), table).write(records)
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_path_without_a_suffix(file_format: str, records: list[Any], table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(str(tmp_path / "export"), table, file_format).write(records)
    assert receipt["format"] == file_format
    assert len(list(read_records(receipt))) == 3
    assert len(list(read_records(str(tmp_path / "export"), file_format))) == 3


@pytest.mark.parametrize(
    "name", ["x.NDJSON.GZ", "x.ndjson.gz", "2024-05-01T08:00:00.jsonl.gz", "a b#c?d%20.jsonl.gz"]
)
def test_other_names(name: str, records: list[Any], table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(f"file://{tmp_path}/{name}", table).write(records)
    assert receipt["format"] == "jsonl.gz"
    assert receipt["path"] == f"file://{tmp_path}/{name}"
    assert os.listdir(tmp_path) == [name] or set(os.listdir(tmp_path)) == {name, "tmp"}
    assert list(read_records(receipt)) == records


def test_a_relative_path_becomes_absolute(
    records: list[Any], table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    receipt = Target.resolve("sub/../x.jsonl", table).write(records)
    assert receipt["path"] == str(tmp_path / "x.jsonl")
    assert list(read_records("x.jsonl")) == records


def test_a_pathlib_path(records: list[Any], table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(tmp_path / "x.jsonl", table).write(records)  # type: ignore[arg-type]
    assert list(read_records(receipt)) == records


def test_a_symbolic_link_stays(records: list[Any], table: Table, tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    Target.resolve(str(tmp_path / "link.jsonl"), table).write(records)
    assert (tmp_path / "link.jsonl").is_symlink()
    assert list(read_records(str(tmp_path / "real.jsonl"))) == records


def test_permission_bits(table: Table, tmp_path: Path) -> None:
    target = Target.resolve(str(tmp_path / "x.jsonl"), table)
    before = os.umask(0o027)
    try:
        target.write([])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.jsonl").stat().st_mode) == 0o640
    (tmp_path / "x.jsonl").chmod(0o600)
    target.write([])
    assert stat.S_IMODE((tmp_path / "x.jsonl").stat().st_mode) == 0o600


def test_json_and_json_lines_are_plain(records: list[Any], table: Table, tmp_path: Path) -> None:
    Target.resolve(str(tmp_path / "x.json"), table).write(records)
    Target.resolve(str(tmp_path / "x.jsonl.gz"), table).write(records)
    assert json.loads((tmp_path / "x.json").read_text()) == records
    lines = gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()).decode().splitlines()
    assert [json.loads(line) for line in lines] == records


def test_csv_is_what_other_programs_read(records: list[Any], table: Table, tmp_path: Path) -> None:
    Target.resolve(str(tmp_path / "x.csv"), table).write(records)
    text = (tmp_path / "x.csv").read_bytes().decode()
    assert text.startswith("id,text,read,createdAt,customer,agents\r\n1,")
    assert '\r\n2,"",false,1970-01-01T00:00:00.000000Z,,"[]"\r\n3,,,,,\r\n' in text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["text"] == records[0]["text"]
    assert rows[0]["createdAt"] == "2024-05-01T08:00:00.120000Z"
    assert json.loads(rows[0]["customer"]) == {"id": 7, "name": "Zoë", "seen": "2024-05-01T08:00:00.500000Z"}


def test_csv_without_a_table_is_text(records: list[Any], table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(str(tmp_path / "x.csv"), table).write(records)
    rows = list(read_records(receipt))
    assert rows[1] == {
        "id": "2",
        "text": "",
        "read": "false",
        "createdAt": "1970-01-01T00:00:00.000000Z",
        "customer": None,
        "agents": "[]",
    }


def test_parquet_has_one_schema_and_row_groups(records: list[Any], table: Table, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for name, stream in {"none": [], "some": records * 10_000}.items():
        Target.resolve(str(tmp_path / f"{name}.parquet"), table).write(stream)
    none, some = (pq.ParquetFile(tmp_path / f"{name}.parquet") for name in ("none", "some"))
    assert none.schema_arrow == some.schema_arrow
    assert [str(field.type) for field in some.schema_arrow][:4] == [
        "int64",
        "string",
        "bool",
        "timestamp[us, tz=UTC]",
    ]
    assert str(some.schema_arrow.field("customer").type).startswith("struct<id: int64, name: string")
    assert some.num_row_groups == 3


@pytest.mark.parametrize(
    "text", ['[{"id": 1}, {"id": 2}]', '[\n  {"id": 1},\n  {"id": 2}\n]', '[\n{\n"id": 1}, {"id": 2}]']
)
def test_json_from_elsewhere(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    assert list(read_records(str(tmp_path / "x.json"))) == [{"id": 1}, {"id": 2}]


def test_csv_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes('\ufeffid,name\n1,"a\nb"\n\n2,\n'.encode())
    assert list(read_records(str(tmp_path / "x.csv"))) == [
        {"id": "1", "name": "a\nb"},
        {"id": "2", "name": None},
    ]


_text = st.text(st.characters(exclude_categories=["Cs"]))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner) | st.dictionaries(_text, inner),
    max_leaves=10,
)
_seconds = st.integers(-(10**10), 10**11)
_timestamp = st.one_of(
    st.none(),
    st.just(""),
    _seconds,
    _seconds.map(str),
    st.tuples(_seconds, st.integers(0, 999_999)).map(lambda parts: f"{parts[0]}.{parts[1]:06}"),
)
_id = st.integers(-(2**63), 2**63 - 1)
_person = {"id": _id, "name": st.none() | _text, "seen": _timestamp}
_row = {
    "id": _id | _id.map(str),
    "text": st.none() | _text,
    "read": st.none() | st.booleans(),
    "createdAt": _timestamp,
    "customer": st.none() | st.fixed_dictionaries({}, optional=_person),
    "agents": st.none() | st.lists(st.none() | st.fixed_dictionaries(_person)),
}


@settings(max_examples=50)
@given(st.lists(st.dictionaries(_text, _json)), st.sampled_from(["jsonl", "json", "jsonl.gz", "json.zst"]))
def test_any_json_comes_back(records: list[dict[str, Any]], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        receipt = Target.resolve(f"{directory}/x.{suffix}", AGENTS).write(records)
        assert list(read_records(receipt)) == records


_person_columns = (Column("id", "int64"), Column("name", "string"), Column("seen", "timestamp"))
_table = Table(
    "rows",
    (
        Column("id", "int64"),
        Column("text", "string"),
        Column("read", "bool"),
        Column("createdAt", "timestamp"),
        Column("customer", "struct", _person_columns),
        Column("agents", "list", _person_columns),
    ),
)


@settings(max_examples=50)
@given(st.lists(st.fixed_dictionaries({}, optional=_row)))
def test_any_row_comes_back(records: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        rows = [
            list(read_records(Target.resolve(f"{directory}/x.{suffix}", _table).write(records), table=_table))
            for suffix in ("csv", "parquet", "csv.zst")
        ]
    assert rows[0] == rows[1] == rows[2]
    for record, row in zip(records, rows[0], strict=True):
        assert list(row) == [column.name for column in _table.columns]
        assert (row["text"], row["read"]) == (record.get("text"), record.get("read"))
        assert row["id"] == (None if "id" not in record else int(record["id"]))
        _same_moment(record.get("createdAt"), row["createdAt"])
        if record.get("customer"):
            _same_moment(record["customer"].get("seen"), row["customer"]["seen"])


def _same_moment(sent: Any, read: datetime | None) -> None:
    if sent in (None, ""):
        assert read is None
        return
    assert read is not None
    whole, _, fraction = str(sent).partition(".")
    microseconds = int(whole) * 10**6 + int(math.copysign(int(fraction or 0), -1 if whole[0] == "-" else 1))
    passed = read - datetime(1970, 1, 1, tzinfo=UTC)
    assert (passed.days * 86_400 + passed.seconds) * 10**6 + passed.microseconds == microseconds
