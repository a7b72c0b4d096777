"""What may go wrong with one chat without stopping the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_helpcrunch.client import HelpCrunchClient

log = logging.getLogger(__name__)

REFUSALS = (HelpCrunchBadRequestError, HelpCrunchNotFoundError)
"""HelpCrunch will not change this chat so."""

FAULTS = (
    HelpCrunchConnectionError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
"""There was no usable answer, even after all retries."""

MOST_FAULTS = 3
"""Chats in a row that may meet a fault; then the service is taken to be down."""


def is_made_all_the_same(
    client: HelpCrunchClient, chat: int, error: HelpCrunchError, shows: Callable[[Mapping[str, Any]], bool]
) -> bool:
    """
    Find out whether a change was made although the answer says no: when an answer was lost, what it repeats may be
    refused.

    :param client: the account
    :param chat: the chat's id
    :param error: what came of the change
    :param shows: whether a chat shows the change
    :return: whether it does; ``False`` without asking when the answer to the only attempt was plain
    """
    was_repeated = isinstance(error, REFUSALS) and error.attempts > 1
    if not was_repeated and not isinstance(error, HelpCrunchResponseError):
        return False
    try:
        return shows(client.get_chat(chat))
    except HelpCrunchError as second:
        log.warning("Whether chat %d was changed could not be found out: %s", chat, second)
        return False
