"""Names of Airflow with which tests write DAGs, from their place in the installed version."""

from __future__ import annotations

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

__all__ = ["DAG", "OutletEvents", "task"]


class OutletEvents(list):
    """Stands for ``outlet_events``: pairs of an asset and its event; an asset of 3.0 cannot be a key of a dict."""

    def __getitem__(self, asset):
        return next(event for known, event in self if known == asset)
