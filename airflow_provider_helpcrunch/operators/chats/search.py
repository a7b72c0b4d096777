"""Operator that lists the chats that match conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator
from airflow_provider_helpcrunch.operators.chats.search_arguments import ChatSearchArguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.schema import Record, Table


class SearchChatsOperator(ChatSearchArguments, HelpCrunchListOperator):
    """
    List every matching chat exactly once, oldest first, into XCom or into one object.

    .. code-block:: python

        SearchChatsOperator(
            task_id="new_chats",
            created_since="{{ data_interval_start }}",
            created_before="{{ data_interval_end }}",
            output_path="s3://my_aws@bucket/chats/{{ ds }}.parquet",
        )

    All conditions must hold. HelpCrunch searches by time, assignee and department. ``statuses`` and ``unassigned`` are
    checked here, because HelpCrunch spells statuses in several ways and cannot search for unassigned chats. With these
    two, all chats that meet the other conditions are read, 100 per request; narrow that with a time window.

    All arguments are templated.

    :param filters: further conditions, as ``{"field", "operator", "value"}`` (a list or its JSON text); see
        :class:`~airflow_provider_helpcrunch.client.filters.Filter`
    :param comparison: how ``filters`` are joined: ``AND`` or ``OR`` (``AND``). ``OR`` cannot be combined with times,
        ``assignee`` or ``department``
    :param created_since: only chats created at this time or later: a ``datetime``, ISO 8601 text or UNIX seconds;
        without an offset it is UTC. With a plain cron schedule, the data interval of an Airflow 3 run is empty: use
        ``CronDataIntervalTimetable`` for windows
    :param created_before: only chats created before this time
    :param closed_since: only chats closed at this time or later
    :param closed_before: only chats closed before this time
    :param statuses: only chats with one of these statuses, in any spelling: a list, one status, or JSON text
    :param assignee: only chats of the agent with this id, or ``unassigned``
    :param department: only chats of the department with this id
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the chats; default XCom (see :class:`.base.HelpCrunchListOperator`)
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: chats per request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param columns: names of the columns to keep, or of those to leave out with ``-`` before each, such as
        ``-customer.email``: see :mod:`airflow_provider_helpcrunch.privacy`. Default: all
    :param hash: names of columns whose values are replaced by hashes, such as ``customer.email``. Default: none
    :param hash_salt: the secret key of the hashes, such as ``{{ var.value.helpcrunch_hash_secret }}``; never shown
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1
    """

    template_fields: Sequence[str] = (
        *HelpCrunchListOperator.template_fields,
        *ChatSearchArguments.own_template_fields,
    )

    def table(self) -> Table:
        """Return the columns of chats."""
        from airflow_provider_helpcrunch.schema import CHATS

        return CHATS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return the chats that HelpCrunch finds by its part of the conditions."""
        criteria = self.criteria()
        return client.iter_search_chats(
            criteria.filters(), comparison=criteria.comparison, page_size=page_size
        )

    def wanted(self, records: Iterable[Record]) -> Iterable[Record]:
        """Return the chats that meet all conditions."""
        return self._matching(records)

    def _matching(self, chats: Iterable[Record]) -> Iterator[Record]:
        criteria = self.criteria()
        read = 0
        for chat in chats:
            read += 1
            if criteria.match(chat):
                yield chat
        if not read and "chats.status" in str(self.filters):
            self.log.warning(
                "Use the argument statuses, which takes any spelling: HelpCrunch documents several for each status, "
                "and a filter by one that it does not use finds nothing."
            )
