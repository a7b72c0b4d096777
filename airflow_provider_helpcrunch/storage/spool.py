"""The local file that a run writes to before anybody can see it."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import stat
from contextlib import suppress
from typing import Any, Self

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError

log = logging.getLogger(__name__)

_CHUNK = 2**20
_NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


class Spool:
    """
    A file without a name: a process that is killed while it writes leaves nothing behind.

    It gets a name in the last two steps of :meth:`become` alone: a hidden one, then that of the target. A process
    killed in the instant between them leaves a hidden ``.*.part`` file. Where the operating system or the filesystem
    has no nameless files (``O_TMPFILE``), the file is such a hidden one from the start, and a process killed at any
    time leaves it. Where it has no hard links, a nameless file is copied to a hidden one in the end, which takes room
    for both.

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
            _sync(self._file.fileno())
        except OSError as exc:
            raise self._failed(exc) from exc
        return os.fstat(self._file.fileno()).st_size

    def is_at(self, target: str) -> bool:
        """
        Say whether this file is the one at a path.

        :param target: absolute path
        """
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(target))
        except OSError:
            return False

    def become(self, target: str) -> None:
        """
        Take the place of a file in one step; missing directories are made, and permission bits are kept where they can.

        :param target: absolute path
        :raises OSError: it did not work
        """
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        if os.path.exists(target):
            _set_mode(self._file.fileno(), stat.S_IMODE(os.stat(target).st_mode))
        self._move_to(os.path.join(parent, _hidden_name()))
        os.replace(str(self._hidden), target)
        self._hidden = None
        _sync_directory(parent)

    def close(self) -> None:
        """Give the disk space back, unless the file became another one."""
        # What is still in the buffer belongs to a run that failed, perhaps for want of space.
        with suppress(OSError):
            self._file.close()
        if self._hidden is None:
            return
        try:
            os.unlink(self._hidden)
        except FileNotFoundError:
            pass
        except OSError as exc:
            log.warning("The temporary file %s could not be removed: %s", self._hidden, exc.strerror or exc)
        self._hidden = None

    def _move_to(self, hidden: str) -> None:
        """Give the file a hidden name beside its target: by a link or a renaming, else by a copy."""
        try:
            if self._hidden is None:
                # A nameless file gets a name only by a link, and a link never replaces: hence the second name. Python
                # follows the magic link only where a directory descriptor is given, which an absolute path ignores.
                os.link(self.path, hidden, src_dir_fd=self._file.fileno(), follow_symlinks=True)
            else:
                os.rename(self._hidden, hidden)
        except OSError:
            self._copy_to(hidden)
        self._hidden = hidden

    def _copy_to(self, hidden: str) -> None:
        """Go on as a copy, on a filesystem without hard links or on another one than the file was made on."""
        mode = stat.S_IMODE(os.fstat(self._file.fileno()).st_mode)
        copy = os.fdopen(os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "w+b")
        try:
            _set_mode(copy.fileno(), mode)
            self._file.seek(0)
            shutil.copyfileobj(self._file, copy, _CHUNK)
            copy.flush()
            _sync(copy.fileno())
        except BaseException:
            copy.close()
            with suppress(OSError):
                os.unlink(hidden)
            raise
        self.close()
        self._file = copy

    def _failed(self, exc: OSError) -> HelpCrunchStorageError:
        msg = (
            f"The temporary file in {self._directory!r} failed, nothing was published: {exc.strerror or exc}"
        )
        return HelpCrunchStorageError(msg)


def _open_nameless(directory: str, mode: int) -> int:
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return os.open(directory, os.O_TMPFILE | os.O_RDWR, mode)


def _hidden_name() -> str:
    return f".{secrets.token_hex(8)}.part"


def _set_mode(descriptor: int, mode: int) -> None:
    # SMB mounts, such as Azure Files, and FAT have one mode for all files and refuse another.
    with suppress(OSError):
        os.fchmod(descriptor, mode)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _NOT_SUPPORTED:
            raise


def _sync_directory(path: str) -> None:
    # The file is in its place already; filesystems that cannot do this are left to their own care.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
