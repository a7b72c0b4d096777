"""The chat endpoints of the API that change a chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_helpcrunch.client.answers import error_details
from airflow_provider_helpcrunch.client.endpoints import Endpoints, check_id, id_in, id_of
from airflow_provider_helpcrunch.client.records import chat_of
from airflow_provider_helpcrunch.client.timestamps import moment, parse_timestamp
from airflow_provider_helpcrunch.client.vocabulary import status_of, written_rating, written_statuses
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchResponseError,
    HelpCrunchUnconfirmedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

    from airflow_provider_helpcrunch.client.records import Chat
    from airflow_provider_helpcrunch.client.redaction import Redactor
    from airflow_provider_helpcrunch.client.timestamps import Moment
    from airflow_provider_helpcrunch.client.transport import Transport


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What a chat must show after a change.

    :param field: the field that shows it
    :param wanted: what it must hold
    :param read: reads the field; raises where it is not to be read
    """

    field: str
    wanted: Any
    read: Callable[[Mapping[str, Any], str], Any] = lambda chat, field: chat.get(field)

    def missing_in(self, chat: Mapping[str, Any], redact: Redactor) -> str | None:
        """Say what the chat shows instead; ``None`` when it shows the change."""
        try:
            shown = self.read(chat, self.field)
        except (LookupError, HelpCrunchResponseError):
            return f"no {self.field} that can be read"
        return None if shown == self.wanted else f"{self.field} {redact(repr(shown))}"


class ChatUpdates(Endpoints):
    """Changes of one chat. Every change is checked: the chat that HelpCrunch sends back must show it."""

    def __init__(self, transport: Transport, redact: Redactor) -> None:
        super().__init__(transport, redact)
        self._taken: dict[str, str] = {}

    def create_chat(
        self, customer: int, application: int, *, assignee: int | None = None, department: int | None = None
    ) -> Chat:
        """
        Open an empty chat. Sent once: it is repeated only where HelpCrunch cannot have seen it, or refused it by a 429.

        :param customer: id of the customer
        :param application: id of the application (widget, channel) it belongs to
        :param assignee: id of the agent; default: nobody
        :param department: id of the department; default: none
        :return: the new chat; its status is ``empty`` until a message is sent

        API: https://docs.helpcrunch.com/rest-api-v1/create-chat-v1
        """
        named = {"customer": customer, "application": application}
        named |= {
            name: value
            for name, value in {"assignee": assignee, "department": department}.items()
            if value is not None
        }
        body = {name: check_id(name, value) for name, value in named.items()}
        return self._transport.call("POST", "/chats", chat_parser(), json=body, repeatable=False)

    def update_chat_assignee(self, chat_id: int, assignee: int | None) -> Chat:
        """
        Give a chat to an agent, or to nobody. One request.

        :param chat_id: the chat
        :param assignee: id of the agent; ``None``: nobody (documented in one edition only)
        :return: the chat as it is now
        :raises HelpCrunchBadRequestError: HelpCrunch refuses the change
        :raises HelpCrunchNotFoundError: there is no such chat or agent
        :raises HelpCrunchUnconfirmedError: HelpCrunch said yes, but the chat it sent back shows another assignee

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-assignee-v1
        """
        assignee = None if assignee is None else check_id("assignee", assignee)
        return self._update("assignee", chat_id, {"assignee": assignee}, Proof("assignee", assignee, id_in))

    def update_chat_department(self, chat_id: int, department: int) -> Chat:
        """
        Move a chat to a department; otherwise as :meth:`update_chat_assignee`.

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-department-v1
        """
        department = check_id("department", department)
        proof = Proof("department", department, id_in)
        return self._update("department", chat_id, {"department": department}, proof)

    def update_chat_status(self, chat_id: int, status: str) -> Chat:
        """
        Set a chat's status; otherwise as :meth:`update_chat_assignee`.

        The documentation spells some in several ways. Where HelpCrunch refuses the first one, the others are tried,
        and the client remembers which one it takes.

        :param status: ``new``, ``opened``, ``pending``, ``on hold``, ``no communication`` or ``closed``, in any
            spelling

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-status-v1
        """
        spellings, wanted = written_statuses(status), status_of(status)
        refusals = []
        for word in [self._taken[wanted]] if wanted in self._taken else spellings:
            try:
                chat = self._update("status", chat_id, {"status": word}, Proof("status", wanted))
            except HelpCrunchBadRequestError as error:
                refusals.append(error)
            else:
                self._taken[wanted] = word
                return chat
        raise refusals[0]

    def snooze_chat(self, chat_id: int, until: Moment | None) -> Chat:
        """
        Put a chat aside until a moment, or bring it back; otherwise as :meth:`update_chat_assignee`.

        :param until: a ``datetime``, ISO 8601 text or UNIX seconds (without an offset UTC; whole seconds); ``None``
            brings it back

        API: https://docs.helpcrunch.com/rest-api-v1/snooze-chat-v1
        """
        seconds = None if until is None else int(moment("until", until).timestamp())
        written = None if seconds is None else str(seconds)
        proof = Proof("snoozedUntil", seconds, _seconds_in)
        return self._update("snooze", chat_id, {"snoozedUntil": written}, proof)

    def rate_chat(self, chat_id: int, rating: str) -> Chat:
        """
        Rate a closed chat that has an agent's message and no rating yet; otherwise as :meth:`update_chat_assignee`.

        :param rating: ``perfect``, ``great``, ``average``, ``poor`` or ``very poor``

        API: https://docs.helpcrunch.com/rest-api-v1/chat-rating-rest-api
        """
        rating = written_rating(rating)
        # Not repeatable: once it is rated, the same request is refused.
        return self._update("rate", chat_id, {"rating": rating}, Proof("rating", rating), repeatable=False)

    def mark_chat_read(self, chat_id: int, side: Literal["agent", "customer"], *, read: bool = True) -> Chat:
        """
        Mark a chat as read, or as unread, on one side; otherwise as :meth:`update_chat_assignee`.

        :param side: ``agent`` or ``customer``
        :param read: ``False``: as unread (``True``)

        API: https://docs.helpcrunch.com/rest-api-v1/read-chat-rest-api-1
        """
        fields = {"agent": "readByAgent", "customer": "readByCustomer"}
        if side not in fields:
            msg = f"side must be agent or customer, not {side!r}."
            raise HelpCrunchConfigurationError(msg)
        # Older accounts show no such field.
        proof = Proof(fields[side], bool(read), lambda chat, field: chat.get(field, bool(read)))
        return self._update(fields[side], chat_id, {"read": bool(read)}, proof)

    def _update(
        self, what: str, chat_id: int, change: dict[str, Any], proof: Proof, *, repeatable: bool = True
    ) -> Chat:
        chat_id = check_id("chat_id", chat_id)
        parse, body = chat_parser(chat_id), {"id": chat_id, **change}
        chat = self._transport.call("PUT", f"/chats/{what}", parse, json=body, repeatable=repeatable)
        if (problem := proof.missing_in(chat, self._redact)) is None:
            return chat
        del chat  # a traceback would carry it
        msg = (
            f"HelpCrunch answered 200 to a change of the chat {chat_id}, but the chat that it sent back shows "
            f"{problem} instead of {proof.wanted!r}."
        )
        raise HelpCrunchUnconfirmedError(msg)


def chat_parser(chat_id: int | None = None) -> Callable[[Any], Chat]:
    """Return what makes a chat of an answer; with ``chat_id``, of that chat's only."""

    def parse(payload: Any) -> Chat:
        if errors := error_details(payload, str):
            msg = f"the body reports errors: {'; '.join(map(str, errors[:5]))}"
            raise ValueError(msg)
        data = payload.get("data", payload) if isinstance(payload, dict) else None
        found = id_of(data) if isinstance(data, dict) else None
        if not isinstance(data, dict) or found is None or chat_id not in (None, found):
            msg = "the body holds no chat" if found is None else f"the body holds the chat {found}"
            raise ValueError(msg)
        return cast("Chat", chat_of(data))

    return parse


def _seconds_in(chat: Mapping[str, Any], field: str) -> int | None:
    """Return a time that a chat must have, if only as ``null``, in whole seconds."""
    if chat[field] in (None, ""):
        return None
    if (shown := parse_timestamp(chat[field])) is None:
        raise LookupError(field)
    return int(shown.timestamp())
