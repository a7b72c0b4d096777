"""Target of a stream of records, and the receipt for the written object."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_helpcrunch.plurals import counted
from airflow_provider_helpcrunch.storage.formats import choose_format
from airflow_provider_helpcrunch.storage.lineage import report
from airflow_provider_helpcrunch.storage.location import locate, nearest_directory, refuse_unwritable
from airflow_provider_helpcrunch.storage.publishing import publish
from airflow_provider_helpcrunch.storage.spool import Spool, temporary_directory
from airflow_provider_helpcrunch.storage.writing import write_records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_helpcrunch._airflow import ObjectStoragePath
    from airflow_provider_helpcrunch.schema import Table
    from airflow_provider_helpcrunch.storage.formats import Format
    from airflow_provider_helpcrunch.storage.location import Location
    from airflow_provider_helpcrunch.storage.spool import Checksum

log = logging.getLogger(__name__)


class Receipt(TypedDict):
    """
    Receipt for a written object, as plain JSON for XCom; :func:`read_records` accepts it.

    ``path`` is the object's path or URL with its connection id (local paths are absolute), ``records`` the number of
    records, ``bytes`` the size of the object, ``format`` its format, such as ``jsonl.gz``.
    """

    path: str
    records: int
    bytes: int
    format: str


@dataclass(frozen=True, slots=True)
class Target:
    """
    Object that records will be written to; :meth:`resolve` creates it.

    :param location: the location of the object
    :param format: its format
    :param table: the columns of a CSV or Parquet file
    """

    location: Location
    format: Format
    table: Table

    @classmethod
    def resolve(
        cls,
        output_path: str | ObjectStoragePath,
        table: Table,
        file_format: str | None = None,
        *,
        argument: str = "file_format",
    ) -> Target:
        """
        Find location and format of an object, and refuse unusable ones before anything is requested or written.

        :param output_path: a local path, a URL (``s3://conn_id@bucket/key.jsonl.gz``) or an ``ObjectStoragePath``.
            Its suffix names the format: ``.jsonl`` (or ``.ndjson``), ``.json``, ``.csv`` or ``.parquet``, with ``.gz``
            or ``.zst`` behind all but the last. A symbolic link is kept, and the file it leads to is replaced
        :param table: the columns of CSV and Parquet files
        :param file_format: the format, such as ``jsonl`` or ``csv.zst``, if the path has no such suffix. Default: by
            the suffix
        :param argument: the operator's argument that names the format, for messages (``file_format``)
        :return: the target
        :raises HelpCrunchConfigurationError: the path names no object, suffix and format are unknown or contradict
            each other, a library or a filesystem is not installed, or a local directory is not writable
        :raises HelpCrunchStorageError: the filesystem is installed but could not be set up
        """
        location = locate(output_path)
        chosen = choose_format(location.text, file_format, argument)
        refuse_unwritable(location)
        return cls(location, chosen, table)

    def write(self, records: Iterable[dict[str, Any]], checksum: Checksum | None = None) -> Receipt:
        """
        Write all records, then publish the finished object in one step.

        Until then the records are in a nameless local file: in the directory of a local target, or else in the
        directory for temporary files (``TMPDIR``), which needs space for the whole object. If the records fail, the
        previous object is untouched. For leftovers of a killed process see :class:`.spool.Spool` and
        :func:`.publishing.publish`.

        :param records: the records as the API sent them; errors of their iterator are passed on unchanged
        :param checksum: is updated with all bytes of the object, such as ``hashlib.sha256()``. Default: none
        :return: the receipt
        :raises HelpCrunchStorageError: a record does not fit, the local disk fails, or the object cannot be published
        """
        with self._spool() as spool:
            count = write_records(records, spool, self.format, self.table)
            size = spool.finish(checksum)
            publish(spool, self.location)
        report("output", self.location)
        log.info(
            # The path is last: Airflow's user interface cuts long lines off.
            "Wrote %s (%s, %s) to %s",
            counted(count, "record"),
            counted(size, "byte"),
            self.format,
            self.location.text,
        )
        return Receipt(path=self.location.text, records=count, bytes=size, format=str(self.format))

    def _spool(self) -> Spool:
        if self.location.remote is None:
            return Spool(nearest_directory(self.location.local), 0o666)
        return Spool(temporary_directory(self.location.text), 0o600)
