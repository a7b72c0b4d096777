"""Confirmation of a change: the record that HelpCrunch sends back must show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_helpcrunch.client.call import content_in
from airflow_provider_helpcrunch.client.ids import id_of, with_integer_ids
from airflow_provider_helpcrunch.client.models import chat_of, customer_of, message_of
from airflow_provider_helpcrunch.client.response import error_details
from airflow_provider_helpcrunch.exceptions import HelpCrunchResponseError
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_helpcrunch.client.models import Chat, Customer, Event, Message
    from airflow_provider_helpcrunch.client.redaction import Redactor
    from airflow_provider_helpcrunch.schema import Record


@dataclass(frozen=True, slots=True)
class Confirmation:
    """
    Condition that a chat meets after a change.

    :param field: the field that shows the change
    :param wanted: the value that it must have
    :param read: ``read(chat, field)`` returns its value; raises if it is unreadable. Default: the plain value
    """

    field: str
    wanted: Any
    read: Callable[[Mapping[str, Any], str], Any] = lambda chat, field: chat.get(field)

    def problem_in(self, chat: Mapping[str, Any], redact: Redactor) -> str | None:
        """
        Return the value that contradicts the change, if one does.

        :param chat: the chat as HelpCrunch sent it back
        :param redact: removes the API key from texts
        :return: such as ``assignee 5``; ``None`` if the chat shows the change
        """
        try:
            shown = self.read(chat, self.field)
        except (LookupError, HelpCrunchResponseError):
            return f"no {self.field} that can be read"
        return None if shown == self.wanted else f"{self.field} {redact(repr(shown))}"


def chat_in(payload: Any, chat_id: int | None = None) -> Chat:
    """
    Return the chat of a response.

    :param payload: decoded JSON
    :param chat_id: the requested chat. Default: any
    :raises ValueError: it holds no chat, or another one; the message continues "HelpCrunch answered 200, but"
    """
    return cast("Chat", chat_of(record_in(payload, "chat", chat_id)))


def record_in(payload: Any, noun: str, number: int | None = None) -> Record:
    """
    Return the one record of a response.

    :param payload: decoded JSON
    :param noun: name of the record, for messages
    :param number: id of the requested record. Default: any
    :raises ValueError: it holds no record, or another one; the message continues "HelpCrunch answered 200, but"
    """
    if errors := error_details(payload, str):
        msg = f"the body reports errors: {'; '.join(map(str, errors[:5]))}"
        raise ValueError(msg)
    # An event has an id and a field of the same name as the wrapper.
    data = payload if id_of(payload) else payload.get("data") if isinstance(payload, dict) else None
    found = id_of(data) if isinstance(data, dict) else None
    if not isinstance(data, dict) or found is None or number not in (None, found):
        msg = f"the body holds no {noun}" if found is None else f"the body holds the {noun} {found}"
        raise ValueError(msg)
    return with_integer_ids(data)


def customer_in(payload: Any, customer_id: int | None = None) -> Customer:
    """
    Return the customer of a response.

    :param payload: decoded JSON
    :param customer_id: the requested customer. Default: any
    :raises ValueError: it holds no customer, or another one; the message continues "HelpCrunch answered 200, but"
    """
    return cast("Customer", customer_of(record_in(payload, "customer", customer_id)))


def customers_in(payload: Any) -> dict[int, Customer]:
    """
    Return the customers in the response to a batch, by their ids. Its shape is not documented: a list, a list below
    ``data``, one customer or none.

    :param payload: decoded JSON, text or ``None``
    :raises ValueError: it reports errors; the message continues "HelpCrunch answered 200, but"
    """
    payload = content_in(payload)
    rows = payload.get("data", payload) if isinstance(payload, dict) else payload
    found = {id_of(row): row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)}
    return {
        number: cast("Customer", customer_of(with_integer_ids(row)))
        for number, row in found.items()
        if number is not None
    }


def message_in(payload: Any, chat_id: int) -> Message:
    """
    Return the message of a response.

    :param payload: decoded JSON
    :param chat_id: the chat that it must belong to
    :raises ValueError: it holds no message, or one of another chat; the text continues "HelpCrunch answered 200, but"
    """
    message = record_in(payload, "message")
    if (found := id_of(message.get("chat"))) not in (None, chat_id):
        msg = f"the body holds a message of the chat {found}"
        raise ValueError(msg)
    return cast("Message", message_of(message))


def event_in(payload: Any) -> Event:
    """
    Return the event of a response.

    :param payload: decoded JSON
    :raises ValueError: it holds no event; the message continues "HelpCrunch answered 200, but"
    """
    return cast("Event", record_in(payload, "event"))


def seconds_in(chat: Mapping[str, Any], field: str) -> int | None:
    """
    Return a required time of a chat in whole UNIX seconds; ``None`` for ``null``.

    :param chat: the chat
    :param field: the field with the time
    :raises LookupError: the field is missing or holds no time
    """
    if chat[field] in (None, ""):
        return None
    if (shown := parse_timestamp(chat[field])) is None:
        raise LookupError(field)
    return int(shown.timestamp())
