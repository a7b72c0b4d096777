"""Operators for messages: all that were written in chats."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.links import HelpCrunchChatLink, link_to_chat
from airflow_provider_helpcrunch.operators.arguments import flag
from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.operators.chat_ids import ChatIds
    from airflow_provider_helpcrunch.schema import Table


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
