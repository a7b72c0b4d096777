"""Unusable targets are refused before anything is written, in one sentence that says what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import AirflowNotFoundException, ObjectStoragePath
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import Table
from airflow_provider_helpcrunch.storage import Target, formats, read_records


@pytest.mark.parametrize(
    ("path", "file_format", "message"),
    [
        ("", None, "The path is empty"),
        ("  ", None, "The path is empty"),
        ("None", None, "a template rendered a value that is not set"),
        (None, None, "must be a string or an ObjectStoragePath, not NoneType"),
        (b"x.jsonl", None, "not bytes"),
        ("{tmp}/sub/", "jsonl", "names a directory: add a file name"),
        ("file://{tmp}/sub/", "jsonl", "names a directory: add a file name"),
        ("{tmp}", "jsonl", "is a directory: add a file name"),
        ("/dev/null", "jsonl", "not a regular file"),
        ("{tmp}/file/x.jsonl", None, "is not a directory"),
        ("{tmp}/x", None, "has no suffix that names a format: use .jsonl, .json, .csv and .parquet"),
        ("{tmp}/x.txt", None, "has no suffix"),
        ("{tmp}/x.gz", None, "has no suffix"),
        ("{tmp}/dir.jsonl/x", None, "has no suffix"),
        ("{tmp}/x.jsonl", "csv", "contradicts the suffix"),
        ("{tmp}/x.jsonl", "jsonl.gz", "contradicts the suffix"),
        ("{tmp}/x.jsonl.gz", "jsonl", "contradicts the suffix"),
        ("{tmp}/x.gz", "jsonl", "contradicts the suffix"),
        ("{tmp}/x.csv", "xml", "file_format='xml' is unknown"),
        ("{tmp}/x", ".jsonl", "file_format='.jsonl' is unknown"),
        ("{tmp}/x", "jsonl.bz2", "is unknown"),
        ("{tmp}/x", "", "is unknown"),
        ("{tmp}/x.parquet.gz", None, "Parquet is compressed inside"),
        ("{tmp}/x", "parquet.zst", "Parquet is compressed inside"),
        (
            "nonsense://bucket/x.jsonl",
            None,
            "No installed Airflow provider brings a filesystem for nonsense://",
        ),
    ],
)
def test_what_cannot_work(
    path: Any, file_format: str | None, message: str, table: Table, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    if isinstance(path, str):
        path = path.replace("{tmp}", str(tmp_path))
    with pytest.raises(HelpCrunchConfigurationError) as refusal:
        Target.resolve(path, table, file_format)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "library", "command"),
    [
        ("x.parquet", "pyarrow", "pip install 'airflow-provider-helpcrunch[parquet]'"),
        ("x.csv.zst", "zstandard", "pip install zstandard"),
    ],
)
def test_a_missing_library(
    name: str, library: str, command: str, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda wanted: None if wanted == library else object())
    with pytest.raises(HelpCrunchConfigurationError) as refusal:
        Target.resolve(str(tmp_path / name), table)
    assert command in str(refusal.value)


@pytest.mark.parametrize(
    ("scheme", "extra"), [("s3", "s3"), ("s3a", "s3"), ("gs", "gcs"), ("gcs", "gcs"), ("abfs", "azure")]
)
@pytest.mark.parametrize(
    "error", [ValueError("No filesystem registered for scheme …"), ImportError("no s3fs")]
)
def test_a_missing_filesystem(
    scheme: str, extra: str, error: Exception, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda self: _raise(error)))
    with pytest.raises(HelpCrunchConfigurationError) as refusal:
        Target.resolve(f"{scheme}://bucket/x.jsonl", table)
    assert f"pip install 'airflow-provider-helpcrunch[{extra}]'" in str(refusal.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("Signer not available"), HelpCrunchConfigurationError),
        (AirflowNotFoundException("The conn_id `lake` isn't defined"), HelpCrunchConfigurationError),
        (TimeoutError("the secrets backend does not answer"), HelpCrunchStorageError),
    ],
)
def test_a_connection_that_cannot_be_used(
    error: Exception, expected: type[Exception], table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda self: _raise(error)))
    with pytest.raises(expected, match=str(error)):
        Target.resolve("s3://lake@bucket/x.jsonl", table)


def test_a_bucket_without_a_key(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda self: object()))
    with pytest.raises(HelpCrunchConfigurationError, match="names a bucket but no object"):
        Target.resolve("s3://bucket", table, "jsonl")


def test_a_directory_that_is_not_writable(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(HelpCrunchConfigurationError, match="may not write to the directory"):
        Target.resolve(str(tmp_path / "sub" / "x.jsonl"), table)


def test_a_mapping_that_is_no_receipt() -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="not a receipt"):
        read_records({"records": 3})


def _raise(error: Exception) -> None:
    raise error


def test_without_a_temporary_directory_one_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, table: Table, s3: Any, records: list[Any]
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    target = Target.resolve(f"{s3.url}/x.jsonl", table)
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    with pytest.raises(HelpCrunchStorageError, match="Set TMPDIR"):
        target.write(records)
