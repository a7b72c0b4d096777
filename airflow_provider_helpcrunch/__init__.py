"""Apache Airflow provider for HelpCrunch. Imports nothing: Airflow loads it while it is itself half loaded."""

__version__ = "0.1.0"
