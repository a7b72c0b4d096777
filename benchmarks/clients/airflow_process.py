"""Modules that Airflow itself loads in the process of a task; they count as imports, not as work."""

from __future__ import annotations


def load() -> None:
    """
    Load the modules that the process of a real task has.

    A task is forked from its supervisor, and the task runner loads plugins and listeners.
    """
    import airflow.sdk.execution_time.supervisor  # noqa: F401
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()
