"""
Delivery of one message, at most once.

What is about to be sent is kept before its request, and that it was sent after it. A message of which only the former
is known is looked up in its chat: it may have been sent, and HelpCrunch would take it twice.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow_provider_helpcrunch.chats.failures import FAULTS
from airflow_provider_helpcrunch.chats.sent_messages import Attempt, digest_of, newest_in, was_not_sent
from airflow_provider_helpcrunch.client.ids import id_of
from airflow_provider_helpcrunch.exceptions import HelpCrunchError, HelpCrunchUnconfirmedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_helpcrunch.client import HelpCrunchClient

log = logging.getLogger(__name__)

Entry: TypeAlias = dict[str, Any]
"""What is kept of a message, as plain JSON and without its text: ``attempt``, ``begun`` (UNIX seconds), ``is_sent`` and
``message`` (its id, or ``None``)."""

ARRIVES_WITHIN = 30.0
"""Seconds after which a request whose worker has died was carried out, or never will be."""


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message to be sent.

    :param chat: the chat's id
    :param text: the plain text
    :param private: whether it is a private note
    :param agent: id of the author; ``None``: nobody, for a private note
    :param markdown_text: the text in Markdown, which HelpCrunch shows instead; ``None``: none
    """

    chat: int
    text: str
    private: bool
    agent: int | None
    markdown_text: str | None

    def send(self, client: HelpCrunchClient) -> int | None:
        """
        Send the message. One request.

        :param client: the account
        :return: the message's id, if HelpCrunch says it
        :raises HelpCrunchError: the message was not sent, or that is open
        """
        sent = client.send_message(
            self.chat,
            self.text,
            agent=self.agent,
            private=self.private,
            markdown_text=self.markdown_text,
        )
        return id_of(sent)

    def attempt(self, newest: int) -> Attempt:
        """
        Return what it takes to recognize the message later.

        :param newest: id of the newest message before it; 0: not known
        """
        rendered = self.markdown_text is not None
        digest = digest_of(self.text if self.markdown_text is None else self.markdown_text)
        return Attempt(self.chat, digest, self.private, self.agent, rendered, newest)


class Delivery(NamedTuple):
    """
    What became of a message.

    :param message: the message's id; ``None``: not known, as no response came
    :param is_new: whether it was sent now, and not by an earlier try
    """

    message: int | None
    is_new: bool


def deliver_once(
    client: HelpCrunchClient,
    message: Message,
    kept: Mapping[str, Any] | None,
    keep: Callable[[Entry], None],
    *,
    may_be_sent: bool = False,
) -> Delivery:
    """
    Send a message, unless an earlier try has.

    :param client: the account. Two requests; for a message whose outcome is open one more
    :param message: the message
    :param kept: what an earlier try kept; ``None``: nothing
    :param keep: keeps an entry before the request and after it. What it raises before it stops the message
    :param may_be_sent: whether an earlier try may have sent it although nothing is kept (``False``)
    :return: what became of the message
    :raises HelpCrunchUnconfirmedError: it cannot be told whether an earlier try has sent it; it was not sent again
    :raises HelpCrunchError: it was not sent; or that is open, and another call looks first
    """
    if kept is not None and Attempt(*kept["attempt"]).digest != message.attempt(0).digest:
        log.warning(
            "The text is not the one that an earlier try has sent or was about to send. A task sends at most one "
            "message to a chat: if that one was sent, this one is not."
        )
    if kept is not None and kept["is_sent"]:
        return Delivery(kept["message"], is_new=False)
    if kept is not None:
        time.sleep(max(0.0, kept["begun"] + ARRIVES_WITHIN - time.time()))
    if kept is not None or may_be_sent:
        attempt = message.attempt(0) if kept is None else Attempt(*kept["attempt"])
        if _is_there(client, attempt):
            keep(_entry(attempt, is_sent=True))
            return Delivery(None, is_new=False)
    attempt = message.attempt(newest_in(client, message.chat))
    keep(_entry(attempt))
    number = _sent(client, message, attempt)
    keep(_entry(attempt, is_sent=True, message=number))
    return Delivery(number, is_new=True)


def _sent(client: HelpCrunchClient, message: Message, attempt: Attempt) -> int | None:
    """Send a message; where no response came, look whether it was sent."""
    requests = client.usage.requests
    try:
        return message.send(client)
    except FAULTS as error:
        if was_not_sent(error, requests=client.usage.requests - requests):
            raise
        try:
            if _is_there(client, attempt):
                return None
        except HelpCrunchError as second:
            log.warning("Could not find out whether the message was sent: %s", second)
        log.warning(
            "Whether the message was sent is open: no usable response came, and the chat does not show it. A retry "
            "looks again before it sends."
        )
        raise


def _is_there(client: HelpCrunchClient, attempt: Attempt) -> bool:
    if (is_there := attempt.is_in_chat(client)) is None:
        msg = (
            f"Whether an earlier try has sent the message to chat {attempt.chat} cannot be told from the chat, so it "
            "is not sent again. Look at the chat, and write the message by hand if it is missing."
        )
        raise HelpCrunchUnconfirmedError(msg)
    return is_there


def _entry(attempt: Attempt, *, is_sent: bool = False, message: int | None = None) -> Entry:
    return {"attempt": list(attempt), "begun": time.time(), "is_sent": is_sent, "message": message}
