"""
Changes that fail, or whose outcome is in doubt, without stopping the others.

A change is in doubt while its request was sent and no usable response has come: HelpCrunch may have applied it. The
checkpoint keeps such a change, and the chat itself is read later: a change that was made must be in the report, and
must count against a maximum of moves.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.results import NOTE, NOTE_LOST, noted
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchApiError,
    HelpCrunchBadRequestError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
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

INTERRUPTED = (
    "The task was interrupted before HelpCrunch's response came, so the change may have been made. Look at the "
    "chat, or run the task again: it looks first."
)


def error_of(
    client: HelpCrunchClient,
    chat: int,
    change: Callable[[], object],
    shows: Callable[[Mapping[str, Any]], bool],
) -> HelpCrunchError | None:
    """
    Make a change and return the error that it met.

    :param client: the account. One request more if HelpCrunch's response leaves open whether the change was applied
    :param chat: the chat's id
    :param change: makes the change
    :param shows: says whether a chat shows the change
    :return: a refusal or a fault; ``None`` if the change was applied
    :raises HelpCrunchError: an error that concerns more than this chat, such as the rate limit or a wrong key
    """
    try:
        change()
    except (*REFUSALS, *FAULTS) as error:
        if _is_unclear(error):
            try:
                if shows(client.get_chat(chat)):
                    return None
            except (*REFUSALS, *FAULTS) as second:
                log.warning("Could not find out whether chat %d was changed: %s", chat, second)
        return error
    return None


def attempted(
    client: HelpCrunchClient,
    checkpoint: Checkpoint,
    result: Result,
    change: Callable[[], object],
    shows: Callable[[Mapping[str, Any]], bool],
) -> HelpCrunchError | None:
    """
    Make one of many changes, as :func:`error_of`, and leave it in the checkpoint while it is in doubt.

    :param client: the account
    :param checkpoint: keeps the change while it is in doubt
    :param result: the result if the change is made
    :param change: makes the change
    :param shows: says whether a chat shows the change
    :return: a refusal or a fault; ``None`` if the change was applied
    :raises HelpCrunchError: an error that concerns more than this chat, such as the rate limit or a wrong key
    """
    sent = client.usage.requests
    checkpoint.in_doubt.append(result)
    try:
        checkpoint.hold()
        error = error_of(client, result.id, change, shows)
    except BaseException as interruption:
        # Most of these are the rate limit's, before anything was sent.
        if client.usage.requests == sent or _is_clear_refusal(interruption):
            checkpoint.in_doubt.pop()
        raise
    checkpoint.in_doubt.pop()
    # Read later, not now: while HelpCrunch is down, each look would cost as many retries as the change itself.
    if isinstance(error, HelpCrunchConnectionError | HelpCrunchServerError):
        checkpoint.in_doubt.append(failed(result, error))
    return error


def _is_unclear(error: HelpCrunchError) -> bool:
    """
    Say whether a change may have been applied although HelpCrunch responded with this error.

    When a response is lost, the request is retried, and HelpCrunch may refuse the retry because the first attempt
    succeeded. A response that makes no sense says nothing either way.
    """
    if isinstance(error, REFUSALS):
        return error.attempts > 1
    return isinstance(error, HelpCrunchResponseError)


def _is_clear_refusal(error: BaseException) -> bool:
    """
    Say whether HelpCrunch sent an error status, such as 401 or 429, in response to the only attempt.

    The rate limiter's own refusal has no status: it may stop the second attempt, after the first response was lost.
    """
    return isinstance(error, HelpCrunchApiError) and error.status_code is not None and error.attempts <= 1


def settled(
    client: HelpCrunchClient,
    checkpoint: Checkpoint,
    shows: Callable[[Result, Mapping[str, Any]], bool],
    is_noted: Callable[[HelpCrunchClient, Result], bool] = lambda *_: False,
    *,
    is_last: bool = False,
) -> Iterator[Result]:
    """
    Read the chats whose changes are in doubt, and yield a result for each change that turns out to be made.

    Also for a note that is not found: it is never sent again, so it must be reported as missing.

    :param client: the account. One request for each chat in doubt
    :param checkpoint: has the changes in doubt; each is taken out when its chat has been read
    :param shows: says whether a chat shows the change of a result
    :param is_noted: says whether a note is in its chat. Default: there are no notes
    :param is_last: whether nothing comes to these chats any more (``False``): then a change of an earlier try whose
        chat cannot be read has failed, for it may have been made
    :raises HelpCrunchRateLimitError: no request is allowed; the changes not read yet stay in doubt
    """
    while checkpoint.in_doubt:
        doubt = checkpoint.in_doubt[0]
        is_made, problem, is_note = False, None, doubt.field == NOTE
        try:
            is_made = is_noted(client, doubt) if is_note else shows(doubt, client.get_chat(doubt.id))
        except (*REFUSALS, *FAULTS) as error:
            log.warning("Could not find out whether chat %d was changed: %s", doubt.id, error)
            problem = error
        checkpoint.in_doubt.pop(0)
        if is_made:
            yield noted(doubt.id) if is_note else doubt._replace(outcome="changed", error=None)
        elif is_note:
            yield doubt._replace(outcome="failed", error=NOTE_LOST if problem is None else str(problem))
        elif problem is not None and (doubt.error is None or (is_last and isinstance(problem, FAULTS))):
            yield failed(doubt, problem)


def failed(result: Result, error: HelpCrunchError) -> Result:
    """
    Return a result with its failure.

    :param result: the result
    :param error: a refusal or a fault
    """
    return result._replace(outcome="refused" if isinstance(error, REFUSALS) else "failed", error=str(error))
