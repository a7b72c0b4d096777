"""The Airflow hook: a connection becomes a HelpCrunch client."""
