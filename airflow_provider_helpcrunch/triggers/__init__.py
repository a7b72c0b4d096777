"""Airflow triggers, which only wait; they send no request."""
