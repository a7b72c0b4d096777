"""Airflow triggers: they wait, and some of them read; none changes anything in HelpCrunch."""
