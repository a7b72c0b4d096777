"""Spool: the local file that records are written to before they are published."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import suppress
from typing import Any, Protocol, Self

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError

log = logging.getLogger(__name__)

_CHUNK = 2**20
_NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


class Checksum(Protocol):
    """What :mod:`hashlib` returns."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""


class Spool:
    """
    File without a name: a process that is killed while it writes leaves nothing behind.

    The file gets a name only at the end of :meth:`become`: first a hidden one, then that of the target. A process
    killed between these two steps leaves a hidden ``.*.part`` file. If the operating system or the filesystem has no
    nameless files (``O_TMPFILE``), the file has a hidden name from the start, and a process killed at any time leaves
    it. If the filesystem has no hard links, a nameless file is copied to a hidden one at the end, which needs space for
    both. The same holds for :meth:`take_name`.

    :param directory: directory whose filesystem holds the file; only there can it take a target's place without a copy
    :param mode: permission bits, before the process' umask is applied
    :raises HelpCrunchStorageError: the file cannot be created there
    """

    def __init__(self, directory: str, mode: int) -> None:
        self._directory = directory
        self._hidden: str | None = None
        try:
            try:
                descriptor = _open_nameless(directory, mode)
            except OSError:
                # Which error means "not supported" differs between filesystems. A real problem, such as a closed
                # directory, comes up once more here.
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
        """Whether :meth:`close` has been called."""
        return self._file.closed

    def write(self, data: Any) -> int:
        """
        Append bytes.

        :param data: a bytes-like object
        :return: its length in bytes; all were written
        :raises HelpCrunchStorageError: the disk is full or fails
        """
        try:
            return self._file.write(data)
        except OSError as exc:
            raise self._failed(exc) from exc

    def flush(self) -> None:
        """Do nothing: compressors need the method, but only :meth:`finish` has to reach the disk."""

    def finish(self, checksum: Checksum | None = None) -> int:
        """
        Write everything to the disk.

        :param checksum: is updated with all bytes of the file. Default: none
        :return: the size of the file in bytes
        :raises HelpCrunchStorageError: the disk is full or fails
        """
        try:
            self._file.flush()
            _sync(self._file.fileno())
            if checksum is not None:
                self._file.seek(0)
                while chunk := self._file.read(_CHUNK):
                    checksum.update(chunk)
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
        Replace the target in one step. Missing directories are created; permission bits of an old file are kept if
        possible.

        :param target: absolute path
        :raises OSError: a step failed; the old file is untouched, unless :meth:`is_at` says otherwise
        """
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        # Others may read the old file by its permissions, and the new one is another file with permissions of its own.
        if os.path.exists(target):
            _set_mode(self._file.fileno(), stat.S_IMODE(os.stat(target).st_mode))
        self._move_to(os.path.join(parent, _hidden_name()))
        os.replace(str(self._hidden), target)
        self._hidden = None
        # Without it, a power cut could bring back the old file after success was reported.
        _sync_directory(parent)

    def take_name(self) -> None:
        """
        Give the file a hidden name in its directory, so that :attr:`path` is the file itself: that of a nameless file
        is a link to it.

        :raises OSError: the directory takes no more files
        """
        if self._hidden is None:
            self._move_to(os.path.join(self._directory, _hidden_name()))

    def close(self) -> None:
        """Release the disk space, unless the file has replaced its target."""
        # Data still in the buffer belongs to a failed run. Writing it may fail again, perhaps because the disk is full.
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
        """Give the file a hidden name beside its target: by a link or by renaming it, or else by a copy."""
        try:
            if self._hidden is None:
                # A nameless file gets a name only by a link, and a link never replaces a file. So it first gets a
                # hidden name, and os.replace does the rest. Python follows the magic link in /proc only if a directory
                # descriptor is given, although an absolute path ignores it.
                os.link(self.path, hidden, src_dir_fd=self._file.fileno(), follow_symlinks=True)
            else:
                os.rename(self._hidden, hidden)
        except OSError:
            self._copy_to(hidden)
        self._hidden = hidden

    def _copy_to(self, hidden: str) -> None:
        """Replace this file by a copy, on a filesystem without hard links or on another than that of the file."""
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


def temporary_directory(text: str) -> str:
    """
    Return the directory for temporary files.

    :param text: the object that is collected there, for the message
    :raises HelpCrunchStorageError: there is none that can be used
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        msg = (
            f"Set TMPDIR to a directory that this user can write to: the records of {text!r} are "
            "collected in a temporary file first, and there is no usable directory for it."
        )
        raise HelpCrunchStorageError(msg) from error


def _open_nameless(directory: str, mode: int) -> int:
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return os.open(directory, os.O_TMPFILE | os.O_RDWR, mode)


def _hidden_name() -> str:
    return f".{secrets.token_hex(8)}.part"


def _set_mode(descriptor: int, mode: int) -> None:
    # SMB mounts, such as Azure Files, and FAT have one mode for all files and refuse any other.
    with suppress(OSError):
        os.fchmod(descriptor, mode)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _NOT_SUPPORTED:
            raise


def _sync_directory(path: str) -> None:
    # The file has been published already, so a filesystem that cannot sync directories is no reason to fail.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
