"""
Storage of records: a stream becomes one object in any storage that Airflow supports, complete or not at all, and is
read back.

::

    target = Target.resolve("s3://aws_default@lake/agents.parquet", AGENTS)   # refuses what cannot work, at once
    receipt = target.write(records)                                           # {"path", "records", "bytes", "format"}
    for record in read_records(receipt):
        ...

Only the column types of a table depend on HelpCrunch's API. Memory does not grow with the number of records, neither
when writing nor when reading. PyArrow and zstandard are imported only when a format needs them.
"""

from __future__ import annotations

from airflow_provider_helpcrunch.storage.reading import read_records
from airflow_provider_helpcrunch.storage.target import Receipt, Target

__all__ = ["Receipt", "Target", "read_records"]
