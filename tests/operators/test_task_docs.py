"""Documentation of a task: what Airflow's user interface shows behind the button on the task's page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow_names import DAG
from every_operator import REQUIRED, every_operator

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator

pytestmark = pytest.mark.older


@pytest.mark.parametrize("operator", every_operator(), ids=lambda operator: operator.__name__)
def test_a_task_says_what_its_operator_does(operator: Any) -> None:
    task = operator(task_id="task", **REQUIRED.get(operator.__name__, {}))
    assert task.doc_md
    assert task.doc_md.endswith(".")
    assert task.doc_md == operator.__doc__.strip().partition("\n\n")[0].replace("\n    ", "\n")
    # The page renders Markdown: a role of Sphinx would stay as it is.
    assert not re.search(r":\w+:`", task.doc_md)


@pytest.mark.parametrize("argument", ["doc", "doc_json", "doc_md", "doc_rst", "doc_yaml"])
@pytest.mark.parametrize("is_default", [False, True])
def test_the_authors_own_documentation_is_kept(argument: str, *, is_default: bool) -> None:
    given = {argument: "Who can log in."}
    arguments: dict[str, Any] = {"default_args": given} if is_default else given
    task = ListAgentsOperator(task_id="task", **arguments)
    assert getattr(task, argument) == "Who can log in."
    assert argument == "doc_md" or task.doc_md is None


def test_documentation_in_the_default_args_of_a_dag_is_kept() -> None:
    with DAG(
        "audit", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args={"doc_md": "Ours."}
    ):
        assert ListAgentsOperator(task_id="task").doc_md == "Ours."


def test_a_subclass_with_a_text_of_its_own_shows_that() -> None:
    class Bosses(ListAgentsOperator):
        """
        List our bosses.

        Once a day.
        """

    assert Bosses(task_id="task").doc_md == "List our bosses."
