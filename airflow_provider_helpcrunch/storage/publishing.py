"""Publishing of a finished file in one step, and a check of its result after an error."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.exceptions import HelpCrunchStorageError
from airflow_provider_helpcrunch.storage.path_text import EXTRAS

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import ObjectStoragePath
    from airflow_provider_helpcrunch.storage.location import Location
    from airflow_provider_helpcrunch.storage.spool import Spool

log = logging.getLogger(__name__)

_CHUNK = 8 * 2**20
_UPLOADS_AT_ONCE = 4
_S3_MAX_PARTS = 10_000
_UNTOUCHED = "the object that was there before is untouched"


def publish(spool: Spool, location: Location) -> None:
    """
    Publish a finished file at its location in one step.

    Readers see the old object or the new one, never a part: a local file is replaced, and S3, Google Cloud Storage and
    Azure show an object only when its upload is complete. Other remote filesystems (SFTP, HDFS) write in place, so
    their readers may see a part. A process that is killed during a multipart upload may leave parts in S3: no reader
    sees them, and a lifecycle rule (``AbortIncompleteMultipartUpload``) removes them. One that is killed while it
    writes to another remote filesystem leaves the hidden file of the spool in the directory for temporary files.

    After an error the object is read, because the upload may have succeeded and only the last response been lost. If
    the object equals the file, byte for byte, it counts as published, with a warning.

    :param spool: the finished file
    :param location: its location
    :raises HelpCrunchStorageError: publishing failed; the message describes the current object
    """
    try:
        if location.remote is not None:
            _upload(spool, location.remote)
        else:
            spool.become(location.local)
    # Every filesystem library has an exception tree of its own.
    except Exception as exc:
        reason = f"{type(exc).__name__}: {exc}"
        if (found := _state_after_error(spool, location)) is None:
            log.warning(
                "Publishing %s ended in an error, but the new object is there and complete: %s",
                location.text,
                reason,
            )
            return
        msg = f"{location.text!r} could not be published, {found}: {reason}"
        raise HelpCrunchStorageError(msg) from exc


def _upload(spool: Spool, remote: ObjectStoragePath) -> None:
    # The libraries of these open the path. Others may copy a link as a link, as that of SFTP does.
    if remote.protocol not in EXTRAS:
        spool.take_name()
    options = _upload_options(remote.protocol, os.path.getsize(spool.path))
    remote.fs.put_file(spool.path, remote.path, **options)


def _state_after_error(spool: Spool, location: Location) -> str | None:
    """Describe the object at a location after an error; ``None`` if it is the complete file."""
    # Locally nothing is written in place: the target is the new file, or os.replace has not happened.
    if location.remote is None:
        return None if spool.is_at(location.local) else _UNTOUCHED
    try:
        if _is_uploaded(spool, location.remote):
            return None
    except FileNotFoundError:
        return "and no object is there"
    except Exception as exc:
        return f"and the object could not be read to find out what is there now ({type(exc).__name__}: {exc})"
    # These three show an object only when its upload is complete, so a failed one has changed nothing.
    if location.remote.protocol in EXTRAS:
        return _UNTOUCHED
    return "and what is there now may be a part of it, as this filesystem writes in place"


def _is_uploaded(spool: Spool, remote: ObjectStoragePath) -> bool:
    """Compare an object with the file, byte for byte: an older object may have the same size."""
    # The filesystem may have listed the old object before the upload, and would answer from memory.
    remote.fs.invalidate_cache()
    found = remote.fs.info(remote.path)
    if found["type"] != "file":  # other objects below this name look like a directory
        raise FileNotFoundError(remote.path)
    # Reading a large object only to find that it is another would double the traffic of a failed upload.
    if found["size"] != os.path.getsize(spool.path):
        return False
    # Not by a checksum: those of a multipart upload depend on the parts, and each storage has another.
    with open(spool.path, "rb") as ours, remote.fs.open(remote.path, "rb", block_size=_CHUNK) as theirs:
        while chunk := ours.read(_CHUNK):
            if theirs.read(len(chunk)) != chunk:
                return False
    return True


def _upload_options(protocol: str, size: int) -> dict[str, int]:
    """Limit the memory of an upload to some tens of MB; the libraries' defaults take hundreds."""
    # S3 allows 10,000 parts per object, so the parts of a very large one must be larger.
    if protocol in ("s3", "s3a", "s3n"):
        return {"chunksize": max(_CHUNK, -(-size // _S3_MAX_PARTS)), "max_concurrency": _UPLOADS_AT_ONCE}
    if protocol in ("gs", "gcs"):
        return {"chunksize": _CHUNK}
    if protocol in ("abfs", "abfss", "adl", "az"):
        return {"max_concurrency": _UPLOADS_AT_ONCE}
    return {}
