"""``ListApplicationsOperator``, against a sandbox over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError
from airflow_provider_helpcrunch.operators.applications import ListApplicationsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import APPLICATIONS
from airflow_provider_helpcrunch.storage import read_records

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]


def test_every_application(sandbox: StartSandbox, connection: SetConnection) -> None:
    server = sandbox()
    connection(server)
    rows = ListApplicationsOperator(task_id="applications").execute({})  # type: ignore[arg-type]
    assert rows == server.truth("applications")
    assert len(rows) == 4
    assert [request.path for request in server.journal] == ["/v1/applications"] * 3


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet", "jsonl.gz", "csv.zst"])
def test_in_a_file_of_each_format(
    suffix: str, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
) -> None:
    server = sandbox()
    connection(server)
    path = str(tmp_path / f"applications.{suffix}")
    receipt: Any = ListApplicationsOperator(task_id="applications", output_path=path).execute({})  # type: ignore[arg-type]
    assert (receipt["records"], receipt["format"]) == (4, suffix)
    assert list(read_records(receipt, table=APPLICATIONS)) == server.truth("applications")


def test_a_refused_key_costs_one_request(sandbox: StartSandbox, connection: SetConnection) -> None:
    server = sandbox(faults=[Fault("status", status=401, times=0)])
    connection(server)
    with pytest.raises(HelpCrunchAuthError):
        ListApplicationsOperator(task_id="applications").execute({})  # type: ignore[arg-type]
    assert len(server.journal) == 1
