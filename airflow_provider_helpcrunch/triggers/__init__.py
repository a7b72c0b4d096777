"""Airflow triggers: they wait, and never write."""
