"""The one step that puts a finished file in its place, and the look at what stands there when it reports an error."""

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
    Put a finished file in its place in one step.

    Readers see the old object or the new one, never a part: a local file is replaced, and S3, Google Cloud Storage and
    Azure make an object visible when its upload is complete. Of other remote filesystems (SFTP, HDFS) that is not
    promised, as they write in place. A process that is killed during an upload in parts may leave the parts in S3:
    no reader sees them, and a lifecycle rule (``AbortIncompleteMultipartUpload``) removes them.

    An error does not say what stands there: the answer to the last request may have been lost. So it is looked at. An
    object that equals the file, byte for byte, was published, with a warning.

    :param spool: the finished file
    :param location: its place
    :raises HelpCrunchStorageError: it did not work; the message says what stands there
    """
    try:
        if location.remote is not None:
            _upload(spool, location.remote)
        else:
            spool.become(location.local)
    # Every filesystem library has an exception tree of its own.
    except Exception as exc:
        reason = f"{type(exc).__name__}: {exc}"
        if (found := _what_stands_there(spool, location)) is None:
            log.warning(
                "Publishing %s ended in an error, but the new object is there and complete: %s",
                location.text,
                reason,
            )
            return
        msg = f"{location.text!r} could not be published, {found}: {reason}"
        raise HelpCrunchStorageError(msg) from exc


def _upload(spool: Spool, remote: ObjectStoragePath) -> None:
    options = _upload_options(remote.protocol, os.path.getsize(spool.path))
    remote.fs.put_file(spool.path, remote.path, **options)


def _what_stands_there(spool: Spool, location: Location) -> str | None:
    """Return what is at a place after an error, in words; ``None`` where it is the whole file."""
    if location.remote is None:
        return None if spool.is_at(location.local) else _UNTOUCHED
    try:
        if _is_uploaded(spool, location.remote):
            return None
    except FileNotFoundError:
        return "and no object is there"
    except Exception as exc:
        return f"and what is there now could not be looked at ({type(exc).__name__}: {exc})"
    if location.remote.protocol in EXTRAS:
        return _UNTOUCHED
    return "and what is there now may be a part of it, as this filesystem writes in place"


def _is_uploaded(spool: Spool, remote: ObjectStoragePath) -> bool:
    """Compare an object with the file, byte for byte."""
    remote.fs.invalidate_cache()
    found = remote.fs.info(remote.path)
    if found["type"] != "file":  # other objects below this name look like a directory
        raise FileNotFoundError(remote.path)
    if found["size"] != os.path.getsize(spool.path):
        return False
    with open(spool.path, "rb") as ours, remote.fs.open(remote.path, "rb", block_size=_CHUNK) as theirs:
        while chunk := ours.read(_CHUNK):
            if theirs.read(len(chunk)) != chunk:
                return False
    return True


def _upload_options(protocol: str, size: int) -> dict[str, int]:
    """Bound the memory of an upload to some tens of MB, where the libraries' defaults take hundreds."""
    if protocol in ("s3", "s3a", "s3n"):
        return {"chunksize": max(_CHUNK, -(-size // _S3_MAX_PARTS)), "max_concurrency": _UPLOADS_AT_ONCE}
    if protocol in ("gs", "gcs"):
        return {"chunksize": _CHUNK}
    if protocol in ("abfs", "abfss", "adl", "az"):
        return {"max_concurrency": _UPLOADS_AT_ONCE}
    return {}
