"""What Airflow loads by itself in a process that runs a task; it belongs to the imports, not to the work."""

from __future__ import annotations


def load() -> None:
    """
    Load what the process of a real task has.

    A task is forked from its supervisor, and the task runner loads plugins and listeners.
    """
    import airflow.sdk.execution_time.supervisor  # noqa: F401
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()
