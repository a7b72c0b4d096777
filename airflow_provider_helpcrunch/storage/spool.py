"""The local file that a run writes to before anybody can see it, and the one step that publishes it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.storage.location import Location

_CHUNK = 8 * 2**20
_UPLOADS_AT_ONCE = 4
_S3_MAX_PARTS = 10_000


class Spool:
    """
    A file without a name: a process that is killed while it writes leaves nothing behind.

    It gets a name in the last two steps of :meth:`become` alone: a hidden one, then that of the target. A process
    killed in the instant between them leaves a hidden ``.*.part`` file. Where the operating system or the filesystem
    has no nameless files (``O_TMPFILE``), the file is such a hidden one from the start, and a process killed at any
    time leaves it.

    :param directory: where it takes its disk space; the file can become another file only on the same filesystem
    :param mode: permission bits, from which the process' umask is taken away
    :raises HelpCrunchStorageError: it cannot be created there
    """

    def __init__(self, directory: str, mode: int) -> None:
        self._directory = directory
        self._hidden: str | None = None
        try:
            try:
                descriptor = _open_nameless(directory, mode)
            except OSError:
                self._hidden = os.path.join(directory, _hidden_name())
                descriptor = os.open(self._hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except OSError as exc:
            raise self._failed(exc) from exc
        self._file = os.fdopen(descriptor, "w+b", buffering=2**17)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """A path under which this process can open the file."""
        return self._hidden or f"/proc/self/fd/{self._file.fileno()}"

    @property
    def closed(self) -> bool:
        """Whether the disk space was given back, or the file became another one."""
        return self._file.closed

    def write(self, data: Any) -> int:
        """
        Append bytes.

        :param data: anything bytes-like
        :return: how many bytes it had; all were taken
        :raises HelpCrunchStorageError: the disk is full or fails
        """
        try:
            return self._file.write(data)
        except OSError as exc:
            raise self._failed(exc) from exc

    def flush(self) -> None:
        """Do nothing; compressors expect the method, and :meth:`finish` is what matters."""

    def finish(self) -> int:
        """
        Bring all that was written to the disk.

        :return: the size of the file in bytes
        :raises HelpCrunchStorageError: the disk is full or fails
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as exc:
            raise self._failed(exc) from exc
        return os.fstat(self._file.fileno()).st_size

    def become(self, target: str) -> None:
        """
        Take the place of a file in one step; missing directories are made, and permission bits are kept.

        :param target: absolute path on the filesystem of this file
        :raises OSError: it did not work; the file that was there is untouched
        """
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        descriptor = self._file.fileno()
        if os.path.exists(target):
            os.fchmod(descriptor, stat.S_IMODE(os.stat(target).st_mode))
        if self._hidden is None:
            # A nameless file gets a name only by a link, and a link never replaces: hence the second name.
            hidden = os.path.join(parent, _hidden_name())
            # Python follows the magic link only where a directory descriptor is given, which an absolute path ignores.
            os.link(self.path, hidden, src_dir_fd=descriptor, follow_symlinks=True)
            self._hidden = hidden
        os.replace(self._hidden, target)
        self._hidden = None
        _sync_directory(parent)

    def close(self) -> None:
        """Give the disk space back, unless the file became another one."""
        if self._hidden is not None:
            os.unlink(self._hidden)
            self._hidden = None
        # What is still in the buffer belongs to a run that failed, perhaps for want of space.
        with suppress(OSError):
            self._file.close()

    def _failed(self, exc: OSError) -> HelpCrunchStorageError:
        msg = (
            f"The temporary file in {self._directory!r} failed, nothing was published: {exc.strerror or exc}"
        )
        return HelpCrunchStorageError(msg)


def publish(spool: Spool, location: Location) -> None:
    """
    Put a finished file in its place in one step.

    Readers see the old object or the new one, never a part: a local file is replaced, and S3, Google Cloud Storage and
    Azure make an object visible when its upload is complete. Of other remote filesystems (SFTP, HDFS) that is not
    promised, as they write in place. A process that is killed during an upload in parts may leave the parts in S3:
    no reader sees them, and a lifecycle rule (``AbortIncompleteMultipartUpload``) removes them.

    :param spool: the finished file
    :param location: its place
    :raises HelpCrunchStorageError: it did not work; the object that was there is untouched
    """
    try:
        if location.local is not None:
            spool.become(location.local)
        else:
            options = _upload_options(location.path.protocol, os.path.getsize(spool.path))
            location.filesystem.put_file(spool.path, location.path.path, **options)
    # Every filesystem library has an exception tree of its own.
    except Exception as exc:
        msg = (
            f"{location.text!r} could not be published, the object that was there before is untouched: "
            f"{type(exc).__name__}: {exc}"
        )
        raise HelpCrunchStorageError(msg) from exc


def _upload_options(protocol: str, size: int) -> dict[str, int]:
    """Bound the memory of an upload to some tens of MB, where the libraries' defaults take hundreds."""
    if protocol in ("s3", "s3a", "s3n"):
        return {"chunksize": max(_CHUNK, -(-size // _S3_MAX_PARTS)), "max_concurrency": _UPLOADS_AT_ONCE}
    if protocol in ("gs", "gcs"):
        return {"chunksize": _CHUNK}
    if protocol in ("abfs", "abfss", "adl", "az"):
        return {"max_concurrency": _UPLOADS_AT_ONCE}
    return {}


def _open_nameless(directory: str, mode: int) -> int:
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return os.open(directory, os.O_TMPFILE | os.O_RDWR, mode)


def _hidden_name() -> str:
    return f".{secrets.token_hex(8)}.part"


def _sync_directory(path: str) -> None:
    # The file is in its place already; filesystems that cannot do this are left to their own care.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
