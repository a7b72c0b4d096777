"""Arguments of a search for chats, which the operator that lists them and the sensor that waits for them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.operators.arguments import filter_list, names, record_id
from airflow_provider_helpcrunch.operators.base import HelpCrunchOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_helpcrunch.chats.criteria import Criteria
    from airflow_provider_helpcrunch.client import Filter


class ChatSearchArguments(HelpCrunchOperator):
    """
    Base of what searches chats: see :class:`.search.SearchChatsOperator` for the arguments.

    :param filters: further conditions (none)
    :param comparison: how ``filters`` are joined: ``AND`` or ``OR`` (``AND``)
    :param created_since: only chats created at this time or later. Default: no bound, as for the three others
    :param created_before: only chats created before this time
    :param closed_since: only chats closed at this time or later
    :param closed_before: only chats closed before this time
    :param statuses: only chats with one of these statuses. Default: see the class
    :param assignee: only chats of the agent with this id, or ``unassigned``. Default: all
    :param department: only chats of the department with this id. Default: all
    """

    own_template_fields: Sequence[str] = (
        "filters",
        "comparison",
        "created_since",
        "created_before",
        "closed_since",
        "closed_before",
        "statuses",
        "assignee",
        "department",
    )
    template_fields_renderers = {"filters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        filters: Sequence[Filter | dict[str, Any]] | str = (),
        comparison: str = "AND",
        created_since: datetime | str | int | float | None = None,
        created_before: datetime | str | int | float | None = None,
        closed_since: datetime | str | int | float | None = None,
        closed_before: datetime | str | int | float | None = None,
        statuses: Sequence[str] | str | None = None,
        assignee: int | str | None = None,
        department: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.comparison = comparison
        self.created_since = created_since
        self.created_before = created_before
        self.closed_since = closed_since
        self.closed_before = closed_before
        self.statuses = statuses
        self.assignee = assignee
        self.department = department

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        self.criteria()

    def criteria(self) -> Criteria:
        """
        Return the conditions, validated.

        :raises HelpCrunchConfigurationError: one of them is wrong
        """
        from airflow_provider_helpcrunch.chats.criteria import Criteria
        from airflow_provider_helpcrunch.client.vocabulary import known_status

        statuses = None if self.statuses is None else names("statuses", self.statuses)
        anybody = self.assignee is None
        return Criteria(
            given=tuple(filter_list(self.filters)),
            comparison=self.comparison,
            times={
                name: getattr(self, name)
                for name in ("created_since", "created_before", "closed_since", "closed_before")
            },
            statuses=None if statuses is None else frozenset(known_status(word) for word in statuses),
            unassigned=not anybody and is_nobody(self.assignee),
            assignee=None if is_nobody(self.assignee) else record_id("assignee", self.assignee),
            department=None if self.department is None else record_id("department", self.department),
        )
