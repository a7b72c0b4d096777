"""What tests use of Airflow to write DAGs, from where the installed version has it."""

from __future__ import annotations

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

__all__ = ["DAG", "task"]
