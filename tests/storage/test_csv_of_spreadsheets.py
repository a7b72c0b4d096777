"""CSV as spreadsheets write it is read as it is meant, or refused in one sentence that names the place."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import AGENTS, Table
from airflow_provider_helpcrunch.storage import Target, read_records

pytestmark = pytest.mark.older

EXPECTED = [{"id": "1", "name": "Kim"}, {"id": "2", "name": None}, {"id": "3", "name": "Zoë; x, y"}]
PLAIN = 'id,name\r\n1,Kim\r\n2,\r\n3,"Zoë; x, y"\r\n'


def _variants() -> dict[str, bytes]:
    texts = {
        "as it should be": PLAIN,
        "without a last line end": PLAIN.rstrip(),
        "LF": PLAIN.replace("\r\n", "\n"),
        "LF without a last line end": PLAIN.replace("\r\n", "\n").rstrip(),
        "CR": PLAIN.replace("\r\n", "\r"),
        "CR without a last line end": PLAIN.replace("\r\n", "\r").rstrip(),
        "a byte order mark": f"\ufeff{PLAIN}",
        "empty lines at the end": f"{PLAIN}\r\n\r\n  \r\n",
        "quoted names": PLAIN.replace("id,name", '"id","name"'),
        "spaces around names": PLAIN.replace("id,name", " id , name\u00a0"),
        "semicolons": 'id;name\r\n1;Kim\r\n2;\r\n3;"Zoë; x, y"\r\n',
        "tabs": "id\tname\r\n1\tKim\r\n2\t\r\n3\tZoë; x, y\r\n",
        "a declared semicolon": 'sep=;\r\nid;name\r\n1;Kim\r\n2;\r\n3;"Zoë; x, y"\r\n',
        "a declared comma": f"SEP=,\r\n{PLAIN}",
        "a declared tab": "\ufeffsep=\t\nid\tname\n1\tKim\n2\t\n3\tZoë; x, y",
        "a declaration in quotes": '"sep=;"\rid;name\r1;Kim\r2;\r3;"Zoë; x, y"\r',
        "columns without a name": 'id,name,,\r\n1,Kim,,\r\n2,,\r\n3,"Zoë; x, y",,',
    }
    return {name: text.encode() for name, text in texts.items()}


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize("variant", _variants())
def test_what_spreadsheets_write(variant: str, suffix: str, tmp_path: Path) -> None:
    content = _variants()[variant]
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert list(read_records(str(path))) == EXPECTED


_field = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=150)
@given(
    st.lists(st.lists(_field.filter(str.strip), min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.booleans(),
)
def test_what_pythons_writer_writes(rows: list[list[str]], separator: str, end: str, ended: bool) -> None:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *rows])
    text = written.getvalue()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "any.csv"
        path.write_bytes((text if ended else text[: -len(end)]).encode())
        assert [list(record.values()) for record in read_records(str(path))] == rows


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("id,name,id\r\n1,x,2\r\n", "names the column 'id' in two places, 1 and 3"),
        ("id,name\t, name\r\n1,x,2\r\n", "names the column 'name' in two places, 2 and 3"),
        ('id,"id"\r\n1,2\r\n', "names the column 'id' in two places, 1 and 2"),
        ("id;id\r\n1;2\r\n", "names the column 'id' in two places, 1 and 2"),
        (",,id\r\n1,2,3\r\n", "names no column in two places, 1 and 2"),
        (",,\r\n1,2,3\r\n", "the file has no header"),
        ("id,name,\r\n1,x,\r\n2,y,z\r\n", "record 3 has a value in column 3, which has no name"),
        ("id,name\r\n1;x\r\n", "record 2 has 1 fields, and the header has 2"),
        ("id;name\r\n1,x\r\n", "record 2 has 1 fields, and the header has 2"),
        ("sep=;\r\nid;name\r\n1,x\r\n", "record 3 has 1 fields, and the header has 2"),
        ("sep=;", "the file has no header"),
        ("id,name\r\n1\r\n", "record 2 has 1 fields, and the header has 2"),
        ("id,name\r\n1,x,y\r\n", "record 2 has 3 fields, and the header has 2"),
        ('id,name\r\n1,x\r\n2,"a" b\r\n', "record 3: field 2 is not quoted as in RFC 4180"),
        ('id,name\r\n1,x\r\n2,"a\r\n3,c\r\n', "ends in the middle of record 3, inside of quotes"),
        ('id,name\r\n1,x\r\n2,"a', "ends in the middle of record 3, inside of quotes"),
        ('id,"na', "ends in the middle of record 1, inside of quotes"),
        (PLAIN.encode("utf-16"), "is in UTF-16: save it in UTF-8"),
        (PLAIN.encode("utf-16-be"), "is in UTF-16"),
        (b"\xff\xfe", "is in UTF-16"),
        (PLAIN.encode("cp1252"), "column 'name' of record 4 is not UTF-8: save the file as CSV in UTF-8"),
        ("id,größe\r\n1,2\r\n".encode("cp1252"), "column 2 of the header is not UTF-8"),
    ],
)
def test_what_cannot_be_read(content: str | bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(HelpCrunchStorageError) as error:
        list(read_records(str(path)))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_a_declared_separator_overrules_what_the_header_looks_like(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sep=;\nid;name, first\n1;Kim\n")
    assert list(read_records(str(tmp_path / "x.csv"))) == [{"id": "1", "name, first": "Kim"}]


def test_names_that_differ_in_case_are_two(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,ID\n1,2\n")
    assert list(read_records(str(tmp_path / "x.csv"))) == [{"id": "1", "ID": "2"}]


def test_a_nameless_first_column_stays(tmp_path: Path) -> None:
    """As pandas writes its index."""
    (tmp_path / "x.csv").write_text(",id\n0,7\n")
    assert list(read_records(str(tmp_path / "x.csv"))) == [{"": "0", "id": "7"}]


def test_a_receipt_tells_that_a_record_was_cut(records: list[Any], table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(str(tmp_path / "x.csv"), table).write(records)
    content = (tmp_path / "x.csv").read_bytes()
    for length in range(len(content)):
        if content[:length].endswith(b"\n"):
            continue
        (tmp_path / "x.csv").write_bytes(content[:length])
        with pytest.raises(HelpCrunchStorageError):
            list(read_records(receipt))


def test_a_header_that_was_cut(tmp_path: Path) -> None:
    receipt = Target.resolve(str(tmp_path / "x.csv"), AGENTS).write([{"id": 1}])
    (tmp_path / "x.csv").write_bytes(b"id,na")
    with pytest.raises(
        HelpCrunchStorageError, match="middle of record 1: its size is not the one in the rec"
    ):
        list(read_records(receipt))


def test_a_receipt_of_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id\n1")
    for receipt in (
        {"path": str(path), "format": "csv"},
        {"path": str(path), "format": "csv", "records": 1, "bytes": 4},
    ):
        assert list(read_records(receipt)) == [{"id": "1"}]
