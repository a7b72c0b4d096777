"""Operators that list the customers of a HelpCrunch account: all of them, or those that match conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import choice, filter_list, names, text
from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from airflow_provider_helpcrunch.client import Filter, HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.operators.customer_criteria import CustomerCriteria
    from airflow_provider_helpcrunch.schema import Record, Table


class ListCustomersOperator(HelpCrunchListOperator):
    """
    List every customer of the account exactly once, first seen first, into XCom or into one object.

    .. code-block:: python

        ListCustomersOperator(task_id="customers", output_path="s3://my_aws@bucket/customers/{{ ds }}.parquet")

    One request per 100 customers. In CSV and Parquet ``customData`` is JSON text, because its attributes differ from
    account to account.

    All arguments are templated.

    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the customers; default XCom (see :class:`.base.HelpCrunchListOperator`)
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: customers per request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    Result and errors: see :meth:`.base.HelpCrunchListOperator.perform`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-customers-v1
    """

    def table(self) -> Table:
        """Return the columns of customers."""
        from airflow_provider_helpcrunch.schema import CUSTOMERS

        return CUSTOMERS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all customers."""
        return client.iter_customers(page_size=page_size)


class SearchCustomersOperator(HelpCrunchListOperator):
    """
    List every matching customer exactly once, first seen first, into XCom or into one object.

    .. code-block:: python

        SearchCustomersOperator(
            task_id="visitors",
            seen_since="{{ data_interval_start }}",
            tags=["vip", "trial"],
            match_tags="any",
            output_path="s3://my_aws@bucket/visitors/{{ ds }}.parquet",
        )

    All conditions must hold. HelpCrunch searches by them, and each customer that it sends is checked here as well, in
    case it ignored one. Texts and tags are compared without regard to case. HelpCrunch cannot join "one of these tags"
    with other conditions: then all customers that meet the others are read, 100 per request.

    HelpCrunch keeps only the time at which a customer was last seen, so in a series of windows a customer is in that of
    the latest visit. Custom attributes cannot be searched.

    All arguments are templated.

    :param filters: further conditions, as ``{"field", "operator", "value"}`` (a list or its JSON text); see
        :class:`~airflow_provider_helpcrunch.client.filters.Filter` and
        :data:`~airflow_provider_helpcrunch.client.filters.CUSTOMER_FIELDS`
    :param comparison: how ``filters`` are joined: ``AND`` or ``OR`` (``AND``). ``OR`` cannot be combined with the other
        conditions
    :param seen_since: only customers last seen at this time or later: a ``datetime``, ISO 8601 text or UNIX seconds;
        without an offset it is UTC
    :param seen_before: only customers last seen before this time
    :param email: only customers with this email address
    :param user_id: only customers with this id of your own system (``userId``)
    :param company: only customers of this company
    :param tags: only customers with these tags: a list of names, one name, or JSON text
    :param match_tags: whether a customer must have ``all`` of the tags, or ``any`` one of them (``all``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the customers; default XCom (see :class:`.base.HelpCrunchListOperator`)
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: customers per request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    Result and errors: see :meth:`.base.HelpCrunchListOperator.perform`.

    API: https://docs.helpcrunch.com/rest-api-v1/search-customers-v1
    """

    template_fields: Sequence[str] = (
        *HelpCrunchListOperator.template_fields,
        "filters",
        "comparison",
        "seen_since",
        "seen_before",
        "email",
        "user_id",
        "company",
        "tags",
        "match_tags",
    )
    template_fields_renderers = {"filters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        filters: Sequence[Filter | dict[str, Any]] | str = (),
        comparison: str = "AND",
        seen_since: datetime | str | int | float | None = None,
        seen_before: datetime | str | int | float | None = None,
        email: str | None = None,
        user_id: str | int | None = None,
        company: str | None = None,
        tags: Sequence[str] | str | None = None,
        match_tags: str = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.comparison = comparison
        self.seen_since = seen_since
        self.seen_before = seen_before
        self.email = email
        self.user_id = user_id
        self.company = company
        self.tags = tags
        self.match_tags = match_tags

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        self._criteria()

    def table(self) -> Table:
        """Return the columns of customers."""
        from airflow_provider_helpcrunch.schema import CUSTOMERS

        return CUSTOMERS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return the customers that HelpCrunch finds by its part of the conditions."""
        filters, comparison = self._criteria().search()
        return client.iter_search_customers(filters, comparison=comparison, page_size=page_size)

    def wanted(self, records: Iterable[Record]) -> Iterable[Record]:
        """Return the customers that meet all conditions."""
        return filter(self._criteria().match, records)

    def _criteria(self) -> CustomerCriteria:
        from airflow_provider_helpcrunch.operators.customer_criteria import CustomerCriteria

        texts = (("email", self.email), ("user_id", self.user_id), ("company", self.company))
        return CustomerCriteria(
            given=tuple(filter_list(self.filters)),
            comparison=self.comparison,
            times={"seen_since": self.seen_since, "seen_before": self.seen_before},
            texts={
                "userId" if name == "user_id" else name: text(name, value)
                for name, value in texts
                if value is not None
            },
            tags=() if self.tags is None else tuple(sorted(names("tags", self.tags))),
            any_tag=choice("match_tags", self.match_tags, ("all", "any")) == "any",
        )
