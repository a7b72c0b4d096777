"""The same promises on S3, over HTTP and through an Airflow connection."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_helpcrunch._airflow import ObjectStoragePath
from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import AGENTS, Table
from airflow_provider_helpcrunch.storage import Target, read_records

if TYPE_CHECKING:
    from conftest import S3


@pytest.mark.parametrize("suffix", ["jsonl", "json.gz", "csv.zst", "parquet"])
def test_round_trip(s3: S3, suffix: str, records: list[Any], table: Table) -> None:
    url = f"{s3.url}/dir/x y#1.{suffix}"
    for target in (url, ObjectStoragePath(url)):
        receipt = Target.resolve(target, table).write(records)
        content = s3.listing()[f"dir/x y#1.{suffix}"]
        assert receipt == {"path": url, "records": 3, "bytes": len(content), "format": suffix}
        assert [int(row["id"]) for row in read_records(receipt)] == [1, 2, 3]
    assert list(read_records(ObjectStoragePath(url), table=table)) == list(read_records(url, table=table))


def test_nothing(s3: S3, table: Table) -> None:
    receipt = Target.resolve(f"{s3.url}/x.parquet", table).write([])
    assert list(read_records(receipt)) == []


def test_an_object_of_many_parts(s3: S3, many: Callable[[], Iterator[Any]]) -> None:
    receipt = Target.resolve(f"{s3.url}/x.jsonl", AGENTS).write(many())
    head = s3.client.head_object(Bucket="bucket", Key="x.jsonl")
    assert head["ETag"].endswith('-4"'), "it was uploaded in four parts"
    assert sum(1 for _ in read_records(receipt)) == receipt["records"]


def test_the_source_fails(s3: S3, failing: Iterator[Any], table: Table) -> None:
    s3.client.put_object(Bucket="bucket", Key="x.jsonl", Body=b"old")
    with pytest.raises(ConnectionResetError, match="the source failed"):
        Target.resolve(f"{s3.url}/x.jsonl", table).write(failing)
    assert s3.listing() == {"x.jsonl": b"old"}
    assert s3.unfinished() == []
    assert os.listdir(tempfile.gettempdir()) == []


def test_the_process_is_killed(s3: S3, kill_in_the_middle: Callable[[str], list[str]]) -> None:
    s3.client.put_object(Bucket="bucket", Key="x.jsonl", Body=b"old")
    assert kill_in_the_middle(f"{s3.url}/x.jsonl") == []
    assert s3.listing() == {"x.jsonl": b"old"}
    assert s3.unfinished() == []


def test_the_upload_fails(s3: S3, many: Callable[[], Iterator[Any]]) -> None:
    s3.client.put_object(Bucket="bucket", Key="x.jsonl", Body=b"old")
    s3.refused_part = "3"
    with pytest.raises(HelpCrunchStorageError, match="that was there before is untouched: PermissionError"):
        Target.resolve(f"{s3.url}/x.jsonl", AGENTS).write(many())
    assert s3.listing() == {"x.jsonl": b"old"}
    assert s3.unfinished() == []
    assert os.listdir(tempfile.gettempdir()) == []


def test_the_answer_to_the_upload_is_lost(
    s3: S3, records: list[Any], table: Table, warned: list[str]
) -> None:
    s3.client.put_object(Bucket="bucket", Key="x.jsonl", Body=b"old")
    s3.cut = lambda method, query: "after" if method == "PUT" else None
    receipt = Target.resolve(f"{s3.url}/x.jsonl", table).write(records)
    assert list(read_records(receipt)) == records
    assert len(warned) == 1
    assert "but the new object is there and complete" in warned[0]


def test_the_answer_that_completes_an_object_of_many_parts_is_lost(
    s3: S3, many: Callable[[], Iterator[Any]], warned: list[str]
) -> None:
    s3.client.put_object(Bucket="bucket", Key="x.jsonl", Body=b"old")
    s3.cut = lambda method, query: "after" if method == "POST" and "uploadId" in query else None
    receipt = Target.resolve(f"{s3.url}/x.jsonl", AGENTS).write(many())
    s3.cut = lambda method, query: None
    assert len(s3.listing()["x.jsonl"]) == receipt["bytes"]
    assert sum(1 for _ in read_records(receipt)) == receipt["records"]
    assert (len(warned), s3.unfinished()) == (1, [])


def test_the_connection_ends_before_the_upload(s3: S3, records: list[Any], table: Table) -> None:
    target = Target.resolve(f"{s3.url}/x.jsonl", table)
    size = target.write(records)["bytes"]
    # An object of the same size is not the new one.
    for old in (b"old", b"x" * size):
        s3.client.put_object(Bucket="bucket", Key="x.jsonl", Body=old)
        s3.cut = lambda method, query: "before" if method == "PUT" else None
        with pytest.raises(HelpCrunchStorageError, match="that was there before is untouched"):
            target.write(records)
        s3.cut = lambda method, query: None
        assert s3.listing() == {"x.jsonl": old}


@pytest.mark.parametrize("beside", ["y.jsonl", "x.jsonl/y"])
def test_nothing_stands_there(s3: S3, beside: str, table: Table) -> None:
    s3.client.put_object(Bucket="bucket", Key=beside, Body=b"")
    s3.cut = lambda method, query: "before" if method == "PUT" else None
    with pytest.raises(HelpCrunchStorageError, match="could not be published, and no object is there: "):
        Target.resolve(f"{s3.url}/x.jsonl", table).write([])


def test_what_stands_there_cannot_be_looked_at(s3: S3, records: list[Any], table: Table) -> None:
    target = Target.resolve(f"{s3.url}/x.jsonl", table)
    s3.cut = lambda method, query: "after" if method == "PUT" else "before"
    with pytest.raises(HelpCrunchStorageError) as error:
        target.write(records)
    assert "and the object could not be read to find out what is there now (" in str(error.value)
    assert "untouched" not in str(error.value)


def test_a_bucket_that_does_not_exist(s3: S3, records: list[Any], table: Table) -> None:
    with pytest.raises(HelpCrunchStorageError, match=r"could not be published.*bucket does not exist"):
        Target.resolve("s3://storage_tests@elsewhere/x.jsonl", table).write(records)


def test_a_missing_object(s3: S3) -> None:
    with pytest.raises(
        HelpCrunchStorageError, match="There is no object 's3://storage_tests@bucket/x.jsonl'"
    ):
        list(read_records(f"{s3.url}/x.jsonl"))


def test_a_listing_made_before_does_not_hide_the_new_object(s3: S3, records: list[Any], table: Table) -> None:
    target = Target.resolve(f"{s3.url}/dir/x.jsonl", table)
    target.write(records)
    assert len(list(ObjectStoragePath(f"{s3.url}/dir").iterdir())) == 1
    s3.client.put_object(Bucket="bucket", Key="dir/x.jsonl", Body=b'{"id":1}\n' * 500)
    assert len(list(read_records(f"{s3.url}/dir/x.jsonl"))) == 500


@pytest.fixture
def many() -> Callable[[], Iterator[Any]]:
    """30 MB of records."""
    return lambda: ({"id": n, "name": "x" * 1_000} for n in range(29_000))


@pytest.fixture(autouse=True)
def own_spool_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("spool")))
