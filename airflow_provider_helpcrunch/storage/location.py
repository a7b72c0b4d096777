"""Where an object is: on this machine's disk, or behind a filesystem that an Airflow provider brings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import ObjectStoragePath

_EXTRAS = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az", "wasb", "wasbs"), "azure"),
}


@dataclass(frozen=True, slots=True)
class Location:
    """
    The place of one object.

    :param text: how the place is written in receipts and messages, the connection id included
    :param path: the place as Airflow sees it, also the one that lineage names
    :param local: absolute path on this machine with symbolic links resolved; ``None`` for remote objects
    """

    text: str
    path: ObjectStoragePath
    local: str | None

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem of a remote object."""
        return self.path.fs

    def report_output(self) -> None:
        """Tell Airflow's lineage that the object was written, in the words of ``ObjectStoragePath`` itself."""
        collector = _lineage_collector()
        # Airflow 2.11 calls an asset a dataset.
        add = getattr(collector, "add_output_asset", None) or collector.add_output_dataset
        add(context=self.path, uri=str(self.path))

    def report_input(self) -> None:
        """Tell Airflow's lineage that the object is read, in the words of ``ObjectStoragePath`` itself."""
        collector = _lineage_collector()
        add = getattr(collector, "add_input_asset", None) or collector.add_input_dataset
        add(context=self.path, uri=str(self.path))


def locate(path: object) -> Location:
    """
    Find out where a path leads, without touching what is there.

    :param path: an ``ObjectStoragePath``, a URL as text (``s3://conn_id@bucket/key``, ``file:///data/x.csv``), or a
        plain local path, which is taken relative to the working directory and may begin with ``~``
    :return: the place
    :raises HelpCrunchConfigurationError: the path names no object, or no filesystem is installed for its scheme
    :raises HelpCrunchStorageError: the filesystem is installed but could not be set up
    """
    from airflow_provider_helpcrunch._airflow import ObjectStoragePath

    if not isinstance(path, str | PurePath | ObjectStoragePath):
        msg = f"A path must be a string or an ObjectStoragePath, not {type(path).__name__}."
        raise HelpCrunchConfigurationError(msg)
    text = _named(str(path))
    if "://" not in text:
        text = os.path.abspath(os.path.expanduser(text))
        return Location(text, ObjectStoragePath(f"file://{text}"), os.path.realpath(text))
    attached = _attached(path if isinstance(path, ObjectStoragePath) else text)
    if attached.protocol in ("file", "local"):
        return Location(text, attached, os.path.realpath(attached.path))
    if not attached.path.partition("/")[2]:
        msg = f"{text!r} names a bucket but no object in it: add a file name."
        raise HelpCrunchConfigurationError(msg)
    return Location(text, attached, None)


def nearest_directory(path: str) -> str:
    """
    Find the directory that a file's own directory is in, or will be made in.

    :param path: absolute path of a file
    :return: the nearest of the directories above it that exists
    """
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    return parent


def refuse_unwritable(location: Location) -> None:
    """
    Make sure that a file could be put at a place on this machine; remote places are not asked.

    :param location: where a file is to be put
    :raises HelpCrunchConfigurationError: something other than a file is there, or its directory is not writable
    """
    if location.local is None:
        return
    if os.path.isdir(location.local):
        msg = f"{location.text!r} is a directory: add a file name."
    elif os.path.lexists(location.local) and not os.path.isfile(location.local):
        msg = f"{location.text!r} is not a regular file and would be replaced by one: choose another path."
    elif not os.path.isdir(parent := nearest_directory(location.local)):
        msg = f"{location.text!r} cannot be written: {parent!r} is not a directory."
    elif not os.access(parent, os.W_OK | os.X_OK):
        msg = f"{location.text!r} cannot be written: this user may not write to the directory {parent!r}."
    else:
        return
    raise HelpCrunchConfigurationError(msg)


def _lineage_collector() -> Any:
    from airflow_provider_helpcrunch._airflow import get_hook_lineage_collector

    return get_hook_lineage_collector()


def _named(text: str) -> str:
    if not text.strip():
        msg = "The path is empty: name a file or an object."
    elif text.strip() == "None":
        msg = "The path is 'None': a template rendered a value that is not set; give it one, or a default."
    elif text.endswith("/"):
        msg = f"{text!r} names a directory: add a file name."
    else:
        return text
    raise HelpCrunchConfigurationError(msg)


def _attached(path: str | ObjectStoragePath) -> ObjectStoragePath:
    """Return the path with its filesystem set up, which needs the Airflow connection but not the storage."""
    from airflow_provider_helpcrunch._airflow import AirflowNotFoundException, ObjectStoragePath

    try:
        attached = ObjectStoragePath(path) if isinstance(path, str) else path
        _ = attached.fs
    except (ImportError, ValueError, AirflowNotFoundException) as exc:
        raise HelpCrunchConfigurationError(_why_not_attached(str(path), exc)) from exc
    # Beyond those, every provider fails in its own way.
    except Exception as exc:
        msg = f"The filesystem of {str(path)!r} could not be set up: {type(exc).__name__}: {exc}"
        raise HelpCrunchStorageError(msg) from exc
    return attached


def _why_not_attached(text: str, exc: Exception) -> str:
    scheme = text.partition("://")[0]
    if not isinstance(exc, ImportError) and "filesystem" not in str(exc):
        return f"The connection of {text!r} cannot be used: {exc}"
    if scheme in _EXTRAS:
        return f"{scheme}://… needs: pip install 'airflow-provider-helpcrunch[{_EXTRAS[scheme]}]' ({exc})"
    return f"No installed Airflow provider brings a filesystem for {scheme}://… ({exc})"
