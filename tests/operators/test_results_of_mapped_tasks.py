"""Mapped tasks that would all write the same object are refused before the first request, and others are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_names import DAG
from every_operator import REQUIRED, every_operator

from airflow_provider_helpcrunch._airflow import ObjectStoragePath
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.older

WRITING = [(operator, name) for operator in every_operator() for name in operator.arguments_that_name_results]


@pytest.fixture
def server(
    sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task_log: Any
) -> Sandbox:
    task_log(ListAgentsOperator(task_id="log"))
    started = sandbox(agents=5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", started.connection())
    return started


def context(number: int) -> Any:
    return {"ti": SimpleNamespace(map_index=number), "run_id": "run"}


def test_every_operator_that_writes_is_concerned() -> None:
    concerned = {operator.__name__ for operator, _ in WRITING}
    others = {operator.__name__ for operator in every_operator()} - concerned
    assert others == {"ChatsSensor", "SendMessageOperator", "UpdateChatAssigneeOperator"}


@pytest.mark.parametrize(("operator", "name"), WRITING)
@pytest.mark.parametrize("path", ["here/result.jsonl", Path("here/result.jsonl")])
def test_one_path_for_all(operator: Any, name: str, path: Any, server: Sandbox, tmp_path: Path) -> None:
    given = {**REQUIRED.get(operator.__name__, {}), name: path}
    with DAG("dag", schedule=None):
        mapped = operator.partial(task_id="task", **given).expand(patience=[1, 2])
    task = mapped.unmap({"patience": 2})
    with pytest.raises(
        HelpCrunchConfigurationError, match=f"^{name} is the same for all mapped tasks.*map_index"
    ):
        task.execute(context(1))
    assert server.journal == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["all.jsonl", "all{# of them #}.jsonl", ObjectStoragePath("file:///tmp/all.jsonl")]
)
def test_one_path_for_all_in_a_mapped_group(path: Any, server: Sandbox) -> None:
    with DAG("dag", schedule=None):
        task = ListAgentsOperator(task_id="task", output_path=path)
    task.render_template_fields({})  # type: ignore[typeddict-item]
    with pytest.raises(HelpCrunchConfigurationError, match="is the same for all mapped tasks"):
        task.execute(context(1))
    assert server.journal == []


def test_the_first_may_be_the_only_one(server: Sandbox) -> None:
    with DAG("dag", schedule=None):
        mapped = ListAgentsOperator.partial(task_id="task", output_path="all.jsonl").expand(roles=["admin"])
    assert mapped.unmap({"roles": "admin"}).execute(context(0))["path"].endswith("/all.jsonl")


def test_paths_of_their_own(server: Sandbox) -> None:
    with DAG("dag", schedule=None):
        mapped = ListAgentsOperator.partial(task_id="paths").expand(output_path=["a.jsonl", "b.jsonl"])
        group = ListAgentsOperator(task_id="group", output_path="{{ ti.map_index }}.jsonl")
    assert mapped.unmap({"output_path": "b.jsonl"}).execute(context(1))["path"].endswith("/b.jsonl")
    group.render_template_fields(context(3))
    assert group.execute(context(3))["path"].endswith("/3.jsonl")


def test_a_dag_may_write_its_templates_with_other_signs(server: Sandbox) -> None:
    signs = {"variable_start_string": "[[", "variable_end_string": "]]"}
    with DAG("dag", schedule=None, jinja_environment_kwargs=signs):
        task = ListAgentsOperator(task_id="task", output_path="[[ ti.map_index ]].jsonl")
    task.render_template_fields(context(3))
    assert task.execute(context(3))["path"].endswith("/3.jsonl")
