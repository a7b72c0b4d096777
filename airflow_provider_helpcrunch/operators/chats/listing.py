"""Operator that lists all chats of an account, or those active since a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.client.pagination import ActivityListing
    from airflow_provider_helpcrunch.schema import Table


class ListChatsOperator(HelpCrunchListOperator):
    """
    List every chat of the account exactly once, into XCom or into one object.

    .. code-block:: python

        ListChatsOperator(
            task_id="chats", active_since="{{ data_interval_start }}", output_path="/data/{{ ds }}.parquet"
        )

    With ``active_since`` the chats come latest activity first, and the listing ends at the first older chat: one
    request per 100 active chats. Activity means a message. HelpCrunch does not show which older chats got another
    assignee, department, status or rating; list all chats from time to time to see these.

    All arguments are templated.

    :param active_since: only chats whose last message was sent at this time or later: a ``datetime``, ISO 8601 text or
        UNIX seconds; without an offset it is UTC. Default: all chats, oldest first
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

    API: https://docs.helpcrunch.com/rest-api-v1/get-chats-v1
    """

    template_fields: Sequence[str] = (*HelpCrunchListOperator.template_fields, "active_since")

    def __init__(self, *, active_since: datetime | str | int | float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.active_since = active_since

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        from airflow_provider_helpcrunch.client.timestamps import moment

        super().check_arguments()
        if self.active_since is not None:
            moment("active_since", self.active_since)

    def table(self) -> Table:
        """Return the columns of chats."""
        from airflow_provider_helpcrunch.schema import CHATS

        return CHATS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any] | ActivityListing:
        """Return all chats, or those active since ``active_since``."""
        if self.active_since is None:
            return client.iter_chats(page_size=page_size)
        return client.iter_active_chats(self.active_since, page_size=page_size)
