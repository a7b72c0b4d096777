"""Operators for departments, the teams of a HelpCrunch account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.schema import Table


class ListDepartmentsOperator(HelpCrunchListOperator):
    """
    List every department with its agents exactly once, into XCom or into one object.

    .. code-block:: python

        ListDepartmentsOperator(task_id="departments", output_path="s3://my_aws@bucket/departments.parquet")

    All arguments are templated.

    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the departments; default XCom (see :class:`.base.HelpCrunchListOperator`)
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: departments per request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param columns: names of the columns to keep, or of those to leave out with ``-`` before each, such as
        ``-customer.email``: see :mod:`airflow_provider_helpcrunch.privacy`. Default: all
    :param hash: names of columns whose values are replaced by hashes, such as ``customer.email``. Default: none
    :param hash_salt: the secret key of the hashes, such as ``{{ var.value.helpcrunch_hash_secret }}``; never shown
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    Result and errors: see :meth:`.base.HelpCrunchListOperator.perform`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-departments-v1
    """

    def table(self) -> Table:
        """Return the columns of departments."""
        from airflow_provider_helpcrunch.schema import DEPARTMENTS

        return DEPARTMENTS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all departments."""
        return client.iter_departments(page_size=page_size)
