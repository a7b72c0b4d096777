"""When a task stops to wait for the account's rate limit, and when it is worthwhile to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exceptions import HelpCrunchBudgetStoreError, HelpCrunchRateLimitError

PATIENCE = 600
"""Longest time in seconds that one request may wait, where ``patience`` is not given."""

BRIEF = 5.0
"""Longest time in seconds that a request waits for its permit. Before a longer wait the work stops: the task may defer,
and chats that are to be changed are read again afterwards, because a person may have changed them meanwhile."""

FEWEST = 10
"""Smallest number of free permits with which work is resumed."""


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
        msg = (
            f"No request was allowed for {self.seconds:.0f} s: other tasks are using the account's limit. The next is "
            f"allowed in {seconds:.0f} s. Run the task again later, or raise patience. {refusal}"
        )
        raise HelpCrunchRateLimitError(
            msg,
            waited=self.seconds,
            retry_after=seconds,
            status_code=refusal.status_code,
            errors=refusal.errors,
        )
