"""Run of an export: what every resource shares, from the manifest before to the manifest after."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.exports.manifest import (
    HEAD,
    VERSION,
    ExportedObject,
    Manifest,
    directory_of,
    read_manifest,
)
from airflow_provider_helpcrunch.exports.staging import Staging
from airflow_provider_helpcrunch.privacy import KEY_COLUMNS
from airflow_provider_helpcrunch.schema import Column, Table
from airflow_provider_helpcrunch.storage.reading import read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self

    from airflow_provider_helpcrunch.exports.base_path import BasePath
    from airflow_provider_helpcrunch.schema import Record

log = logging.getLogger(__name__)

PART_RECORDS = 250_000
"""Records per object."""

CHANGE_COLUMNS = (Column("change", "string"), Column("seenAt", "timestamp"))
"""Columns of a change in front of those of the record: what happened, and when the export that saw it began."""


@dataclass(frozen=True, slots=True)
class Resource:
    """
    Resource as it is exported.

    :param table: its name and columns, without those that are left out
    :param file_format: format of the objects, such as ``parquet`` or ``jsonl.gz``
    :param choices: hash of the choice of columns and hashes. Default: all columns as they are
    """

    table: Table
    file_format: str
    choices: str = ""

    @property
    def settings(self) -> str:
        """Hash of all that makes rows of two exports comparable."""
        text = f"{self.file_format.startswith('json')} {self.table} {self.choices}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def changes(self) -> Table:
        """Name and columns of its changes."""
        return Table(f"{self.table.name}_changes", (*CHANGE_COLUMNS, *self.table.columns))


class Run:
    """
    One run of an export.

    As a context manager, it gives its claim up if an error ends the block: then any other run may begin at once. Where
    the run is to go on, its claim stays: if the task defers, or its worker is killed (neither is an ``Exception``).

    :param base: the base path
    :param resource: the resource
    :param run: name of the run, equal in all of its tries
    :param clock: UNIX seconds (``time.time``)
    :raises HelpCrunchConfigurationError: the base path has something else, or the run was exported before and is not
        the latest one
    """

    def __init__(
        self, base: BasePath, resource: Resource, run: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.base = base
        self.resource = resource
        self.warnings: list[str] = []
        """Doubts about the result."""
        self.staging: Staging | None = None
        """The claim of this worker, once it has one."""
        self._run = run
        self._checked: set[str] = set()
        self._clock = clock
        self._directory = directory_of(run)
        self._head = read_manifest(base, resource.table.name)
        if self._head is None or self._head.run == run:
            # Run again, it is compared with what it was compared with before.
            self.before = None if self._head is None else self._head.before
        else:
            self._refuse_done(self._head)
            self.before = self._head.as_before()

    def __enter__(self) -> Self:
        """Return the run itself."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Give the claim up after an error."""
        if isinstance(error, Exception) and self.staging is not None:
            self.staging.release()

    def _refuse_done(self, head: Manifest) -> None:
        """Refuse a run that a later one was compared with: its changes would be lost, and so would the past."""
        found = read_manifest(self.base, self.resource.table.name, f"{self._directory}/{HEAD}")
        # A worker that was killed while it published has left one that is not in the chain.
        if found is None or found.sequence > head.sequence:
            return
        msg = (
            f"Run {self._run!r} was exported to {self.base} before, and later exports stand on it. HelpCrunch shows "
            "only the present, so the run cannot be exported again: start a new one, or clear the latest."
        )
        raise HelpCrunchConfigurationError(msg)

    def claim(self, scope: str = "") -> Staging:
        """
        Claim the base path.

        :param scope: names what is read beside the settings; what was staged with another scope is not used (``""``)
        :raises HelpCrunchStorageError: another run is exporting to it, or has published since this one began
        """
        settings = f"{self.resource.settings}{scope}"
        self.staging = Staging.claimed(self.base, self._run, settings, self._head, self._clock)
        self._check_head()
        if self._head is not None:
            # A worker that was killed while it published may have left another copy of it, or none.
            self.base.write_json(self._head.name, self._head)
        return self.staging

    def _check_head(self) -> None:
        """Refuse to go on if another run has published between the first look at the manifest and the claim."""
        head = read_manifest(self.base, self.resource.table.name)
        if (head and head.token) != (self._head and self._head.token):
            msg = f"Another run has just finished an export to {self.base}: run this task again."
            raise HelpCrunchStorageError(msg)

    @property
    def is_incomparable(self) -> bool:
        """Whether the export before has other columns, hashes or another format."""
        return self.before is not None and self.before.settings != self.resource.settings

    def state_before(self) -> bytes:
        """Return the state of the export before; empty before the first."""
        if self.before is None:
            return b""
        if self.is_incomparable:
            self.warn(
                "Columns, hashes, private notes or format differ from the export before, so unchanged records count as "
                "updated, too."
            )
        data = self.base.read_needed(self.before.state.path)
        if hashlib.sha256(data).hexdigest() != self.before.state.sha256:
            msg = (
                f"{self.base}/{self.before.state.path} is damaged: restore it, or begin at another base_path."
            )
            raise HelpCrunchStorageError(msg)
        return data

    def snapshot_before(self) -> Iterator[Record]:
        """Yield the records of the export before, in order."""
        return self.read(self.before.snapshot if self.before else ())

    def read(self, objects: Iterable[ExportedObject]) -> Iterator[Record]:
        """
        Yield the records of objects of the export before, in order.

        :raises HelpCrunchStorageError: an object is missing, or is not what was written
        """
        for each in objects:
            if each.path not in self._checked and self.base.checksum(each.path) != each.sha256:
                msg = f"{self.base}/{each.path} is missing or damaged: restore it, or begin at another base_path."
                raise HelpCrunchStorageError(msg)
            self._checked.add(each.path)
            yield from read_records(f"{self.base}/{each.path}", table=self.resource.table)

    def changed(self, change: str, record: Record, staging: Staging) -> Record:
        """
        Return the row of a change.

        A record that was deleted comes from the export before. If that one had other columns or hashes, only the keys
        are kept: the rest may be what must not be stored any more.
        """
        if change == "deleted" and self.is_incomparable:
            record = {name: record[name] for name in sorted(KEY_COLUMNS & record.keys())}
        return {"change": change, "seenAt": staging.claim.started_at, **record}

    def write(
        self, what: str, table: Table, records: Iterable[Record], staging: Staging
    ) -> list[ExportedObject]:
        """
        Write records to one or more objects. Their names have the worker's token, so no other worker overwrites them.

        :param what: beginning of their names: ``snapshot`` or ``changes``
        :param table: the columns
        :param records: the records
        :param staging: the claim
        """
        objects: list[ExportedObject] = []
        remaining = iter(records)
        # At least one object, so that a reader finds the columns of an export without records, too.
        first: list[Record] | None = list(islice(remaining, 1))
        while first is not None:
            suffix = f"{staging.claim.token}-{len(objects):05}.{self.resource.file_format}"
            name = f"{self._directory}/{what}-{suffix}"
            staging.note_output(name)
            checksum = hashlib.sha256()
            part = chain(first, islice(remaining, PART_RECORDS - 1))
            receipt = self.base.target(name, table).write(part, checksum)
            objects.append(ExportedObject(name, receipt["records"], receipt["bytes"], checksum.hexdigest()))
            first = list(islice(remaining, 1)) or None
        return objects

    def write_state(self, data: bytes, records: int, staging: Staging) -> ExportedObject:
        """Write what the next export compares, of so many records or chats."""
        name = f"{self._directory}/state-{staging.claim.token}.bin"
        staging.note_output(name)
        self.base.write(name, data)
        return ExportedObject(name, records, len(data), hashlib.sha256(data).hexdigest())

    def publish(
        self, staging: Staging, *, system: Sequence[ExportedObject] = (), **contents: Any
    ) -> Manifest:
        """
        Publish the manifest, and with it the export; delete what is no longer needed.

        :param staging: the claim
        :param system: objects with the messages of HelpCrunch itself. Default: none
        :param contents: other objects and counts of the manifest
        :raises HelpCrunchStorageError: another worker or run has taken over; nothing is published
        """
        manifest = Manifest(
            helpcrunch_export=VERSION,
            resource=self.resource.table.name,
            run=self._run,
            token=staging.claim.token,
            sequence=self.before.sequence + 1 if self.before else 1,
            started_at=staging.claim.started_at,
            finished_at=int(self._clock()),
            settings=self.resource.settings,
            file_format=self.resource.file_format,
            requests=staging.claim.requests,
            warnings=self.warnings,
            system=list(system),
            before=self.before,
            **contents,
        )
        replaced = self._head.objects if self._head is not None and self._head.run == self._run else []
        for name in (manifest.name, *(each.path for each in replaced)):
            staging.note_output(name)  # of these, the next worker deletes what is not of the latest export
        # First where it stays, then where readers look: a run is never the latest before it can be found again.
        self.base.write_json(manifest.name, manifest)
        self._check_objects(manifest)
        staging.check_owner()
        self.base.write_json(HEAD, manifest)
        for each in replaced:
            self.base.delete(each.path)
        staging.clear()
        return manifest

    def _check_objects(self, manifest: Manifest) -> None:
        """Check that all objects are there: a worker that took over meanwhile deletes those of this one."""
        for each in manifest.objects:
            if self.base.size(each.path) != each.bytes:
                msg = f"{self.base}/{each.path} was deleted or changed before it was published: run this task again."
                raise HelpCrunchStorageError(msg)

    def warn(self, warning: str) -> None:
        """Log a doubt about the result, and keep it for the manifest."""
        log.warning(warning)
        self.warnings.append(warning)
