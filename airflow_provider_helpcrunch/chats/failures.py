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
"""Errors by which HelpCrunch refuses one change; others may succeed."""

FAULTS = (
    HelpCrunchConnectionError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
"""Errors without a usable response, even after all retries."""

MOST_FAULTS = 3
"""Faults in a row after which the service is considered down."""


def was_applied(
    client: HelpCrunchClient, chat: int, error: HelpCrunchError, shows: Callable[[Mapping[str, Any]], bool]
) -> bool:
    """
    Find out whether a change was applied despite an error.

    When a response is lost, the request is retried, and HelpCrunch may refuse the retry because the first attempt
    succeeded.

    :param client: the account. One request; none if the only attempt was clearly refused
    :param chat: the chat's id
    :param error: the error of the change
    :param shows: says whether a chat shows the change
    :return: whether it was applied; ``False`` if that could not be found out
    """
    was_repeated = isinstance(error, REFUSALS) and error.attempts > 1
    if not was_repeated and not isinstance(error, HelpCrunchResponseError):
        return False
    try:
        return shows(client.get_chat(chat))
    except HelpCrunchError as second:
        log.warning("Could not find out whether chat %d was changed: %s", chat, second)
        return False
