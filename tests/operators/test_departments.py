"""``ListDepartmentsOperator``, against a sandbox over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import DEPARTMENTS
from airflow_provider_helpcrunch.storage import read_records

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]


@pytest.mark.parametrize("departments", [0, 1, 5, 130])
def test_every_department_with_its_agents(
    departments: int, sandbox: StartSandbox, connection: SetConnection
) -> None:
    server = sandbox(agents=40, departments=departments)
    connection(server)
    rows = ListDepartmentsOperator(task_id="departments").execute({})
    assert rows == server.departments
    assert {request.path for request in server.journal} == {"/v1/departments"}


@pytest.mark.parametrize("suffix", ["jsonl.gz", "parquet"])
def test_nested_agents_survive_a_file(
    suffix: str, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
) -> None:
    server = sandbox(agents=40)
    connection(server)
    path = str(tmp_path / f"departments.{suffix}")
    receipt = ListDepartmentsOperator(task_id="departments", output_path=path).execute({})
    assert (receipt["records"], receipt["format"]) == (5, suffix)
    assert list(read_records(receipt, table=DEPARTMENTS)) == server.departments


def test_the_log_names_departments(
    sandbox: StartSandbox, connection: SetConnection, task_log: Callable[[Any], list[str]]
) -> None:
    connection(sandbox())
    operator = ListDepartmentsOperator(task_id="departments")
    lines = task_log(operator)
    operator.execute({})
    assert [line.partition(" (")[0] for line in lines] == ["Listed 5 departments"]


def test_a_refused_key_costs_one_request(sandbox: StartSandbox, connection: SetConnection) -> None:
    server = sandbox(faults=[Fault("status", status=401, times=0)])
    connection(server)
    with pytest.raises(HelpCrunchAuthError):
        ListDepartmentsOperator(task_id="departments").execute({})
    assert len(server.journal) == 1


def test_roles_are_none_of_its_business() -> None:
    with pytest.raises(Exception, match="roles"):
        ListDepartmentsOperator(task_id="departments", roles=["admin"])
