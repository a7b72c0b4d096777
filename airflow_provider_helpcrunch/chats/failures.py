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

    from airflow_provider_helpcrunch.chats.results import Result
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


def error_of(
    client: HelpCrunchClient,
    chat: int,
    change: Callable[[], object],
    shows: Callable[[Mapping[str, Any]], bool],
) -> HelpCrunchError | None:
    """
    Make a change and return the error that it met.

    :param client: the account. One request more if the change may have been applied despite its error
    :param chat: the chat's id
    :param change: makes the change
    :param shows: says whether a chat shows the change
    :return: a refusal or a fault; ``None`` if the change was applied
    :raises HelpCrunchError: an error that concerns more than this chat, such as the rate limit or a wrong key
    """
    try:
        change()
    except (*REFUSALS, *FAULTS) as error:
        if not _was_applied(client, chat, error, shows):
            return error
    return None


def failed(result: Result, error: HelpCrunchError) -> Result:
    """
    Return a result with its failure.

    :param result: the result
    :param error: a refusal or a fault
    """
    return result._replace(outcome="refused" if isinstance(error, REFUSALS) else "failed", error=str(error))


def _was_applied(
    client: HelpCrunchClient, chat: int, error: HelpCrunchError, shows: Callable[[Mapping[str, Any]], bool]
) -> bool:
    """
    Find out whether a change was applied despite an error. At most one request.

    When a response is lost, the request is retried, and HelpCrunch may refuse the retry because the first attempt
    succeeded. If the only attempt was clearly refused, or the answer cannot be found out, it was not applied.
    """
    was_repeated = isinstance(error, REFUSALS) and error.attempts > 1
    if not was_repeated and not isinstance(error, HelpCrunchResponseError):
        return False
    try:
        return shows(client.get_chat(chat))
    except HelpCrunchError as second:
        log.warning("Could not find out whether chat %d was changed: %s", chat, second)
        return False
