"""Parsing of paths, and refusal of those that would lead somewhere else than their author thinks."""

from __future__ import annotations

import os
import re
from typing import NoReturn

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted

EXTRAS = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az", "wasb", "wasbs"), "azure"),
}
"""Extra of this package that installs the filesystem of an object store, by scheme."""

LOCAL = ("file", "local")
"""Schemes of local files."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_KNOWN = "|".join([*EXTRAS, "file", "https?", "s?ftp", "(?:web)?hdfs"])
_ALMOST_URL = re.compile(rf"([a-z][a-z0-9+.-]+):/|({_KNOWN})(:|//)", re.IGNORECASE)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|[^/]*\\")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\ufeff]")


def checked(text: str) -> str:
    """
    Return a path unchanged, or refuse it if it would lead somewhere else than its author thinks.

    :param text: a local path or a URL
    :raises HelpCrunchConfigurationError: the path is empty or ambiguous; the message says how to write it
    """
    if not text.strip():
        _refuse("The path is empty: name a file or an object.")
    if "None" in re.split("[/@]", text.strip()):
        _refuse(
            f"{quoted(text)} has 'None' in it: a template rendered a value that is not set; give it a default."
        )
    if "{{" in text or "{%" in text:
        _refuse(
            f"{quoted(text)} is a template that was not rendered: pass it as text, in a templated argument."
        )
    if found := _INVISIBLE.search(text):
        _refuse(f"{quoted(text)} contains the invisible character {found.group()!r}: remove it.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(f"{quoted(text)} contains half a character (a lone surrogate): write the path in UTF-8.")
    if text != text.strip():
        _refuse(f"{quoted(text)} begins or ends with a space: remove it.")
    if text.endswith("/"):
        _refuse(f"{quoted(text)} names a directory: add a file name.")
    return text


def split(text: str) -> tuple[str, str]:
    """
    Split a checked path.

    :param text: a local path or a URL
    :return: for a URL its scheme and the part after ``://``; else ``""`` and an absolute local path
    :raises HelpCrunchConfigurationError: the path is ambiguous; the message says how to write it
    """
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        return "", _local(text)
    if not _SCHEME.fullmatch(scheme):
        _refuse(f"{quoted(text)} has '://' and no scheme before it: write s3://bucket/key, or a plain path.")
    if scheme != scheme.lower():
        _refuse(f"{quoted(text)} must have its scheme in lower case: {scheme.lower()}://….")
    if scheme in LOCAL:
        return scheme, _of_file_url(text, scheme, rest)
    if scheme in EXTRAS:
        _refuse_unclear_key(text, rest)
    return scheme, rest


def _local(text: str) -> str:
    if _WINDOWS.match(text):
        _refuse(f"{quoted(text)} is a Windows path: write one of the machine that runs the task, with '/'.")
    if found := _ALMOST_URL.match(text):
        scheme = found.group().rstrip(":/").lower()
        _refuse(
            f"{quoted(text)} is almost a URL: write {scheme}://…, or put ./ before it if it is a local file."
        )
    if text.startswith("$"):
        _refuse(f"{quoted(text)} names an environment variable, which is not looked up: write its value.")
    try:
        return os.path.abspath(_with_home(text))
    except FileNotFoundError:
        _refuse(
            f"{quoted(text)} is relative, and the working directory no longer exists: write an absolute path."
        )


def _with_home(text: str) -> str:
    if not text.startswith("~"):
        return text
    user = text.partition("/")[0]
    homeless = user == "~" and os.environ.get("HOME") == ""
    if homeless or not os.path.isabs(os.path.expanduser(user)):
        whose = "this user" if user == "~" else f"the user {quoted(user[1:])}"
        _refuse(
            f"{quoted(text)} cannot be resolved, as {whose} has no home directory: write an absolute path."
        )
    return os.path.expanduser(text)


def _of_file_url(text: str, scheme: str, rest: str) -> str:
    host, _, path = rest.partition("/")
    if host.rpartition("@")[2]:
        _refuse(
            f"{quoted(text)} names the host {quoted(host)}: write {scheme}:///… with three slashes, or a plain path."
        )
    return f"/{path}"


def _refuse_unclear_key(text: str, rest: str) -> None:
    bucket, _, key = rest.partition("/")
    if not bucket.rpartition("@")[2]:
        _refuse(f"{quoted(text)} names no bucket: write it before the object, as in s3://bucket/key.")
    if {".", ".."} & {bucket.rpartition("@")[2], *key.split("/")}:
        _refuse(
            f"{quoted(text)} contains '.' or '..', which object stores do not resolve: write the whole key."
        )


def _refuse(msg: str) -> NoReturn:
    raise HelpCrunchConfigurationError(msg)
