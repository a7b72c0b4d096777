"""Records that an argument names: a list of them, its JSON text, or a file, which can be read more than once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import from_text, is_file, refused

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class RecordSource:
    """
    Records, one after the other and numbered, without loading a file into memory. Make it with :meth:`of`.

    :param records: the records, if they are in memory; else ``None``
    :param file: the file: its path, an ``ObjectStoragePath`` or a receipt
    """

    records: list[Any] | None = field(repr=False)
    file: Any = None

    @classmethod
    def of(cls, name: str, given: Any) -> RecordSource:
        """
        Return the records of an argument.

        :param name: the argument, for the message
        :param given: a list of records, its JSON text, or a file: its path, an ``ObjectStoragePath`` or a receipt
        :raises HelpCrunchConfigurationError: it is none of these
        """
        value = from_text(name, given)
        if (isinstance(value, str) and value.strip()) or is_file(value):
            return cls(None, value)
        # Airflow's lazy sequence of a mapped task upstream is a list too.
        if isinstance(value, (str, dict, bytes)) or not hasattr(value, "__iter__"):
            msg = f"{name} must be a list of records, its JSON text, or a file; not {type(value).__name__}."
            raise refused(msg)
        return cls(list(value))

    @property
    def path(self) -> str | None:
        """The file's absolute path, or its URL; ``None`` if there is no file."""
        if self.file is None:
            return None
        from airflow_provider_helpcrunch.storage.location import locate

        location = locate(self.file["path"] if isinstance(self.file, dict) else self.file)
        return location.local or location.text

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """
        Yield the records with their numbers, from 1.

        Tables have a cell for every column in every row: an empty one is left out, and so is a row of nothing else,
        such as spreadsheets append.
        """
        if self.records is not None:
            yield from enumerate(self.records, start=1)
            return
        from airflow_provider_helpcrunch.storage import read_records

        is_table = self._is_table()
        for number, record in enumerate(read_records(self.file), start=1):
            kept = (
                {key: value for key, value in record.items() if value not in (None, "")}
                if is_table
                else record
            )
            if kept:
                yield number, kept

    def _is_table(self) -> bool:
        from airflow_provider_helpcrunch.storage.formats import input_format

        return input_format(self.file).is_tabular
