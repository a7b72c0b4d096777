"""
Rejects: the rows that were not applied, as they came, each with its error; once mended they are an input again.

Until then they are refused again: a value that was refused for its type is marked where it would come back as a text
that is not refused.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.customer_fields import text_from, whole
from airflow_provider_helpcrunch.customers.rows import ERROR, MISFIT, read_alike
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.schema import Column, Table
from airflow_provider_helpcrunch.storage import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_helpcrunch._airflow import ObjectStoragePath
    from airflow_provider_helpcrunch.customers.survey import Survey
    from airflow_provider_helpcrunch.storage import Receipt


class Rejects:
    """
    File of the rejected rows.

    :param path: its path; the suffix names the format
    :param file_format: the format, if the path has no such suffix. Default: by the suffix
    :raises HelpCrunchConfigurationError: the path or the format cannot be used
    """

    def __init__(self, path: str | ObjectStoragePath, file_format: str | None = None) -> None:
        self._target = Target.resolve(path, Table("rejects", ()), file_format, argument="rejects_format")

    @property
    def path(self) -> str:
        """Where the file will be."""
        return self._target.location.local or self._target.location.text

    def refuse_loss(self, survey: Survey) -> None:
        """
        Refuse a format that cannot hold what the input says.

        :param survey: the survey of the input
        :raises HelpCrunchConfigurationError: a row clears a field, which a table cannot say
        """
        if survey.clears is not None and self._target.format.is_tabular:
            msg = (
                f"Row {survey.clears} of customers clears a field, and an empty cell of {self._target.format} in "
                "rejects_path would say that it stays as it is: use .jsonl there."
            )
            raise HelpCrunchConfigurationError(msg)

    def write(
        self,
        records: Iterable[tuple[int, Mapping[str, Any]]],
        columns: Iterable[str],
        errors: Mapping[int, str],
    ) -> Receipt:
        """
        Write the file, also if no row was rejected.

        :param records: the input, each record with its number
        :param columns: its columns, in order
        :param errors: why rows were rejected, by their numbers
        :return: the receipt
        :raises HelpCrunchStorageError: the file cannot be written
        """
        names = (*(name for name in columns if name != ERROR), ERROR)
        table = Table("rejects", tuple(Column(name, "string") for name in names))
        kept = _cell if self._target.format.is_tabular else _json_value
        rows = (
            {name: kept(name, value) for name, value in row.items()} for row in _rejected(records, errors)
        )
        return replace(self._target, table=table).write(rows)


def _rejected(
    records: Iterable[tuple[int, Mapping[str, Any]]], errors: Mapping[int, str]
) -> Iterator[dict[str, Any]]:
    for number, record in records:
        if number in errors:
            yield {**{name: value for name, value in record.items() if name != ERROR}, ERROR: errors[number]}


def _json_value(name: str, value: Any) -> Any:
    """Return a value as JSON that reads back as the same: all but dates and the like are as they came."""
    try:
        is_json = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError):
        is_json = False
    return value if is_json else _cell(name, value)


def _cell(name: str, value: Any) -> str | None:
    """Return a value as the text that reads back as the same, or is refused like it."""
    if value is None or isinstance(value, str):
        return value
    written = value.isoformat() if isinstance(value, date) else text_from(value)
    text = written or json.dumps(whole(value), default=str)
    return text if read_alike(name, text, value) else f"{MISFIT} {text}"
