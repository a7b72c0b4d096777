"""The chat endpoints of the API that change a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_provider_helpcrunch.client.answers import error_details
from airflow_provider_helpcrunch.client.endpoints import Endpoints, check_id, id_of
from airflow_provider_helpcrunch.client.records import chat_of
from airflow_provider_helpcrunch.client.timestamps import moment, parse_timestamp
from airflow_provider_helpcrunch.client.vocabulary import status_of, written_rating, written_status
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchUnconfirmedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from airflow_provider_helpcrunch.client.records import Chat
    from airflow_provider_helpcrunch.client.timestamps import Moment


class ChatUpdates(Endpoints):
    """Changes of one chat. Every change is checked: the chat that HelpCrunch sends back must show it."""

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
        chat = self._update("assignee", chat_id, assignee=assignee)
        return _confirmed(chat, "assignee", id_of(chat.get("assignee")), assignee)

    def update_chat_department(self, chat_id: int, department: int) -> Chat:
        """
        Move a chat to a department; otherwise as :meth:`update_chat_assignee`.

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-department-v1
        """
        department = check_id("department", department)
        chat = self._update("department", chat_id, department=department)
        return _confirmed(chat, "department", id_of(chat.get("department")), department)

    def update_chat_status(self, chat_id: int, status: str) -> Chat:
        """
        Set a chat's status; otherwise as :meth:`update_chat_assignee`.

        :param status: ``new``, ``opened``, ``pending``, ``on hold``, ``no communication`` or ``closed``, in any
            spelling

        API: https://docs.helpcrunch.com/rest-api-v1/update-chat-status-v1
        """
        chat = self._update("status", chat_id, status=written_status(status))
        return _confirmed(chat, "status", chat.get("status"), status_of(status))

    def snooze_chat(self, chat_id: int, until: Moment | None) -> Chat:
        """
        Put a chat aside until a moment, or bring it back; otherwise as :meth:`update_chat_assignee`.

        :param until: a ``datetime``, ISO 8601 text or UNIX seconds (without an offset UTC; whole seconds); ``None``
            brings it back

        API: https://docs.helpcrunch.com/rest-api-v1/snooze-chat-v1
        """
        seconds = None if until is None else int(moment("until", until).timestamp())
        chat = self._update("snooze", chat_id, snoozedUntil=None if seconds is None else str(seconds))
        shown = parse_timestamp(chat.get("snoozedUntil"))
        return _confirmed(chat, "snoozedUntil", None if shown is None else int(shown.timestamp()), seconds)

    def rate_chat(self, chat_id: int, rating: str) -> Chat:
        """
        Rate a closed chat that has an agent's message and no rating yet; otherwise as :meth:`update_chat_assignee`.

        :param rating: ``perfect``, ``great``, ``average``, ``poor`` or ``very poor``

        API: https://docs.helpcrunch.com/rest-api-v1/chat-rating-rest-api
        """
        rating = written_rating(rating)
        # Not repeatable: once it is rated, the same request is refused.
        chat = self._update("rate", chat_id, repeatable=False, rating=rating)
        return _confirmed(chat, "rating", chat.get("rating"), rating)

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
        chat = self._update(fields[side], chat_id, read=bool(read))
        # Older accounts show no such field.
        return _confirmed(chat, fields[side], chat.get(fields[side], bool(read)), bool(read))

    def _update(self, what: str, chat_id: int, *, repeatable: bool = True, **change: Any) -> Chat:
        chat_id = check_id("chat_id", chat_id)
        body = {"id": chat_id, **change}
        return self._transport.call(
            "PUT", f"/chats/{what}", chat_parser(chat_id), json=body, repeatable=repeatable
        )


def chat_parser(chat_id: int | None = None) -> Callable[[Any], Chat]:
    """Return what makes a chat of an answer; with ``chat_id``, of that chat's only."""

    def parse(payload: Any) -> Chat:
        if errors := error_details(payload, str):
            msg = f"the body reports errors: {'; '.join(map(str, errors[:5]))}"
            raise ValueError(msg)
        data = payload.get("data", payload) if isinstance(payload, dict) else None
        found = id_of(data)
        if not isinstance(data, dict) or found is None or chat_id not in (None, found):
            msg = "the body holds no chat" if found is None else f"the body holds the chat {found}"
            raise ValueError(msg)
        return cast("Chat", chat_of(data))

    return parse


def _confirmed(chat: Chat, field: str, shown: Any, wanted: Any) -> Chat:
    if shown == wanted:
        return chat
    msg = (
        f"HelpCrunch answered 200 to a change of the chat {chat['id']}, but the chat that it sent back shows "
        f"{field} {shown!r} instead of {wanted!r}."
    )
    raise HelpCrunchUnconfirmedError(msg)
