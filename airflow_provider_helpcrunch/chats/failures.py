"""Failures of one change that do not stop the others."""

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
"""HelpCrunch does not change this chat in this way."""

FAULTS = (
    HelpCrunchConnectionError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
"""No usable response, even after all retries."""

MOST_FAULTS = 3
"""Chats in a row that may meet a fault; then the service is considered down."""


def was_applied(
    client: HelpCrunchClient, chat: int, error: HelpCrunchError, shows: Callable[[Mapping[str, Any]], bool]
) -> bool:
    """
    Find out whether a change was applied although an error came back.

    When a response is lost, the request is repeated, and HelpCrunch may refuse the repetition.

    :param client: the account. One request; none where the only attempt got a clear refusal
    :param chat: the chat's id
    :param error: the error of the change
    :param shows: whether a chat shows the change
    """
    was_repeated = isinstance(error, REFUSALS) and error.attempts > 1
    if not was_repeated and not isinstance(error, HelpCrunchResponseError):
        return False
    try:
        return shows(client.get_chat(chat))
    except HelpCrunchError as second:
        log.warning("Could not find out whether chat %d was changed: %s", chat, second)
        return False
