"""Statuses and ratings of chats: read in every spelling of the API, written in the documented one."""

from __future__ import annotations

from typing import Any

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted

STATUSES = ("new", "opened", "pending", "onhold", "no communication", "closed", "empty")
"""Statuses as the chat model page spells them."""

RATINGS = ("perfect", "great", "average", "poor", "very poor")

NOT_OPEN = frozenset({"closed", "empty"})
"""Statuses in which nobody waits for a reply; a chat with any other status, even an unknown one, is open."""


def is_open(status: Any) -> bool:
    """
    Say whether somebody waits for a reply in a chat.

    :param status: the chat's status, as HelpCrunch sent it or :func:`status_of` spells it
    """
    return status not in NOT_OPEN


_SETTABLE = {status: (status,) for status in STATUSES if status != "empty"} | {
    "onhold": ("on hold", "on-hold", "onhold"),
    "opened": ("opened", "open"),
}
"""Statuses that can be set, with every documented spelling; first that of the page on updating a status."""


def _folded(word: str) -> str:
    return "".join(character for character in word.lower() if character not in " -_")


_STATUS_OF = {_folded(status): status for status in STATUSES} | {"open": "opened"}
_RATING_OF = {_folded(rating): rating for rating in RATINGS}


def status_of(word: Any) -> Any:
    """
    Return a status as the chat model page spells it (``on hold``, ``on-hold`` → ``onhold``; ``open`` → ``opened``).

    :param word: what the API or a user wrote; unknown words and other values are returned as they are
    """
    return _STATUS_OF.get(_folded(word), word) if isinstance(word, str) else word


def rating_of(word: Any) -> Any:
    """Return a rating in the spelling of the rate page, such as ``very poor``; others are returned as they are."""
    return _RATING_OF.get(_folded(word), word) if isinstance(word, str) else word


def known_status(word: Any) -> str:
    """
    Return a status in the spelling of :func:`status_of`.

    :param word: the status in any spelling
    :raises HelpCrunchConfigurationError: HelpCrunch has no such status
    """
    status = status_of(word)
    if not isinstance(status, str) or status not in STATUSES:
        msg = f"{quoted(word)} is not a status of a chat; statuses are {', '.join(STATUSES)}."
        raise HelpCrunchConfigurationError(msg)
    return status


def written_status(word: Any) -> str:
    """
    Return a status as the page on updating it spells it.

    :param word: the status in any spelling
    :raises HelpCrunchConfigurationError: there is no such status, or it cannot be set

    API: https://docs.helpcrunch.com/rest-api-v1/update-chat-status-v1
    """
    return written_statuses(word)[0]


def written_statuses(word: Any) -> tuple[str, ...]:
    """
    Return every spelling that the documentation has for a status to be set; the first as :func:`written_status`.

    :param word: the status in any spelling
    :raises HelpCrunchConfigurationError: there is no such status, or it cannot be set
    """
    status = status_of(word)
    if not isinstance(status, str) or status not in _SETTABLE:
        words = ", ".join(spellings[0] for spellings in _SETTABLE.values())
        msg = f"A chat's status can be set to {words}, not to {quoted(word)}."
        raise HelpCrunchConfigurationError(msg)
    return _SETTABLE[status]


def written_rating(word: Any) -> str:
    """
    Return a rating as the rate page spells it.

    :param word: the rating in any spelling
    :raises HelpCrunchConfigurationError: there is no such rating

    API: https://docs.helpcrunch.com/rest-api-v1/chat-rating-rest-api
    """
    rating = rating_of(word)
    if not isinstance(rating, str) or rating not in RATINGS:
        msg = f"A chat's rating can be {', '.join(RATINGS)}, not {quoted(word)}."
        raise HelpCrunchConfigurationError(msg)
    return rating
