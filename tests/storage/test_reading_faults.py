"""Files that are missing, cut short or damaged raise a typed error, and never yield fewer records."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import zstandard

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import AGENTS, Table
from airflow_provider_helpcrunch.storage import Target, read_records

pytestmark = pytest.mark.older

FORMATS = [
    *(f"{kind}{end}" for kind in ("jsonl", "json", "csv") for end in ("", ".gz", ".zst")),
    "parquet",
]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_missing_object(suffix: str, tmp_path: Path) -> None:
    iterator = read_records(str(tmp_path / f"x.{suffix}"))
    with pytest.raises(HelpCrunchStorageError, match="There is no object"):
        next(iterator)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("missing", [3, 20, 0.501, 0.901])
def test_an_object_that_is_cut_short(
    suffix: str, missing: float, records: list[Any], table: Table, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{suffix}"
    Target.resolve(str(path), table).write(records * 50)
    content = path.read_bytes()
    path.write_bytes(content[: -int(missing if missing >= 1 else missing * len(content))])
    with pytest.raises(HelpCrunchStorageError, match="cannot be read as"):
        list(read_records(str(path)))


@pytest.mark.parametrize("suffix", FORMATS[1:])
def test_an_empty_object(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"x.{suffix}").touch()
    with pytest.raises(HelpCrunchStorageError, match="cannot be read as"):
        list(read_records(str(tmp_path / f"x.{suffix}")))


@pytest.mark.parametrize("suffix", [f for f in FORMATS if f.endswith((".gz", ".zst", "parquet"))])
def test_a_flipped_bit(suffix: str, records: list[Any], table: Table, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    Target.resolve(str(path), table).write(
        [{**records[0], "id": n, "text": str(n * 7919)} for n in range(500)]
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(HelpCrunchStorageError, match="cannot be read as"):
        list(read_records(str(path)))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.jsonl", b'{"id": 1}\n[2]\n', "line 2: Expected `object`"),
        ("x.jsonl", b'{"id": 1}\nkim@mail.example\n', "line 2: JSON is malformed"),
        ("x.json", b'{"id": 1}', "Expected `array`"),
        ("x.json", b'[\n{"id":1},\n{"id":2}\n] more', "does not end"),
        ("x.csv", b"id,name\r\n1\r\n", "record 2 has 1 fields, and the header has 2"),
        ("x.csv", b'id,name\r\n1,a"b"\r\n', "field 2 is not quoted as in RFC 4180"),
        ("x.csv", b"id,name\r\n1,\xff\r\n", "column 'name' of record 2 is not UTF-8"),
        (
            "x.csv",
            b"id,name\r\nkim@mail.example,1\r\n",
            "column 'id' of record 2 does not hold a value of type int64",
        ),
        ("x.csv", b"\r\n", "the file has no header"),
        ("x.csv.gz", b"not compressed", "BadGzipFile"),
        ("x.csv.zst", b"not compressed", "ZstdError"),
    ],
)
def test_what_is_wrong_is_said(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HelpCrunchStorageError) as error:
        list(read_records(str(tmp_path / name), table=AGENTS))
    assert why in str(error.value)
    assert "kim@mail.example" not in str(error.value)


TEXTS = {
    "x.jsonl": '{"id":1,"name":"Zoë"}\n{"id":2}\n',
    "x.json": '[\n{"id":1,"name":"Zoë"},\n{"id":2}\n]\n',
    "other.json": '[{"id": 1, "name": "Zoë"}, {"id": 2}]',
}


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_byte_order_mark_is_skipped(name: str, compression: str, tmp_path: Path) -> None:
    packed = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[compression]
    (tmp_path / f"{name}{compression}").write_bytes(packed(TEXTS[name].encode("utf-8-sig")))
    found = list(read_records(str(tmp_path / f"{name}{compression}")))
    assert found == [{"id": 1, "name": "Zoë"}, {"id": 2}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", TEXTS)
def test_utf16_is_refused(name: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(TEXTS[name].encode(encoding))
    with pytest.raises(HelpCrunchStorageError, match="the file is in UTF-16: save it in UTF-8"):
        list(read_records(str(tmp_path / name)))


@pytest.mark.parametrize("suffix", ["jsonl.gz", "csv.zst"])
def test_frames_in_a_row_are_one_file(suffix: str, records: list[Any], table: Table, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    Target.resolve(str(path), table).write(records)
    if suffix == "jsonl.gz":
        path.write_bytes(path.read_bytes() * 3)
        assert len(list(read_records(str(path)))) == 9
    else:
        path.write_bytes(path.read_bytes() * 3)
        assert len(list(read_records(str(path)))) == 11, "the header comes again as a record"


def test_reading_can_stop_early(records: list[Any], table: Table, tmp_path: Path) -> None:
    for suffix in FORMATS:
        receipt = Target.resolve(str(tmp_path / f"x.{suffix}"), table).write(records * 10)
        iterator = read_records(receipt)
        next(iterator)
        iterator.close()  # type: ignore[attr-defined]
