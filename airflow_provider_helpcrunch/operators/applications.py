"""Operators for applications: the widgets, apps and channels of a HelpCrunch account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.schema import Table


class ListApplicationsOperator(HelpCrunchListOperator):
    """
    List every application (widget, app or channel) exactly once, into XCom or into one object.

    .. code-block:: python

        ListApplicationsOperator(task_id="applications", output_path="s3://my_aws@bucket/applications.parquet")

    A chat has the id of its application in ``applicationId``. HelpCrunch documents no paging here, so it takes up to
    three requests to be sure of the end of the list.

    All arguments are templated.

    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the applications; default XCom (see :class:`.base.HelpCrunchListOperator`)
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: has no effect here, where there are no pages; 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    Result and errors: see :meth:`.base.HelpCrunchListOperator.perform`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-applications-v1
    """

    def table(self) -> Table:
        """Return the columns of applications."""
        from airflow_provider_helpcrunch.schema import APPLICATIONS

        return APPLICATIONS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all applications; there are no pages whose size matters."""
        return client.iter_applications()
