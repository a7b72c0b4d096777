"""What tests use of Airflow to write DAGs, from where the installed version has it."""

from __future__ import annotations

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

__all__ = ["DAG", "OutletEvents", "task"]


class OutletEvents(list):
    """Stands for ``outlet_events``: pairs of an asset and its event, as an asset of Airflow 3.0 is no key of a dict."""

    def __getitem__(self, asset):
        return next(event for known, event in self if known == asset)
