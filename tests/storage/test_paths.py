"""A path leads where its author thinks, or is refused in one sentence: for writing, reading, reports and plans."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_helpcrunch
from airflow_provider_helpcrunch import _airflow
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.operators.chats import UpdateChatsOperator
from airflow_provider_helpcrunch.schema import Table
from airflow_provider_helpcrunch.storage import Target, read_records, remote

MISUNDERSTOOD = [
    ("s3:/bucket/x.jsonl", "is almost a URL: write s3://…"),
    ("s3:bucket/x.jsonl", "write s3://…"),
    ("S3:/bucket/x.jsonl", "write s3://…"),
    ("gs:/bucket/x.jsonl", "write gs://…"),
    ("abfs:/container/x.jsonl", "write abfs://…"),
    ("http:/host/x.jsonl", "write http://…"),
    ("mystore:/bucket/x.jsonl", "write mystore://…"),
    ("file:/x.jsonl", "write file://…"),
    ("FILE:x.jsonl", "write file://…"),
    ("s3//bucket/x.jsonl", "write s3://…"),
    ("None", "a template rendered a value that is not set"),
    ("out/None/x.jsonl", "a template rendered a value that is not set"),
    ("s3://None@bucket/x.jsonl", "a template rendered a value that is not set"),
    ("s3://None/x.jsonl", "a template rendered a value that is not set"),
    ("\ufeffs3://bucket/x.jsonl", "invisible character"),
    ("s3://bucket/x\u200b.jsonl", "invisible character"),
    ("file://localhost/x.jsonl", "names the host 'localhost': write file:///…"),
    ("file://host/x.jsonl", "names the host 'host'"),
    ("file://relative.jsonl", "names the host 'relative.jsonl'"),
    ("file://~/x.jsonl", "names the host '~'"),
    ("local://host/x.jsonl", "write local:///…"),
    ("S3://bucket/x.jsonl", "must have its scheme in lower case: s3://…"),
    ("File:///x.jsonl", "lower case: file://…"),
    ("data/s3://bucket/x.jsonl", "'://' and no scheme before it"),
    ("://bucket/x.jsonl", "no scheme before it"),
    ("s3:///bucket/x.jsonl", "names no bucket"),
    ("s3://conn@/x.jsonl", "names no bucket"),
    ("s3://bucket/a/../x.jsonl", "contains '.' or '..'"),
    ("gs://bucket/./x.jsonl", "contains '.' or '..'"),
    ("s3://../x.jsonl", "contains '.' or '..'"),
    ("C:\\data\\x.jsonl", "is a Windows path"),
    ("c:/data/x.jsonl", "is a Windows path"),
    ("\\\\server\\share\\x.jsonl", "is a Windows path"),
    ("data\\x.jsonl", "is a Windows path"),
    ("~nobody-of-that-name/x.jsonl", "the user 'nobody-of-that-name' has no home directory"),
    ("$HOME/x.jsonl", "names an environment variable"),
    ("${AIRFLOW_HOME}/x.jsonl", "names an environment variable"),
    ("x\0.jsonl", r"contains the invisible character '\x00'"),
    ("s3://bucket/x\0.jsonl", r"invisible character '\x00'"),
    ("x.jsonl\n", r"invisible character '\n'"),
    ("data\new.jsonl", r"invisible character '\n'"),
    ("s3://bucket/a\tb.jsonl", r"invisible character '\t'"),
    ("a\u2028b.jsonl", "invisible character"),
    ("half \ud83d.jsonl", "half a character"),
    ("s3://bucket/\udcff.jsonl", "half a character"),
    (" x.jsonl", "begins or ends with a space"),
    ("x.jsonl\u00a0", "begins or ends with a space"),
    ("s3://bucket/x.jsonl ", "begins or ends with a space"),
    ("out/{{ ds }}.jsonl", "a template that was not rendered"),
    (Path("out/{% if x %}.jsonl"), "a template that was not rendered"),
]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, in which nothing may appear."""
    made = tmp_path / "empty"
    made.mkdir()
    monkeypatch.chdir(made)
    return made


def _refused(attempt: Any, message: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as refusal:
        attempt()
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    str(refusal.value).encode()


@pytest.mark.parametrize(("path", "message"), MISUNDERSTOOD)
def test_what_would_be_misunderstood(path: Any, message: str, table: Table, empty: Path) -> None:
    _refused(lambda: Target.resolve(path, table, "jsonl"), message)
    _refused(lambda: read_records(path, "jsonl"), message)
    _refused(lambda: read_records({"path": str(path), "format": "jsonl"}), message)
    _refused(lambda: UpdateChatsOperator(task_id="x", plan=path).work(), message)
    _refused(lambda: UpdateChatsOperator(task_id="x", plan=[], report_path=path).check_arguments(), message)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "2024-05-01T08:00:00.jsonl",
        "manual__2024-05-01T08:00:00+00:00.jsonl",
        "agents-2024-05-01T08:00:00.jsonl",
        "run-T08:00/x.jsonl",
        "./s3:/bucket/x.jsonl",
        "./~x.jsonl",
        "None.jsonl",
        "C:x.jsonl",
        "{ds}.jsonl",
        "a~b $c%d\\e? #f.jsonl".replace("\\", ""),
        "Übersicht 😀.jsonl",
    ],
)
def test_names_that_only_look_strange(name: str, records: list[Any], table: Table, empty: Path) -> None:
    receipt = Target.resolve(name, table).write(records)
    assert receipt["path"] == str(empty / name)
    assert (empty / name).is_file()
    assert list(read_records(receipt)) == records


@pytest.mark.parametrize("home", ["", "relative", None])
def test_a_user_without_a_home(
    home: str | None, table: Table, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    else:  # a container that runs as a number has no entry among the users
        monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    for path in ("~/x.jsonl", "~"):
        _refused(lambda path=path: Target.resolve(path, table, "jsonl"), "this user has no home directory")
    assert list(empty.iterdir()) == []


def test_a_home(records: list[Any], table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Target.resolve("~/x.jsonl", table).write(records)["path"] == str(tmp_path / "x.jsonl")


def test_a_working_directory_that_is_gone(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    _refused(lambda: Target.resolve("x.jsonl", table), "the working directory no longer exists")
    _refused(lambda: read_records("x.jsonl"), "the working directory no longer exists")


@pytest.mark.parametrize(
    "name", ["n" * 250 + ".jsonl", "new/" + "ü" * 130 + "/x.jsonl", "d/" * 2100 + "x.jsonl"]
)
def test_a_name_that_is_too_long(name: str, table: Table, empty: Path) -> None:
    _refused(lambda: Target.resolve(name, table), "too long")
    with pytest.raises(HelpCrunchStorageError):
        list(read_records(name))


def test_objects_instead_of_texts(records: list[Any], table: Table, tmp_path: Path) -> None:
    from upath import UPath

    path = tmp_path / "x.jsonl"
    for given in (
        path,
        UPath(path),
        UPath(f"file://{path}"),
        _airflow.ObjectStoragePath(str(path)),
        _airflow.ObjectStoragePath(f"file://{path}"),
    ):
        receipt = Target.resolve(given, table).write(records)  # type: ignore[arg-type]
        assert receipt["path"].removeprefix("file://") == str(path)
        assert list(read_records(given)) == records  # type: ignore[arg-type]
        path.unlink()


def test_a_upath_has_its_own_filesystem(records: list[Any], table: Table) -> None:
    from upath import UPath

    place = UPath("memory://helpcrunch/x.jsonl")
    receipt = Target.resolve(place, table).write(records)  # type: ignore[arg-type]
    assert receipt["path"] == str(place)
    assert list(read_records(place)) == records  # type: ignore[arg-type]
    place.unlink()


LOCAL_ONLY = """
import sys
from airflow_provider_helpcrunch import _airflow
from airflow_provider_helpcrunch.schema import AGENTS
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.storage import Target, read_records

class Unfit:  # as universal-pathlib 0.3 makes it of the class of an older Airflow
    def __init__(self, path):
        raise TypeError(f"detected protocol {path.partition(':')[0]} which is incompatible with ObjectStoragePath.")

_airflow.ObjectStoragePath = Unfit
before = set(sys.modules)
for path in sys.argv[1:]:
    assert list(read_records(Target.resolve(path, AGENTS).write([{"id": 1}]))) == [{"id": 1}]
print("loaded", sorted({"upath", "fsspec", "airflow.io", "airflow.sdk.io"} & (set(sys.modules) - before)))
try:
    Target.resolve("s3://bucket/x.jsonl", AGENTS)
except HelpCrunchConfigurationError as refusal:
    print("refusal", refusal)
"""


def test_a_local_path_needs_nothing_of_airflows_storage(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(airflow_provider_helpcrunch.__file__).parents[1])}
    command = [sys.executable, "-c", LOCAL_ONLY, str(tmp_path / "x.jsonl"), f"file://{tmp_path}/y.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    loaded, refusal = (
        next(line for line in done.stdout.splitlines() if line.startswith(word))
        for word in ("loaded", "refusal")
    )
    assert loaded == "loaded []"
    assert "pip install 'universal-pathlib" in refusal


@pytest.mark.parametrize("error", [TypeError, AttributeError, ImportError, ValueError])
@pytest.mark.parametrize(
    ("airflow", "pin"),
    [("2.11.0", "<0.3"), ("3.0.6", "<0.3"), ("3.1.8", "<0.3"), ("3.2.0", ">=0.3.8"), ("3.3.2", ">=0.3.8")],
)
def test_paths_that_do_not_work_are_one_sentence(
    error: type[Exception], airflow: str, pin: str, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unfit(*_: object) -> None:
        msg = "ObjectStoragePath(...) detected protocol s3 which is incompatible with ObjectStoragePath."
        raise error(msg)

    versions = {"apache-airflow-core": airflow, "universal-pathlib": "0.9"}
    monkeypatch.setattr(_airflow, "ObjectStoragePath", unfit)
    monkeypatch.setattr(remote, "_version", versions.get)
    message = (
        f"universal-pathlib 0.9 does not work with Airflow {airflow}, so only local paths can be used: pip "
    )
    _refused(
        lambda: Target.resolve("s3://bucket/x.jsonl", table), f"{message}install 'universal-pathlib{pin}'"
    )
    _refused(lambda: read_records("s3://bucket/x.jsonl"), message)
