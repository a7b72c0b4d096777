"""Airflow operators, one module per HelpCrunch resource."""
