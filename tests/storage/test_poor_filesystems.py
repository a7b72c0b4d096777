"""Filesystems that cannot do all that a disk can: SMB mounts such as Azure Files, FAT, NFS, FUSE."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import Table
from airflow_provider_helpcrunch.storage import Target, read_records, spool

Fails = Callable[[str, int], None]

NO_CHMOD = [("fchmod", code) for code in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EROFS, errno.EIO)]
NO_LINK = [
    ("link", code)
    for code in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS, errno.EACCES)
]
NO_NAMELESS = [("O_TMPFILE", code) for code in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)]
NO_SYNC = [("fsync", code) for code in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)]
POOR = [
    *([fault] for fault in (*NO_CHMOD, *NO_LINK, *NO_NAMELESS, *NO_SYNC)),
    [("O_TMPFILE", errno.EOPNOTSUPP), ("rename", errno.EXDEV)],
    [("link", errno.EPERM), ("fchmod", errno.EPERM), ("fsync", errno.EINVAL)],
    [("O_TMPFILE", errno.EOPNOTSUPP), ("fchmod", errno.EPERM), ("link", errno.EPERM)],
]


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Make a system call fail, as a filesystem does that cannot do it."""

    def fail(call: str, code: int) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(code, os.strerror(code))

        if call == "O_TMPFILE":
            really = os.open
            monkeypatch.setattr(
                spool.os,
                "open",
                lambda path, flags, *mode: (
                    refuse() if flags & os.O_TMPFILE == os.O_TMPFILE else really(path, flags, *mode)
                ),
            )
        else:
            monkeypatch.setattr(spool.os, call, refuse)

    return fail


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def _name(faults: list[tuple[str, int]]) -> str:
    return "+".join(f"{call}-{errno.errorcode[code]}" for call, code in faults)


@pytest.fixture(params=POOR, ids=_name)
def poor(request: pytest.FixtureRequest, fails: Fails) -> list[tuple[str, int]]:
    for fault in request.param:
        fails(*fault)
    return list(request.param)


@pytest.mark.usefixtures("poor")
def test_each_write_succeeds_and_leaves_nothing(
    records: list[Any], table: Table, folder: Path, warned: list[str]
) -> None:
    target = Target.resolve(str(folder / "sub" / "x.jsonl"), table)
    for count in (1, 3, 2):
        assert len(list(read_records(target.write(records[:count])))) == count
        assert os.listdir(folder / "sub") == ["x.jsonl"]
    assert warned == []


def test_permission_bits_are_kept_where_they_can(
    poor: list[tuple[str, int]], table: Table, folder: Path
) -> None:
    path = folder / "x.jsonl"
    path.touch(0o600)
    Target.resolve(str(path), table).write([])
    kept = 0o600 if "fchmod" not in dict(poor) else 0o644
    assert stat.S_IMODE(path.stat().st_mode) == kept


@pytest.mark.usefixtures("poor")
def test_a_failed_run_leaves_the_old_object_and_nothing_else(
    failing: Iterator[Any], table: Table, folder: Path
) -> None:
    path = folder / "x.jsonl"
    path.write_bytes(b"old")
    with pytest.raises(ConnectionResetError):
        Target.resolve(str(path), table).write(failing)
    assert (os.listdir(folder), path.read_bytes()) == (["x.jsonl"], b"old")


@pytest.mark.usefixtures("poor")
def test_a_renaming_that_fails_leaves_the_old_object_and_nothing_else(
    records: list[Any], table: Table, folder: Path, fails: Fails
) -> None:
    path = folder / "x.jsonl"
    path.write_bytes(b"old")
    fails("replace", errno.EACCES)
    with pytest.raises(HelpCrunchStorageError, match="that was there before is untouched: PermissionError"):
        Target.resolve(str(path), table).write(records)
    assert (os.listdir(folder), path.read_bytes()) == (["x.jsonl"], b"old")


@pytest.mark.parametrize("without", [("link", errno.EPERM), ("rename", errno.EXDEV)], ids=["link", "rename"])
def test_a_copy_that_fails_leaves_the_old_object_and_nothing_else(
    without: tuple[str, int],
    records: list[Any],
    table: Table,
    folder: Path,
    fails: Fails,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(source: Any, copy: Any, length: int) -> None:
        copy.write(source.read(3))
        raise OSError(errno.ENOSPC, "No space left on device")

    if without[0] == "rename":
        fails("O_TMPFILE", errno.EOPNOTSUPP)
    fails(*without)
    monkeypatch.setattr(spool.shutil, "copyfileobj", full)
    path = folder / "x.jsonl"
    path.write_bytes(b"old")
    with pytest.raises(HelpCrunchStorageError, match="is untouched: OSError.*No space left"):
        Target.resolve(str(path), table).write(records)
    assert (os.listdir(folder), path.read_bytes()) == (["x.jsonl"], b"old")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fails_is_an_error(
    code: int, records: list[Any], table: Table, folder: Path, fails: Fails
) -> None:
    fails("fsync", code)
    with pytest.raises(HelpCrunchStorageError, match="nothing was published"):
        Target.resolve(str(folder / "x.jsonl"), table).write(records)
    assert os.listdir(folder) == []


def test_a_temporary_file_that_cannot_be_removed_hides_no_error(
    failing: Iterator[Any], table: Table, folder: Path, fails: Fails, warned: list[str]
) -> None:
    fails("O_TMPFILE", errno.EOPNOTSUPP)
    fails("unlink", errno.EBUSY)
    with pytest.raises(ConnectionResetError):
        Target.resolve(str(folder / "x.jsonl"), table).write(failing)
    (left,) = os.listdir(folder)
    assert warned == [f"The temporary file {folder / left} could not be removed: Device or resource busy"]
