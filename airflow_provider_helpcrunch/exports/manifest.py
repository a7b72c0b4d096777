"""Manifest of an export: its objects, its counts, and the export before it."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.exports.base_path import BasePath

HEAD = "manifest.json"
"""Name of the manifest of the latest export, relative to the base path."""

VERSION = 1


class ExportedObject(msgspec.Struct, frozen=True):
    """
    An object of an export.

    :param path: its name, relative to the base path
    :param records: number of records
    :param bytes: its size
    :param sha256: checksum of its bytes, in hexadecimal digits
    """

    path: str
    records: int
    bytes: int
    sha256: str


class Before(msgspec.Struct, frozen=True):
    """
    Export before another one, with all that a repetition of that other one needs.

    :param run: the run that made it
    :param sequence: its number
    :param settings: hash of columns, hashes and format
    :param snapshot: objects with the whole resource
    :param system: objects with the messages that HelpCrunch itself wrote, such as ``chat_status_changed``; of messages
        alone
    :param state: object with what the next export compares: a key and a digest of each record, or, for messages, the
        latest message and the number of messages of each chat
    """

    run: str
    sequence: int
    settings: str
    snapshot: list[ExportedObject]
    system: list[ExportedObject]
    state: ExportedObject


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    Contents of a finished export.

    :param helpcrunch_export: version of this format
    :param resource: name of the resource, such as ``chats``
    :param run: the run that made the export
    :param token: identifies the worker that published it
    :param sequence: number of the export at this base path, from 1
    :param started_at: when the run began, in UNIX seconds
    :param finished_at: when it was complete, in UNIX seconds
    :param settings: hash of columns, hashes and format: with other settings every row differs
    :param file_format: format of the objects, such as ``parquet``
    :param snapshot: objects with the whole resource
    :param system: objects with the messages that HelpCrunch itself wrote, such as ``chat_status_changed``; of messages
        alone
    :param changes: objects with the changes since the export before
    :param state: object with what the next export compares: a key and a digest of each record, or, for messages, the
        latest message and the number of messages of each chat
    :param records: number of records in the snapshot
    :param inserted: records that the export before did not have
    :param updated: records that differ from the export before
    :param deleted: records that only the export before had
    :param unchanged: records that equal those of the export before
    :param total: number of records that HelpCrunch reported; ``None``: none was reported
    :param requests: HTTP requests of the run
    :param warnings: doubts about the result
    :param before: the export before; ``None`` for the first one
    """

    helpcrunch_export: int
    resource: str
    run: str
    token: str
    sequence: int
    started_at: int
    finished_at: int
    settings: str
    file_format: str
    snapshot: list[ExportedObject]
    system: list[ExportedObject]
    changes: list[ExportedObject]
    state: ExportedObject
    records: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    total: int | None
    requests: int
    warnings: list[str]
    before: Before | None

    @property
    def objects(self) -> list[ExportedObject]:
        """All objects of the export but its manifest."""
        return [*self.snapshot, *self.changes, *self.system, self.state]

    @property
    def name(self) -> str:
        """Name of the copy that stays when a later export becomes the latest, relative to the base path."""
        return f"{directory_of(self.run)}/{HEAD}"

    def as_before(self) -> Before:
        """Return what the next export keeps of this one."""
        return Before(self.run, self.sequence, self.settings, self.snapshot, self.system, self.state)


def directory_of(run: str) -> str:
    """
    Return the directory of a run, relative to the base path, named as a Hive partition.

    :param run: the run; where a character cannot be in a file name, a hash makes up for it
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", run)[:100]
    return f"runs/run={name}" if name == run else f"runs/run={name}-{sha256(run.encode()).hexdigest()[:6]}"


def read_manifest(
    base: BasePath, resource: str, name: str = HEAD, argument: str = "base_path"
) -> Manifest | None:
    """
    Return a manifest; ``None`` if there is none.

    :param base: the base path of the export
    :param resource: the resource that it must be of
    :param name: the manifest's name. Default: that of the latest export
    :param argument: the argument that has the base path, for messages
    :raises HelpCrunchConfigurationError: the object is not a manifest, or one of another resource or version
    :raises HelpCrunchStorageError: the object cannot be read
    """
    data = base.read(name)
    if data is None:
        return None
    advice = f"Choose another {argument}, or move {name} away to begin with a first export."
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, ValueError, UnicodeDecodeError) as error:
        msg = f"{base}/{name} is not the manifest of an export, or is damaged ({error}). {advice}"
        raise HelpCrunchConfigurationError(msg) from None
    if found.helpcrunch_export != VERSION:
        msg = f"{base}/{name} is of version {found.helpcrunch_export}, and this package reads {VERSION}. {advice}"
        raise HelpCrunchConfigurationError(msg)
    if found.resource != resource:
        msg = f"{base}/{name} is the manifest of an export of {found.resource}, not of {resource}. {advice}"
        raise HelpCrunchConfigurationError(msg)
    return found
