"""Airflow hook for HelpCrunch."""
