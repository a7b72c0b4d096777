"""
Sent messages whose response was lost: whether they were sent, and whether they are in their chat.

HelpCrunch takes a message twice if it is sent twice. So before a message is sent, an :class:`Attempt` is kept where it
survives a killed worker, and afterwards :meth:`Attempt.is_in_chat` looks for it among the chat's newest messages. Ids
tell what is new, not times: they grow with every message of the account, and no clock has to be right.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_helpcrunch.client.ids import id_in, id_of
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchConnectionError,
    HelpCrunchNotFoundError,
    HelpCrunchRateLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_helpcrunch.client import HelpCrunchClient

NEWEST = 100
"""Messages of a chat that are looked at: one request."""

CLEAR = (
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchNotFoundError,
    HelpCrunchRateLimitError,
)
"""Errors after which a message was certainly not sent: it is repeated only where HelpCrunch cannot have taken it."""


class Attempt(NamedTuple):
    """
    One attempt to send a message: enough to recognize the message later, without its text.

    :param chat: the chat's id
    :param digest: what :func:`digest_of` makes of its text
    :param private: whether it is a private note
    :param agent: id of the author; ``None``: none
    :param rendered: whether it is Markdown, so that HelpCrunch shows another text than was sent
    :param newest: id of a message that was there before it; 0: not known, so that any message may be it
    """

    chat: int
    digest: str
    private: bool
    agent: int | None
    rendered: bool
    newest: int

    def is_in_chat(self, client: HelpCrunchClient) -> bool | None:
        """
        Say whether the message is among the newest of its chat.

        :param client: the account. One request; two if the chat has no messages
        :return: ``None`` if it cannot be told: HelpCrunch may show another text than was sent, or too many messages
            came since
        :raises HelpCrunchError: the messages cannot be read
        """
        # Newest first. Closing the listing saves the requests for older messages.
        with contextlib.closing(client.iter_messages(self.chat)) as messages:
            latest = list(islice(messages, NEWEST))
        since = [message for message in latest if (id_of(message) or 0) > self.newest]
        similar = [message for message in since if self._is_similar(message)]
        if any(digest_of(str(message.get("text") or "")) == self.digest for message in similar):
            return True
        is_behind = bool(self.newest) and len(since) == NEWEST
        return None if is_behind or (self.rendered and similar) else False

    def _is_similar(self, message: Mapping[str, Any]) -> bool:
        if message["private"] != self.private or message["tech"]:
            return False
        return self.agent is None or id_in(message, "agent") == self.agent


def newest_in(client: HelpCrunchClient, chat: int) -> int:
    """
    Return the id of a chat's newest message, 0 if it has none.

    :param client: the account. One request; two if the chat has no messages
    :param chat: the chat's id
    :raises HelpCrunchError: the messages cannot be read
    """
    with contextlib.closing(client.iter_messages(chat)) as messages:
        return max((id_of(message) or 0 for message in islice(messages, 1)), default=0)


def digest_of(text: str) -> str:
    """
    Return a short hash of a text's words.

    Markup, entities and spaces do not count: HelpCrunch may store them in another form.

    :param text: the text
    """
    # Twice: what looks like a tag may have been sent as text, such as <b>, and be stored with entities.
    plain = _without_tags(html.unescape(_without_tags(text)))
    words = " ".join(re.findall(r"\w+", plain)) or "".join(plain.split() or text.split())
    return hashlib.sha256(words.encode(errors="replace")).hexdigest()[:16]


def _without_tags(text: str) -> str:
    # The name of a tag ends at a space, a slash or the bracket; addresses such as <https://shop.example/x> go on.
    return re.sub(r"</?[A-Za-z][A-Za-z0-9-]*(?=[\s/>])[^<>]*>", " ", text)


def was_not_sent(error: BaseException, *, requests: int) -> bool:
    """
    Say whether a message was certainly not sent.

    :param error: the error that sending it met
    :param requests: number of requests that were sent for it
    """
    if isinstance(error, HelpCrunchConnectionError):
        return not error.connected
    return not requests or isinstance(error, CLEAR)
