"""Trigger that waits until enough chats match a search."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_helpcrunch.exceptions import HelpCrunchError

MOST_FAILURES = 10
"""Polls in a row that may fail before the task does."""

DETAILS = ("status_code", "method", "path", "attempts", "waited", "retry_after", "connected")
"""Attributes of an error that its event carries."""


class ChatsTrigger(BaseTrigger):
    """
    Polls a search until enough chats match.

    A poll that fails is repeated, up to ten times in a row. A permanent error, such as a wrong key, ends the wait at
    once. While the account's rate limit is used up, the trigger waits without counting a failure.

    The event is ``{"status": "success", "chats": [ids]}`` or what :func:`failure_event` returns.

    :param helpcrunch_conn_id: the Airflow connection
    :param condition: :meth:`.waiting.Condition.to_json` of the condition
    :param poll_interval: seconds between two polls
    """

    def __init__(self, helpcrunch_conn_id: str, condition: dict[str, Any], poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.helpcrunch_conn_id = helpcrunch_conn_id
        self.condition = condition
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the import path of the class and its arguments, from which Airflow rebuilds the trigger."""
        return "airflow_provider_helpcrunch.triggers.chats.ChatsTrigger", {
            "helpcrunch_conn_id": self.helpcrunch_conn_id,
            "condition": self.condition,
            "poll_interval": self.poll_interval,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until enough chats match, then yield one event; one too if the polls fail for good."""
        from airflow_provider_helpcrunch._airflow import AirflowFailException
        from airflow_provider_helpcrunch.exceptions import HelpCrunchError, HelpCrunchRateLimitError
        from airflow_provider_helpcrunch.triggers.polling import load, poll

        await load()
        from airflow_provider_helpcrunch.chats.waiting import Condition, Finder

        finder, failures = Finder(Condition.from_json(self.condition)), 0
        while True:
            # First of all: the task has polled right before it was deferred.
            await asyncio.sleep(self.poll_interval)
            try:
                found = await poll(
                    self.helpcrunch_conn_id, lambda client: finder.find(client, datetime.now(UTC))
                )
            except HelpCrunchRateLimitError as error:
                self.log.info("No poll this time: %s", error)
            except HelpCrunchError as error:
                failures += 1
                if isinstance(error, AirflowFailException) or failures >= MOST_FAILURES:
                    yield TriggerEvent(failure_event(error))  # type: ignore[no-untyped-call]
                    return
                self.log.warning(
                    "Poll failed (%d of at most %d in a row): %s", failures, MOST_FAILURES, error
                )
            else:
                failures, wanted = 0, finder.condition.at_least
                self.log.info("%d of at least %d chats match", len(found), wanted)
                if len(found) >= wanted:
                    yield TriggerEvent({"status": "success", "chats": found})  # type: ignore[no-untyped-call]
                    return


def failure_event(error: HelpCrunchError) -> dict[str, Any]:
    """
    Return an error as the payload of an event.

    :param error: the error
    :return: ``status`` (``error``), ``error`` (name of the class), ``message`` and ``details`` (its attributes)
    """
    details = {name: value for name, value in vars(error).items() if name in DETAILS}
    return {
        "status": "error",
        "error": type(error).__name__,
        "message": str(error),
        "details": details,
    }


def failure_in(event: dict[str, Any]) -> HelpCrunchError:
    """
    Return the error of an event, of the same class as in the triggerer: it decides whether the task is retried.

    :param event: what :func:`failure_event` returned
    """
    from airflow_provider_helpcrunch import exceptions

    kind: type[HelpCrunchError] = getattr(exceptions, event["error"])
    error = kind.__new__(kind, event["message"])
    error.args = (event["message"],)
    vars(error).update(event["details"])
    return error
