"""Operators for messages: one lists all that were written in chats, another sends one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.links import HelpCrunchChatLink, link_to_chat
from airflow_provider_helpcrunch.operators.arguments import choice, flag, record_id, refused, text
from airflow_provider_helpcrunch.operators.base import (
    WRITES_COLOR,
    HelpCrunchListOperator,
    HelpCrunchOperator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.chats.delivery import Delivery, Entry, Message
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.operators.chat_ids import ChatIds
    from airflow_provider_helpcrunch.schema import Table


TYPES = ("message", "private")
DELIVERIES = ("at_most_once", "at_least_once")

KEY = "helpcrunch_message"
"""Key of the message in Airflow's state store. It does not depend on the text: a template may render to another one in
a retry, and then too the message must not be sent twice."""


class ListMessagesOperator(HelpCrunchListOperator):
    """
    List every message of one chat or of many exactly once, into XCom or into one object.

    .. code-block:: python

        chats = ListChatsOperator(
            task_id="chats", active_since="{{ data_interval_start }}", output_path="/data/{{ ds }}/chats.jsonl.gz"
        )
        ListMessagesOperator(task_id="messages", chats=chats.output, output_path="/data/{{ ds }}/messages.parquet")

    HelpCrunch has no list of all messages: this takes one request for each chat of 1 to 99 messages, one more for each
    further 99, two for a chat without any, and three for one that was deleted. With 120 requests a minute, 10,000 chats
    take at least 84 minutes.

    The chats come in the order given, and each of them newest message first, as HelpCrunch sends it. Memory holds the
    ids of the chats and one page; with ``oldest_first``, all messages of one chat.

    A chat that HelpCrunch does not find was deleted since it was listed: the log and the receipt have a warning, and
    the others are read. Only a single chat, given as such, must exist.

    All arguments are templated.

    :param chats: the chats: an id, a record with an ``id``, a list of these, its JSON text, or a file of chats in any
        of our formats: its path, an ``ObjectStoragePath`` or the receipt of ``ListChatsOperator`` or
        ``SearchChatsOperator``. A chat that is named twice is read once. An empty list gives an empty result
    :param oldest_first: list the messages of each chat oldest first (``False``)
    :param private_notes: list private notes too, which no customer sees (``False``)
    :param tech: list HelpCrunch's own rows too, with a machine word such as ``chat_status_changed`` as their text
        (``False``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the messages; default XCom (see :class:`.base.HelpCrunchListOperator`)
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: messages per request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    Result and errors: see :meth:`.base.HelpCrunchListOperator.perform`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-messages-v1
    """

    template_fields: Sequence[str] = (
        *HelpCrunchListOperator.template_fields,
        "chats",
        "oldest_first",
        "private_notes",
        "tech",
    )
    arguments_that_may_be_empty: Sequence[str] = ("chats",)  # a task upstream found no chat

    operator_extra_links = (HelpCrunchChatLink(),)

    # Set by check_arguments: a file of chats is read once.
    _chats: ChatIds

    def __init__(
        self,
        *,
        chats: int | str | dict[str, Any] | Sequence[int | str | dict[str, Any]] | ObjectStoragePath,
        oldest_first: bool | str = False,
        private_notes: bool | str = False,
        tech: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.chats = chats
        self.oldest_first = oldest_first
        self.private_notes = private_notes
        self.tech = tech

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written; read the ids of the chats.

        :raises HelpCrunchConfigurationError: an argument is wrong
        :raises HelpCrunchStorageError: the file of chats cannot be read
        """
        from airflow_provider_helpcrunch.operators.chat_ids import ChatIds

        super().check_arguments()
        self._flags()
        self._chats = ChatIds.of("chats", self.chats)

    def table(self) -> Table:
        """Return the columns of messages."""
        from airflow_provider_helpcrunch.schema import MESSAGES

        return MESSAGES

    def perform(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """
        List the messages, as :meth:`.base.HelpCrunchListOperator.perform`; those of one chat with a link to it.

        :param context: the context of the task, from Airflow
        """
        if self._chats.is_single:
            link_to_chat(context, self.hook.client, self._chats.ids[0])
        return super().perform(context)

    # Any: a walk with the attributes of a listing, over many of them.
    def listing(self, client: HelpCrunchClient, page_size: int) -> Any:
        """Return the messages of all chats."""
        from airflow_provider_helpcrunch.client.chat_messages import ChatMessages, confirm_deleted

        return ChatMessages(
            self._chats.ids,
            partial(client.iter_messages, page_size=page_size),
            partial(confirm_deleted, client),
            must_exist=self._chats.is_single,
            **self._flags(),
        )

    def _flags(self) -> dict[str, bool]:
        return {name: flag(name, getattr(self, name)) for name in ("oldest_first", "private_notes", "tech")}


class SendMessageOperator(HelpCrunchOperator):
    """
    Send one message to a chat: an agent's reply, or a private note. Meant for dynamic task mapping, too.

    .. code-block:: python

        SendMessageOperator(task_id="reply", chat_id=4410021, text="Your parcel is on its way.", agent_id=1002)
        SendMessageOperator.partial(task_id="mark", type="private", text="In the spring survey").expand(chat_id=chats)

    HelpCrunch would take a message twice if it were sent twice. By default a task instance sends at most one message to
    a chat, in all of its tries, also if it is cleared after a success and its text is another then (not where Airflow's
    ``[state_store] clear_on_success`` is on: that lets Airflow forget what was sent). On Airflow 3.3 and newer, what is
    about to be sent is kept in the state store (without the text), and that it was sent. A retry that finds only the
    former waits until 30 seconds have passed since, looks for the message among the newest 100 of the chat, and sends
    it only if it is not there. On older versions every retry looks first; there, a message that has the same text, type
    and author as an older one counts as sent, and the text must render to the same in each try.

    Requests: one that notes the newest message of the chat, and the message; one more to look for a message whose
    outcome is open. ``at_least_once``: the message alone.

    All arguments are templated.

    :param chat_id: id of the chat
    :param text: the plain text
    :param type: ``message`` (a reply that the customer sees; the default) or ``private`` (a note for agents)
    :param agent_id: id of the agent who says it. Required for a reply: HelpCrunch takes one without it for the
        customer's own. Default: a private note without an author
    :param markdown_text: the same in Markdown, which HelpCrunch shows instead of ``text``. Default: none. As HelpCrunch
        renders it, it may not be recognized; then it is not sent again, and the task fails and says so
    :param delivery: ``at_most_once`` (the default) or ``at_least_once``: a retry sends the message again whatever the
        try before has done
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/create-message-v1
    """

    ui_color = WRITES_COLOR
    template_fields: Sequence[str] = (
        *HelpCrunchOperator.template_fields,
        "chat_id",
        "text",
        "type",
        "agent_id",
        "markdown_text",
        "delivery",
    )
    operator_extra_links = (HelpCrunchChatLink(),)

    def __init__(
        self,
        *,
        chat_id: int | str,
        text: str,
        type: str = "message",  # noqa: A002
        agent_id: int | str | None = None,
        markdown_text: str | None = None,
        delivery: str = "at_most_once",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.chat_id = chat_id
        self.text = text
        self.type = type
        self.agent_id = agent_id
        self.markdown_text = markdown_text
        self.delivery = delivery

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        choice("delivery", self.delivery, DELIVERIES)
        self._message()

    def perform(self, context: Context) -> dict[str, Any]:
        """
        Send the message.

        :param context: the context of the task, from Airflow
        :return: ``chat``, the chat's id; ``message``, the message's id (``None`` where no response said it); ``sent``,
            whether this try has sent it (``False``: an earlier one has); and ``requests``, how many were sent
        :raises HelpCrunchNotFoundError: there is no such chat or agent
        :raises HelpCrunchUnconfirmedError: it cannot be told whether an earlier try has sent it; it was not sent again
        :raises HelpCrunchError: it was not sent; or that is open, and a retry looks first
        """
        from airflow_provider_helpcrunch.operators.progress import count_usage
        from airflow_provider_helpcrunch.plurals import counted

        message = self._message()
        with self.hook as hook:
            client = hook.client
            link_to_chat(context, client, message.chat)
            try:
                delivery = self._delivered(client, message, context)
            finally:
                count_usage(client.usage)
        requests = client.usage.requests
        if delivery.is_new:
            self.log.info("Sent the message to chat %d with %s", message.chat, counted(requests, "request"))
        else:
            self.log.info("An earlier try has sent the message to chat %d; not sent again.", message.chat)
        return {
            "chat": message.chat,
            "message": delivery.message,
            "sent": delivery.is_new,
            "requests": requests,
        }

    def _message(self) -> Message:
        from airflow_provider_helpcrunch.chats.delivery import Message

        is_private = choice("type", self.type, TYPES) == "private"
        if self.agent_id is None and not is_private:
            msg = (
                "agent_id is missing: without it HelpCrunch shows the message as the customer's own. Name the agent "
                "who says it, or set type='private'."
            )
            raise refused(msg)
        return Message(
            chat=record_id("chat_id", self.chat_id),
            text=text("text", self.text),
            private=is_private,
            agent=None if self.agent_id is None else record_id("agent_id", self.agent_id),
            markdown_text=None if self.markdown_text is None else text("markdown_text", self.markdown_text),
        )

    def _delivered(self, client: HelpCrunchClient, message: Message, context: Context) -> Delivery:
        from airflow_provider_helpcrunch.chats.delivery import Delivery, deliver_once

        if self.delivery == "at_least_once":
            return Delivery(message.send(client), is_new=True)
        store, instance = context.get("task_state_store"), context.get("ti")
        is_retry = getattr(instance, "try_number", 1) > 1
        return deliver_once(
            client,
            message,
            self._kept(store, _key(message)),
            lambda entry: self._keep(store, _key(message), entry),
            may_be_sent=store is None and is_retry,
        )

    def _kept(self, store: Any, key: str) -> Entry | None:
        """Return what an earlier try has kept in Airflow's state store."""
        try:
            return None if store is None else store.get(key)
        except Exception as error:
            raise _store_failed(error) from error

    def _keep(self, store: Any, key: str, entry: Entry) -> None:
        from airflow_provider_helpcrunch.state_store import FOR_EVER

        try:
            if store is not None:
                store.set(key, entry, retention=FOR_EVER)
        except Exception as error:
            if not entry["is_sent"]:
                raise _store_failed(error) from error
            self.log.warning(
                "Airflow's state store cannot be used, so a retry would look into the chat: %s", error
            )


def _key(message: Message) -> str:
    """Return the key of a message: the same map index may mean another chat when its task is cleared."""
    return f"{KEY}_{message.chat}"


def _store_failed(error: Exception) -> Exception:
    from airflow_provider_helpcrunch.exceptions import HelpCrunchError

    msg = (
        f"Airflow's state store cannot be used ({error}), so nothing was sent: a retry could not know of the message, "
        "and might send it twice. Run the task again, or set delivery='at_least_once'."
    )
    return HelpCrunchError(msg)
