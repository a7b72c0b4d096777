"""Location of an object: on a local disk, or in a filesystem of an Airflow provider."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.storage.path_text import LOCAL, checked, split

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import ObjectStoragePath


@dataclass(frozen=True, slots=True)
class Location:
    """
    Location of one object.

    :param text: the location in receipts and messages, with its connection id
    :param local: absolute path on this machine with symbolic links resolved; empty for remote objects
    :param remote: Airflow's path of a remote object, its filesystem set up; ``None`` for local ones
    """

    text: str
    local: str
    remote: ObjectStoragePath | None = None


def locate(path: object) -> Location:
    """
    Find the location that a path names, without access to the object.

    A local path works without Airflow's storage, and therefore with any version of universal-pathlib.

    :param path: an ``ObjectStoragePath``, a URL as text (``s3://conn_id@bucket/key``, ``file:///data/x.csv``), or a
        plain local path, which is taken relative to the working directory and may begin with ``~``; also as a ``Path``
        or ``UPath``
    :return: the location
    :raises HelpCrunchConfigurationError: the path names no object or is ambiguous, no filesystem is installed for its
        scheme, or its connection cannot be used
    :raises HelpCrunchStorageError: the filesystem is installed but could not be set up
    """
    made = hasattr(path, "protocol") and hasattr(path, "storage_options")
    if not made and not isinstance(path, str | PurePath):
        msg = f"A path must be a string or an ObjectStoragePath, not {type(path).__name__}."
        raise HelpCrunchConfigurationError(msg)
    text = checked(str(path))
    scheme, rest = split(text)
    if not scheme:
        return Location(rest, os.path.realpath(rest))
    if scheme in LOCAL:
        return Location(text, os.path.realpath(rest))
    from airflow_provider_helpcrunch.storage.remote import attached

    return Location(text, "", attached(path if made else text))  # type: ignore[arg-type]


def nearest_directory(path: str) -> str:
    """
    Find the nearest existing directory above a file.

    :param path: absolute path of the file
    :return: the path of the directory
    """
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    return parent


def refuse_unwritable(location: Location) -> None:
    """
    Refuse a local location where no file can be written; remote locations are not checked.

    :param location: the location of the file
    :raises HelpCrunchConfigurationError: something other than a file is there, or its directory is not writable
    """
    if location.remote is not None:
        return
    parent = nearest_directory(location.local)
    if os.path.isdir(location.local):
        msg = f"{quoted(location.text)} is a directory: add a file name."
    elif os.path.lexists(location.local) and not os.path.isfile(location.local):
        msg = f"{quoted(location.text)} is not a regular file and would be replaced by one: choose another path."
    elif not os.path.isdir(parent):
        msg = f"{quoted(location.text)} cannot be written: {quoted(parent)} is not a directory."
    elif not os.access(parent, os.W_OK | os.X_OK):
        msg = f"{quoted(location.text)} cannot be written: this user may not write to the directory {quoted(parent)}."
    elif _is_too_long(location.local, parent):
        msg = f"{quoted(location.text)} cannot be written: the path, or a name in it, is too long for {quoted(parent)}."
    else:
        return
    raise HelpCrunchConfigurationError(msg)


def _is_too_long(path: str, directory: str) -> bool:
    names = os.fsencode(os.path.relpath(path, directory)).split(b"/")
    longest = os.pathconf(directory, "PC_NAME_MAX")
    return max(map(len, names)) > longest or len(os.fsencode(path)) >= os.pathconf(directory, "PC_PATH_MAX")
