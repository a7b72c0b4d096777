"""Base path of an export: a directory, or a prefix in object storage, with all of its objects."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.storage.location import locate, refuse_unwritable
from airflow_provider_helpcrunch.storage.objects import (
    checksum_of,
    delete_object,
    read_object,
    size_of,
    write_object,
)
from airflow_provider_helpcrunch.storage.target import Target

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import ObjectStoragePath
    from airflow_provider_helpcrunch.schema import Table
    from airflow_provider_helpcrunch.storage.location import Location


class BasePath:
    """
    Objects below one path; each has a name relative to it, so that the whole can be moved.

    :param path: a local directory, a URL (``s3://conn_id@bucket/helpcrunch/chats``) or an ``ObjectStoragePath``
    :param argument: the argument that names it, for messages (``base_path``)
    :param writable: whether the export is written (``True``); ``False``: it is only read
    :raises HelpCrunchConfigurationError: the path is ambiguous, is a file, or cannot be written to
    """

    def __init__(
        self, path: str | ObjectStoragePath, argument: str = "base_path", *, writable: bool = True
    ) -> None:
        self._text = str(path).rstrip("/")
        location = self.locate("manifest.json")
        if location.remote is None and os.path.isfile(os.path.dirname(location.local)):
            msg = f"{argument} {self._text!r} is a file: an export needs a directory of its own."
            raise HelpCrunchConfigurationError(msg)
        if writable:
            refuse_unwritable(location)

    def __str__(self) -> str:
        """Return the path."""
        return self._text

    def locate(self, name: str) -> Location:
        """
        Return the location of an object.

        :param name: its name, relative to the base path
        """
        return locate(f"{self._text}/{name}")

    def target(self, name: str, table: Table) -> Target:
        """
        Return the target for an object of records.

        :param name: its name, whose suffix is the format
        :param table: the columns of CSV and Parquet
        """
        return Target.resolve(f"{self._text}/{name}", table)

    def read(self, name: str) -> bytes | None:
        """
        Return the bytes of an object; ``None`` if there is none.

        :param name: its name
        :raises HelpCrunchStorageError: the object cannot be read
        """
        return read_object(self.locate(name))

    def read_needed(self, name: str) -> bytes:
        """
        Return the bytes of an object that an export has left.

        :param name: its name
        :raises HelpCrunchStorageError: the object cannot be read, or is missing
        """
        if (data := self.read(name)) is None:
            msg = f"{self._text}/{name} is missing: restore it, or begin with another base_path."
            raise HelpCrunchStorageError(msg)
        return data

    def checksum(self, name: str) -> str | None:
        """
        Return the SHA-256 of an object in hexadecimal digits, read in chunks; ``None`` if there is no object.

        :param name: its name
        :raises HelpCrunchStorageError: the object cannot be read
        """
        return checksum_of(self.locate(name))

    def size(self, name: str) -> int | None:
        """
        Return the size of an object in bytes; ``None`` if there is no object.

        :param name: its name
        :raises HelpCrunchStorageError: the storage fails
        """
        return size_of(self.locate(name))

    def write(self, name: str, data: bytes) -> None:
        """
        Write an object in one step.

        :param name: its name
        :param data: its bytes
        :raises HelpCrunchStorageError: the object cannot be written
        """
        write_object(self.locate(name), data)

    def write_json(self, name: str, value: Any) -> None:
        """
        Write plain JSON in one step, indented for a person.

        :param name: the object's name
        :param value: the plain JSON
        """
        self.write(name, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    def delete(self, name: str) -> None:
        """
        Delete an object, if it exists.

        :param name: its name
        """
        delete_object(self.locate(name))
