"""Whatever goes wrong, the object that was there stays byte for byte, and nothing is left beside it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_helpcrunch
from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import AGENTS, Table
from airflow_provider_helpcrunch.storage import Target, read_records, spool

FORMATS = ["jsonl", "jsonl.gz", "json", "json.zst", "csv", "csv.gz", "parquet"]
OLD = b"the old object"

MEASURE = """
import re, sys
from pathlib import Path

from airflow_provider_helpcrunch.schema import AGENTS
from airflow_provider_helpcrunch.storage import Target, read_records

def peak(count):
    records = ({"id": n, "name": f"agent {n} " * 20, "email": None, "role": "admin"} for n in range(count))
    receipt = Target.resolve(sys.argv[1], AGENTS).write(records)
    assert sum(1 for _ in read_records(receipt)) == receipt["records"] == count
    # Not the ru_maxrss of the process, which is at least what its parent had when it was started.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

peak(20_000)
print("peaks", peak(20_000), peak(200_000))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory for targets and nothing else."""
    made = tmp_path / "folder"
    made.mkdir()
    return made


@contextmanager
def unchanged(folder: Path, path: Path) -> Iterator[None]:
    """Put an old object at the path, and see that it is all there is in the end."""
    path.write_bytes(OLD)
    before = path.stat()
    yield
    after = path.stat()
    assert os.listdir(folder) == [path.name]
    assert path.read_bytes() == OLD
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_mode,
    )


@pytest.fixture(params=["nameless", "named"])
def kind_of_spool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of temporary file: most filesystems have nameless ones, NFS for one does not."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return str(request.param)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_source_fails(
    suffix: str, failing: Iterator[Any], table: Table, folder: Path, kind_of_spool: str
) -> None:
    path = folder / f"x.{suffix}"
    # An error of the source is not one of storage, even if it is an OSError.
    with unchanged(folder, path), pytest.raises(ConnectionResetError, match="the source failed"):
        Target.resolve(str(path), table).write(failing)


def test_the_source_fails_where_nothing_was(failing: Iterator[Any], table: Table, folder: Path) -> None:
    with pytest.raises(ConnectionResetError):
        Target.resolve(str(folder / "sub" / "x.jsonl"), table).write(failing)
    assert os.listdir(folder) == []


@pytest.mark.parametrize("suffix", ["jsonl", "csv.gz", "parquet"])
def test_the_process_is_killed(
    suffix: str, folder: Path, kill_in_the_middle: Callable[[str], list[str]]
) -> None:
    path = folder / f"x.{suffix}"
    with unchanged(folder, path):
        kill_in_the_middle(str(path))


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_disk_is_full(
    suffix: str, records: list[Any], table: Table, folder: Path, kind_of_spool: str
) -> None:
    def incompressible() -> Iterator[dict[str, Any]]:
        while True:
            yield {**records[0], "text": os.urandom(5_000).hex()}

    path = folder / f"x.{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with unchanged(folder, path):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
        try:
            with pytest.raises(HelpCrunchStorageError, match="failed, nothing was published"):
                Target.resolve(str(path), table).write(incompressible())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_publishing_fails(
    records: list[Any], table: Table, folder: Path, monkeypatch: pytest.MonkeyPatch, kind_of_spool: str
) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = folder / "x.jsonl"
    monkeypatch.setattr(spool.os, "replace", refuse)
    with (
        unchanged(folder, path),
        pytest.raises(HelpCrunchStorageError, match="that was there before is untouched"),
    ):
        Target.resolve(str(path), table).write(records)


@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_the_answer_to_the_renaming_is_lost(
    there: bool,
    records: list[Any],
    table: Table,
    folder: Path,
    warned: list[str],
    monkeypatch: pytest.MonkeyPatch,
    kind_of_spool: str,
) -> None:
    """A file server that did it and is asked again says that there is no such file."""

    def rename(source: str, target: str) -> None:
        replace(source, target)
        raise FileNotFoundError(2, "No such file or directory")

    replace = os.replace
    if there:
        (folder / "x.jsonl").write_bytes(OLD)
    monkeypatch.setattr(spool.os, "replace", rename)
    receipt = Target.resolve(str(folder / "x.jsonl"), table).write(records)
    assert list(read_records(receipt)) == records
    assert os.listdir(folder) == ["x.jsonl"]
    assert len(warned) == 1


@pytest.mark.parametrize("done", ["whole", "half"])
def test_a_remote_filesystem_that_writes_in_place(
    done: str, records: list[Any], table: Table, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem
    from upath import UPath

    def put(self: Any, source: str, target: str, **_: Any) -> None:
        content = Path(source).read_bytes()
        self.pipe_file(target, content if done == "whole" else content[: len(content) // 2])
        raise TimeoutError("the connection was lost")

    place: Any = UPath("memory://helpcrunch/x.jsonl")
    monkeypatch.setattr(MemoryFileSystem, "put_file", put)
    if done == "whole":
        assert Target.resolve(place, table).write(records)["records"] == 3
        assert (list(read_records(place)), len(warned)) == (records, 1)
    else:
        with pytest.raises(HelpCrunchStorageError, match="may be a part of it.*TimeoutError") as error:
            Target.resolve(place, table).write(records)
        assert "untouched" not in str(error.value)
    place.unlink()


def test_a_remote_filesystem_that_copies_links_as_links(
    records: list[Any], table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind_of_spool: str
) -> None:
    """As that of Airflow's SFTP provider does, with sshfs and asyncssh."""
    from fsspec.implementations.memory import MemoryFileSystem
    from upath import UPath

    def put(self: Any, source: str, target: str, **_: Any) -> None:
        is_link = os.path.islink(source)
        self.pipe_file(target, os.readlink(source).encode() if is_link else Path(source).read_bytes())

    place: Any = UPath("memory://helpcrunch/x.jsonl")
    monkeypatch.setattr(MemoryFileSystem, "put_file", put)
    monkeypatch.setattr(spool.tempfile, "tempdir", str(tmp_path))
    Target.resolve(place, table).write(records)
    assert list(read_records(place)) == records
    assert not list(tmp_path.glob(".*.part"))
    place.unlink()


def test_no_temporary_file_can_be_made(records: list[Any], table: Table, folder: Path) -> None:
    target = Target.resolve(str(folder / "sub" / "x.jsonl"), table)
    folder.rename(folder.with_name("moved"))
    folder.touch()
    with pytest.raises(HelpCrunchStorageError, match="failed, nothing was published: Not a directory"):
        target.write(records)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_longer_object_is_replaced(
    suffix: str, records: list[Any], table: Table, folder: Path, kind_of_spool: str
) -> None:
    target = Target.resolve(str(folder / f"x.{suffix}"), table)
    target.write(records * 1_000)
    assert len(list(read_records(target.write(records)))) == 3
    assert os.listdir(folder) == [f"x.{suffix}"]


@pytest.mark.long
@pytest.mark.once
@pytest.mark.parametrize("suffix", ["jsonl.zst", "csv.gz", "parquet"])
def test_memory_does_not_grow_with_the_number_of_records(suffix: str, folder: Path) -> None:
    root = Path(airflow_provider_helpcrunch.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder / f"x.{suffix}")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("peaks"))
    few, many = map(int, line.split()[1:])
    # Held in memory, 180,000 more of these records would be another 140 MB. Arrow's allocator keeps some 30 MB of what
    # it has once used.
    assert many - few < 70_000, f"{(many - few) / 1024:.0f} MB more"


def test_importing_is_cheap() -> None:
    root = Path(airflow_provider_helpcrunch.__file__).parents[1]
    code = (
        "import sys, airflow_provider_helpcrunch.exceptions; before = set(sys.modules);"
        "import airflow_provider_helpcrunch.storage; print({'pyarrow', 'zstandard', 'pandas', 'upath', 'fsspec'}"
        " & (set(sys.modules) - before))"
    )
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.splitlines()[-1] == "set()"


def test_agents_are_the_real_table(folder: Path) -> None:
    agents = [{"id": "71", "name": "Kim", "email": "kim@mail.example", "role": "admin"}]
    receipt = Target.resolve(str(folder / "agents.parquet"), AGENTS).write(agents)
    assert list(read_records(receipt)) == [{**agents[0], "id": 71}]
