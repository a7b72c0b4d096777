"""Where an object is: on this machine's disk, or behind a filesystem that an Airflow provider brings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.storage.path_text import LOCAL, checked, shown, split

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import ObjectStoragePath


@dataclass(frozen=True, slots=True)
class Location:
    """
    The place of one object.

    :param text: how the place is written in receipts and messages, the connection id included
    :param local: absolute path on this machine with symbolic links resolved; empty for remote objects
    :param remote: Airflow's path of a remote object, its filesystem set up; ``None`` for local ones
    """

    text: str
    local: str
    remote: ObjectStoragePath | None = None


def locate(path: object) -> Location:
    """
    Find out where a path leads, without touching what is there.

    A local path needs nothing of Airflow's storage: neither its import nor a version of universal-pathlib that fits.

    :param path: an ``ObjectStoragePath``, a URL as text (``s3://conn_id@bucket/key``, ``file:///data/x.csv``), or a
        plain local path, which is taken relative to the working directory and may begin with ``~``; also as a ``Path``
        or ``UPath``
    :return: the place
    :raises HelpCrunchConfigurationError: the path names no object or would be misunderstood, no filesystem is installed
        for its scheme, or its connection cannot be used
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
    if location.remote is not None:
        return
    parent = nearest_directory(location.local)
    if os.path.isdir(location.local):
        msg = f"{location.text!r} is a directory: add a file name."
    elif os.path.lexists(location.local) and not os.path.isfile(location.local):
        msg = f"{location.text!r} is not a regular file and would be replaced by one: choose another path."
    elif not os.path.isdir(parent):
        msg = f"{location.text!r} cannot be written: {parent!r} is not a directory."
    elif not os.access(parent, os.W_OK | os.X_OK):
        msg = f"{location.text!r} cannot be written: this user may not write to the directory {parent!r}."
    elif _is_too_long(location.local, parent):
        msg = f"{shown(location.text)} cannot be written: the path, or a name in it, is too long for {parent!r}."
    else:
        return
    raise HelpCrunchConfigurationError(msg)


def _is_too_long(path: str, directory: str) -> bool:
    names = os.fsencode(os.path.relpath(path, directory)).split(b"/")
    longest = os.pathconf(directory, "PC_NAME_MAX")
    return max(map(len, names)) > longest or len(os.fsencode(path)) >= os.pathconf(directory, "PC_PATH_MAX")
