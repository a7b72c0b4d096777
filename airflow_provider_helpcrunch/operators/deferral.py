"""Deferral: when a task stops to wait for the account's rate limit, how it waits, and when it goes on."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import BaseOperator
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError, HelpCrunchRateLimitError

PATIENCE = 600
"""Longest time in seconds that one request may wait, where ``patience`` is not given."""

BRIEF = 5.0
"""Longest time in seconds that a request waits for its permit. Before a longer wait the work stops: the task may defer,
and chats that are to be changed are read again afterwards, because a person may have changed them meanwhile."""

FEWEST = 10
"""Smallest number of free permits with which work is resumed."""

MOST_BYTES = 40 * 1024
"""Largest state for a deferral, in bytes of JSON. Airflow stores a trigger's arguments and its event in columns that
hold 65,535 bytes on MySQL; it encrypts the arguments, which makes them a third longer."""


def if_it_fits(state: dict[str, Any], log: Any) -> dict[str, Any] | None:
    """
    Return a state for a deferral; ``None`` if it is too large to be carried: the task then keeps its worker slot.

    :param state: the state, as plain JSON
    :param log: the task's log
    """
    if (size := len(json.dumps(state))) <= MOST_BYTES:
        return state
    log.info(
        "Keeping the worker slot: a deferral would have to carry %d bytes, and %d are safe on every database.\n"
        "Airflow 3.3 and newer keep what a task has done in their state store instead.",
        size,
        MOST_BYTES,
    )
    return None


def wait_in_slot(seconds: float, log: Any) -> None:
    """
    Wait for the rate limit on the worker.

    :param seconds: how long
    :param log: the task's log
    """
    from airflow_provider_helpcrunch.plurals import duration

    log.info("Waiting %s for the account's rate limit, in the worker slot.", duration(seconds))
    time.sleep(seconds)


def defer_for(operator: BaseOperator, seconds: float, state: dict[str, Any]) -> None:
    """
    Give the worker slot back and continue later with ``execute_complete``. Does not return.

    :param operator: the operator
    :param seconds: how long it waits
    :param state: the state with which it continues, as plain JSON
    """
    from airflow_provider_helpcrunch.plurals import duration
    from airflow_provider_helpcrunch.triggers.budget import BudgetTrigger

    operator.log.info("Waiting %s for the account's rate limit, without a worker slot.", duration(seconds))
    operator.defer(trigger=BudgetTrigger(time.time() + seconds, state), method_name="execute_complete")


def seconds_until_free(client: HelpCrunchClient, needed: int | None = None) -> float:
    """
    Return the seconds until a quarter of the account's limit is free, at least 1.

    Starting a task for fewer permits would not pay; more become free while these are used.

    :param client: the account
    :param needed: permits that the work still needs: it does not wait for more. Default: not known
    """
    permits = max(client.requests_per_minute // 4, FEWEST)
    return max(client.budget_wait(permits if needed is None else min(needed, permits)), 1.0)


@dataclass
class Wait:
    """
    How long a task has waited for the rate limit without progress.

    :param patience: the longest that it may, in seconds
    :param seconds: how long it has (0.0)
    """

    patience: float
    seconds: float = 0.0

    def after(
        self,
        client: HelpCrunchClient,
        refusal: HelpCrunchRateLimitError | HelpCrunchBudgetStoreError,
        needed: int | None = None,
    ) -> float:
        """
        Return the seconds until it is worthwhile to go on, and count them.

        :param client: the account
        :param refusal: what stopped the work
        :param needed: permits that the work still needs. Default: not known
        :raises HelpCrunchRateLimitError: patience does not allow to wait as long
        :raises HelpCrunchBudgetStoreError: patience does not allow to wait as long
        """
        from airflow_provider_helpcrunch.exceptions import HelpCrunchRateLimitError

        self.seconds += getattr(refusal, "waited", 0.0)
        seconds = seconds_until_free(client, needed)
        if self.seconds + seconds <= self.patience:
            self.seconds += seconds
            return seconds
        if not isinstance(refusal, HelpCrunchRateLimitError):
            raise refusal
        from airflow_provider_helpcrunch.plurals import duration

        msg = (
            f"No request was allowed for {duration(self.seconds)}: other tasks are using the account's limit. The next "
            f"is allowed in {duration(seconds)}. Run the task again later, or raise patience. {refusal}"
        )
        raise HelpCrunchRateLimitError(
            msg,
            waited=self.seconds,
            retry_after=seconds,
            status_code=refusal.status_code,
            errors=refusal.errors,
        )
