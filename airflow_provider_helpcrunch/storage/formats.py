"""File formats, and the choice of one by a path's suffix or a name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, cast

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted

Kind: TypeAlias = Literal["jsonl", "json", "csv", "parquet"]
Compression: TypeAlias = Literal["gz", "zst"]

_KINDS: dict[str, Kind] = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "json",
    "csv": "csv",
    "parquet": "parquet",
}
_KNOWN = ".jsonl, .json, .csv and .parquet, with .gz or .zst behind the first three"


@dataclass(frozen=True, slots=True)
class Format:
    """
    A file format.

    :param kind: format of the records
    :param compression: compression of the whole file; default ``None``: none
    """

    kind: Kind
    compression: Compression | None = None

    @property
    def is_tabular(self) -> bool:
        """Whether each row has a cell for every column, so that an empty one says nothing."""
        return self.kind in ("csv", "parquet")

    def __str__(self) -> str:
        """Return the name that ``file_format`` arguments and receipts use, such as ``jsonl.gz``."""
        return f"{self.kind}.{self.compression}" if self.compression else self.kind


def choose_format(path: str, file_format: str | None, argument: str = "file_format") -> Format:
    """
    Choose the format of a file, and check that its libraries are installed.

    :param path: the file's path; its suffix names the format
    :param file_format: a format's name (``jsonl``, ``csv.gz``, ``parquet``, …); ``None``: by the suffix
    :param argument: the argument that names it, for messages (``file_format``)
    :return: the format
    :raises HelpCrunchConfigurationError: no format or an unknown one is named, suffix and ``file_format`` contradict
        each other, or a library is missing
    """
    return _chosen(path, file_format, argument, f"set {argument}")


def input_format(source: Any, file_format: str | None = None) -> Format:
    """
    Choose the format of a file that is read, and check that its libraries are installed.

    :param source: the file: its path, an ``ObjectStoragePath``, or a mapping with ``path`` and ``format``, as receipts
        are
    :param file_format: a format's name. Default: by ``format`` or the suffix
    :return: the format
    :raises HelpCrunchConfigurationError: as for :func:`choose_format`
    """
    path, argument = source, "file_format"
    if isinstance(source, dict):
        path = source["path"]
        if file_format is None:
            file_format, argument = source.get("format"), "format"
    return _chosen(str(path), file_format, argument, 'give {"path": …, "format": …}')


def _chosen(path: str, file_format: str | None, argument: str, advice: str) -> Format:
    kind, compression = _suffix_of(path)
    if file_format is not None:
        chosen = _from_name(file_format, argument)
        says_otherwise = kind not in (None, chosen.kind) or (
            (kind or compression) and compression != chosen.compression
        )
        if says_otherwise:
            msg = f"{argument}={quoted(file_format)} contradicts the suffix of {quoted(path)}; change one of them."
            raise HelpCrunchConfigurationError(msg)
    elif kind is None:
        msg = f"{quoted(path)} has no suffix that names a format: use {_KNOWN}, or {advice}."
        raise HelpCrunchConfigurationError(msg)
    else:
        chosen = _checked(kind, compression)
    _require_library(chosen)
    return chosen


def _suffix_of(path: str) -> tuple[Kind | None, Compression | None]:
    """Return kind and compression by the suffix: ``a.jsonl.gz`` has both, ``a.csv`` and ``a.gz`` one of them."""
    before, last = ["", "", *path.rpartition("/")[2].lower().split(".")[1:]][-2:]
    if last in ("gz", "zst"):
        return _KINDS.get(before), cast("Compression", last)
    return _KINDS.get(last), None


def _from_name(file_format: str, argument: str) -> Format:
    kind, _, compression = str(file_format).lower().partition(".")
    if kind not in _KINDS or compression not in ("", "gz", "zst"):
        msg = f"{argument}={quoted(file_format)} is unknown: use the name of a suffix without its first dot: {_KNOWN}."
        raise HelpCrunchConfigurationError(msg)
    return _checked(_KINDS[kind], cast("Compression | None", compression or None))


def _checked(kind: Kind, compression: Compression | None) -> Format:
    if kind == "parquet" and compression:
        msg = f"Parquet is compressed inside: leave out the .{compression} behind .parquet."
        raise HelpCrunchConfigurationError(msg)
    return Format(kind, compression)


def _require_library(chosen: Format) -> None:
    if chosen.kind == "parquet" and find_spec("pyarrow") is None:
        msg = "Parquet needs: pip install 'airflow-provider-helpcrunch[parquet]'"
        raise HelpCrunchConfigurationError(msg)
    if chosen.compression == "zst" and find_spec("zstandard") is None:
        msg = ".zst needs: pip install zstandard"
        raise HelpCrunchConfigurationError(msg)
