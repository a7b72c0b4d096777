"""Operators about departments, the teams of a HelpCrunch account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.client.records import Table


class ListDepartmentsOperator(HelpCrunchListOperator):
    """
    List every department with its agents exactly once, into XCom or into one object.

    .. code-block:: python

        ListDepartmentsOperator(task_id="departments", output_path="/data/departments.parquet")

    Its arguments are those of :class:`.base.HelpCrunchListOperator`; all are templated.

    API: https://docs.helpcrunch.com/rest-api-v1/get-departments-v1
    """

    def table(self) -> Table:
        """Return the columns of departments."""
        from airflow_provider_helpcrunch.client.records import DEPARTMENTS

        return DEPARTMENTS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all departments."""
        return client.iter_departments(page_size=page_size)
