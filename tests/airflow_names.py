"""Names of Airflow with which tests write DAGs, from their place in the installed version."""

from __future__ import annotations

try:
    from airflow.sdk import DAG, Variable, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.variable import Variable

__all__ = ["DAG", "OutletEvents", "Variable", "task"]


class OutletEvents(list):
    """Stands for ``outlet_events``: pairs of an asset and its event; an asset of 3.0 cannot be a key of a dict."""

    def __getitem__(self, asset):
        return next(event for known, event in self if known == asset)
