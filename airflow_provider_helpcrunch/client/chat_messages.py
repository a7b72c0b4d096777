"""Messages of many chats, one chat after the other, and what to do where HelpCrunch does not find one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchNotFoundError
from airflow_provider_helpcrunch.plurals import counted, named

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.models import Message
    from airflow_provider_helpcrunch.client.pagination import Listing

log = logging.getLogger(__name__)

MOST_DOUBTS = 20
"""Most warnings of single chats that are kept."""


def confirm_deleted(client: HelpCrunchClient, chat: int, error: HelpCrunchNotFoundError) -> None:
    """
    Confirm that a chat whose messages were not found was deleted: a server in trouble answers 404, too. Two requests.

    The chat itself must not be found either, and after that a search must still be answered.

    :param client: the account
    :param chat: id of the chat
    :param error: the error of the request for its messages
    :raises HelpCrunchNotFoundError: ``error`` if the chat exists; or nothing at all is found
    :raises HelpCrunchError: a request failed, even after retries

    API: https://docs.helpcrunch.com/rest-api-v1/get-chat-v1
    """
    try:
        client.get_chat(chat)
    except HelpCrunchNotFoundError:
        client.search_chats_page(limit=1)
    else:
        raise error


class ChatMessages(Iterator["Message"]):
    """
    The messages of some chats, each exactly once, chat by chat in the order given; can be read once.

    Holds one page and the ids of one chat's messages; oldest first, the messages of one chat. A chat that HelpCrunch
    does not find was deleted since its id was noted: it is noted, and the others are read. If it goes while it is
    read, what was read of it stays.

    :param chats: ids of the chats, each once
    :param listing_of: returns the messages of a chat, newest first
    :param confirm: confirms that a chat that was not found was deleted, or raises, as :func:`confirm_deleted` does
    :param oldest_first: each chat's oldest message first (``False``)
    :param private_notes: private notes too (``False``)
    :param tech: HelpCrunch's own rows too, such as ``chat_status_changed`` (``False``)
    :param must_exist: raise an error for a chat that HelpCrunch does not find (``False``)
    """

    def __init__(
        self,
        chats: Sequence[int],
        listing_of: Callable[[int], Listing[Message]],
        confirm: Callable[[int, HelpCrunchNotFoundError], None],
        *,
        oldest_first: bool = False,
        private_notes: bool = False,
        tech: bool = False,
        must_exist: bool = False,
    ) -> None:
        self.pages = 0
        """Pages read so far."""
        self.read = 0
        """Messages read so far, including those that are left out."""
        self.records = 0
        """Messages yielded so far, or ready to be."""
        self.total: int | None = None
        """Always ``None``: HelpCrunch reports only the number of a single chat's messages."""
        self.warnings: list[str] = []
        """Doubts about the result: chats that were not found, totals that contradict the end of a chat's list."""
        self.chats_read = 0
        """Chats done so far, with those that were not found."""
        self.missing: list[int] = []
        """Chats that were not found."""
        self._chats = chats
        self._listing_of = listing_of
        self._confirm = confirm
        self._oldest_first = oldest_first
        self._private_notes = private_notes
        self._tech = tech
        self._must_exist = must_exist
        self._doubts = 0
        self._rows = self._walk()

    @property
    def place(self) -> str:
        """How far the walk is, such as ``12 of 300 chats``."""
        return f"{self.chats_read:,} of {counted(len(self._chats), 'chat')}"

    def __next__(self) -> Message:
        return next(self._rows)

    def close(self) -> None:
        """End the walk."""
        self._rows.close()

    def _walk(self) -> Generator[Message, None, None]:
        for chat in self._chats:
            with contextlib.closing(self._listing_of(chat)) as listing:
                messages = self._found(chat, listing)
                yield from reversed(list(messages)) if self._oldest_first else messages
            self._note_doubts(chat, listing.warnings)
            self.chats_read += 1
        self._warn()

    def _found(self, chat: int, listing: Listing[Message]) -> Iterator[Message]:
        pages = self.pages
        try:
            for message in listing:
                self.pages = pages + listing.pages
                self.read += 1
                if self._is_wanted(message):
                    self.records += 1
                    yield message
        except HelpCrunchNotFoundError as error:
            if self._must_exist:
                raise
            self._confirm(chat, error)
            self.missing.append(chat)
        finally:
            self.pages = pages + listing.pages

    def _is_wanted(self, message: Any) -> bool:
        return (self._private_notes or not message["private"]) and (self._tech or not message["tech"])

    def _note_doubts(self, chat: int, warnings: list[str]) -> None:
        for warning in warnings:
            self._doubts += 1
            if self._doubts <= MOST_DOUBTS:
                self.warnings.append(f"Chat {chat}: {warning}")

    def _warn(self) -> None:
        if self._doubts > MOST_DOUBTS:
            self.warnings.append(f"{self._doubts - MOST_DOUBTS:,} more such warnings are in the log.")
        if not self.missing:
            return
        warning = (
            f"HelpCrunch did not find {len(self.missing):,} of {counted(len(self._chats), 'chat')}, so the result "
            f"lacks their messages: {named(self.missing)}."
        )
        log.warning("%s", warning)
        self.warnings.append(warning)
