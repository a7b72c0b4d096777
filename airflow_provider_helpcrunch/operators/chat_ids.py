"""Ids of chats, from every form in which a task may name chats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.operators.arguments import (
    from_text,
    is_file_rather_than_ids,
    items,
    record_id,
    refused,
)
from airflow_provider_helpcrunch.plurals import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ChatIds(NamedTuple):
    """
    Ids of chats.

    :param ids: the ids, each once, in the order given
    :param is_single: whether one chat was named as such, not in a list or file
    """

    ids: tuple[int, ...]
    is_single: bool

    @classmethod
    def of(cls, name: str, given: Any) -> ChatIds:
        """
        Read the ids from an argument. Of a file only the ids are kept.

        :param name: the argument, for the message
        :param given: an id, a record with an ``id``, a list of these, the JSON text of any, or a file of chats: its
            path, an ``ObjectStoragePath`` or a receipt
        :raises HelpCrunchConfigurationError: it is none of these, or has something else in it
        :raises HelpCrunchStorageError: the file cannot be read
        """
        from airflow_provider_helpcrunch.client.ids import integer_from

        value = from_text(name, given)
        if is_file_rather_than_ids(value):
            return cls(_each_once(_in_file(name, value)), is_single=False)
        if isinstance(value, (int, dict)) or integer_from(value) is not None:
            return cls((record_id(name, value, several=True),), is_single=True)
        found = items(name, value)
        is_single = len(found) == 1 and isinstance(value, str)
        return cls(_each_once(record_id(name, each, several=True) for each in found), is_single=is_single)


def _in_file(name: str, source: Any) -> Iterator[int]:
    from airflow_provider_helpcrunch.client.ids import number_from
    from airflow_provider_helpcrunch.storage import read_records

    for number, record in enumerate(read_records(source), start=1):
        # Data frames turn a column of numbers with gaps into floats, which is why these are read too.
        if not (chat := number_from(record.get("id"))):
            msg = (
                f"{name} must be a file of chats, such as that of ListChatsOperator, but record {number} of it has "
                f"the id {quoted(record.get('id'))}."
            )
            raise refused(msg)
        yield chat


def _each_once(ids: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(ids))
