"""Small objects: read whole, written whole, deleted."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.storage.location import nearest_directory
from airflow_provider_helpcrunch.storage.publishing import publish
from airflow_provider_helpcrunch.storage.spool import Spool, temporary_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_helpcrunch.storage.location import Location

_CHUNK = 2**20


@contextlib.contextmanager
def _reading(location: Location) -> Iterator[None]:
    try:
        # The filesystem may have cached an older object.
        if location.remote is not None:
            location.remote.fs.invalidate_cache()
        yield
    except FileNotFoundError:
        raise
    # Every filesystem library has an exception tree of its own.
    except Exception as exc:
        msg = f"{location.text!r} cannot be read: {type(exc).__name__}: {exc}"
        raise HelpCrunchStorageError(msg) from exc


def read_object(location: Location) -> bytes | None:
    """
    Return the bytes of an object; ``None`` if there is none.

    :param location: its location
    :raises HelpCrunchStorageError: the object cannot be read
    """
    try:
        with _reading(location):
            if location.remote is not None:
                return bytes(location.remote.fs.cat_file(location.remote.path))
            with open(location.local, "rb") as file:
                return file.read()
    except FileNotFoundError:
        return None


def size_of(location: Location) -> int | None:
    """
    Return the size of an object in bytes; ``None`` if there is none.

    :param location: its location
    :raises HelpCrunchStorageError: the storage fails
    """
    try:
        with _reading(location):
            if location.remote is None:
                return os.path.getsize(location.local)
            return int(location.remote.fs.info(location.remote.path)["size"])
    except FileNotFoundError:
        return None


def checksum_of(location: Location) -> str | None:
    """
    Return the SHA-256 of an object in hexadecimal digits, read in chunks; ``None`` if there is none.

    :param location: its location
    :raises HelpCrunchStorageError: the object cannot be read
    """
    checksum = hashlib.sha256()
    try:
        with _reading(location):
            remote = location.remote
            with open(location.local, "rb") if remote is None else remote.fs.open(remote.path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    checksum.update(chunk)
    except FileNotFoundError:
        return None
    return checksum.hexdigest()


def write_object(location: Location, data: bytes) -> None:
    """
    Write an object in one step: readers see the old one or the new one.

    :param location: its location
    :param data: its bytes
    :raises HelpCrunchStorageError: the object cannot be written
    """
    is_local = location.remote is None
    directory = nearest_directory(location.local) if is_local else temporary_directory(location.text)
    with Spool(directory, 0o666 if is_local else 0o600) as spool:
        spool.write(data)
        spool.finish()
        publish(spool, location)


def delete_object(location: Location) -> None:
    """
    Delete an object, if it exists.

    :param location: its location
    :raises HelpCrunchStorageError: the object cannot be deleted
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            if location.remote is None:
                os.unlink(location.local)
            else:
                location.remote.fs.rm_file(location.remote.path)
    except Exception as exc:
        msg = f"{location.text!r} cannot be deleted: {type(exc).__name__}: {exc}"
        raise HelpCrunchStorageError(msg) from exc
