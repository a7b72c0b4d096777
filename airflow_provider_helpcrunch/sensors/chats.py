"""Sensor that waits until enough chats match a search."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import BaseSensorOperator, PokeReturnValue, conf
from airflow_provider_helpcrunch.operators.arguments import flag, refused, seconds, whole_number
from airflow_provider_helpcrunch.operators.base import HelpCrunchOperator
from airflow_provider_helpcrunch.operators.chats.search_arguments import ChatSearchArguments

# HTTP and the hook are imported where they are used: parsing a DAG file must cost next to nothing.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context
    from airflow_provider_helpcrunch.chats.waiting import Condition, Finder

MOST_CHATS = 1_000
"""Most chats that can be waited for: each 100 of them cost one request per poll."""

LONGEST = 365 * 86_400
SHORTEST_INTERVAL = 1.0


class ChatsSensor(ChatSearchArguments, BaseSensorOperator):
    """
    Wait until at least ``at_least`` chats match a search.

    .. code-block:: python

        ChatsSensor(
            task_id="nobody_answers",
            assignee="unassigned",
            waiting_for=timedelta(minutes=15),
            at_least=5,
            deferrable=True,
            timeout=3600,
        )

    The conditions are those of :class:`~airflow_provider_helpcrunch.operators.chats.SearchChatsOperator`, and all must
    hold. Without ``statuses``, chats must be open (neither closed nor empty), unless ``closed_since``,
    ``closed_before`` or a filter by ``chats.status`` or ``chats.closedAt`` is given.

    A poke costs one request per 100 chats that HelpCrunch finds by its part of the conditions, and ends once enough
    match. With ``deferrable``, the task pokes once, and then polls in the triggerer without a worker slot.

    The conditions and the arguments below, except ``deferrable`` and those of Airflow, are templated.

    :param at_least: number of chats to wait for, 1 to 1000 (1)
    :param older_than: only chats created at least so long ago: a ``timedelta`` or seconds. Default: all
    :param waiting_for: only chats whose customer wrote the last message, at least so long ago: a ``timedelta`` or
        seconds. A reply, an automatic one too, ends the wait; another message of the customer starts it anew. Default:
        all
    :param filters: further conditions. This and the next arguments, up to ``department``, are those of the operator
    :param comparison: how ``filters`` are joined: ``AND`` or ``OR`` (``AND``)
    :param created_since: only chats created at this time or later
    :param created_before: only chats created before this time
    :param closed_since: only chats closed at this time or later
    :param closed_before: only chats closed before this time
    :param statuses: only chats with one of these statuses, in any spelling. Default: see above
    :param assignee: only chats of the agent with this id, or ``unassigned``
    :param department: only chats of the department with this id
    :param deferrable: poll in the triggerer (Airflow's ``[operators] default_deferrable``)
    :param poke_interval: seconds between two pokes, or a ``timedelta``; at least 1 (60)
    :param timeout: seconds after which the sensor fails, or a ``timedelta`` (Airflow's ``[sensors] default_timeout``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request on the worker may wait for the rate limit and for 429s
        (600)

    API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
    """

    template_fields: Sequence[str] = (
        *HelpCrunchOperator.template_fields,
        *ChatSearchArguments.own_template_fields,
        "at_least",
        "older_than",
        "waiting_for",
    )

    def __init__(
        self,
        *,
        at_least: int | str = 1,
        older_than: timedelta | float | str | None = None,
        waiting_for: timedelta | float | str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.at_least = at_least
        self.older_than = older_than
        self.waiting_for = waiting_for
        self.deferrable = deferrable

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        self._condition()
        flag("deferrable", self.deferrable)
        if self.poke_interval < SHORTEST_INTERVAL:
            msg = f"poke_interval must be at least {SHORTEST_INTERVAL:.0f} second, not {self.poke_interval}."
            raise refused(msg)

    def perform(self, context: Context) -> list[int]:
        """
        Wait until enough chats match.

        :param context: the context of the task, from Airflow
        :return: the ids of matching chats, oldest first: at least ``at_least`` of them, but not all, because the search
            ends once there are enough
        :raises HelpCrunchError: a request failed, even after retries
        """
        # Airflow's own loop, without the guard that takes this call for one from outside of a task.
        loop = inspect.unwrap(BaseSensorOperator.execute)
        return loop(self, context)  # type: ignore[no-any-return]

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """
        Search once; with ``deferrable``, leave the rest to the trigger.

        :param context: the context of the task, from Airflow
        :return: whether enough chats match, and their ids
        :raises HelpCrunchError: a request failed, even after retries
        """
        condition = self._finder.condition
        with self.hook as hook:
            found = self._finder.find(hook.client, datetime.now(UTC))
        self.log.info("%d of at least %d chats match", len(found), condition.at_least)
        if len(found) >= condition.at_least:
            return PokeReturnValue(is_done=True, xcom_value=found)
        if flag("deferrable", self.deferrable):
            self._defer(condition)
        return False

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> list[int]:
        """
        End the wait.

        :param context: the context of the task, from Airflow
        :param event: the event of the trigger
        :return: see :meth:`perform`
        :raises HelpCrunchError: the polls failed, or there is no event
        """
        return self._without_frames(_outcome, event)

    def _defer(self, condition: Condition) -> None:
        from airflow_provider_helpcrunch.triggers.chats import ChatsTrigger

        self.defer(
            trigger=ChatsTrigger(self.helpcrunch_conn_id, condition.to_json(), self.poke_interval),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    @cached_property
    def _finder(self) -> Finder:
        """What remembers, from poke to poke, how this account can be searched."""
        from airflow_provider_helpcrunch.chats.waiting import Finder

        return Finder(self._condition())

    def _condition(self) -> Condition:
        from airflow_provider_helpcrunch.chats.waiting import Condition

        lengths = {
            name: None if value is None else seconds(name, value, high=LONGEST)
            for name, value in (("older_than", self.older_than), ("waiting_for", self.waiting_for))
        }
        at_least = whole_number("at_least", self.at_least, low=1, high=MOST_CHATS)
        return Condition(self.criteria(), at_least, **lengths)


def _outcome(event: dict[str, Any] | None) -> list[int]:
    if not event:
        from airflow_provider_helpcrunch.exceptions import HelpCrunchError

        msg = "The trigger ended without an event, so nobody knows whether chats match. Clear the task to wait again."
        raise HelpCrunchError(msg)
    if event["status"] == "error":
        from airflow_provider_helpcrunch.triggers.chats import failure_in

        raise failure_in(event)
    chats: list[int] = event["chats"]
    return chats
