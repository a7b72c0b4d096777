"""What the example DAGs promise before they run: to import anywhere, without a look at the network or a connection."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.models import DagBag
from airflow.providers.common.compat.sdk import BaseHook

DAG_IDS = ["example_helpcrunch_agents_to_object_storage", "example_helpcrunch_agents_to_xcom"]


@pytest.fixture(scope="module")
def bag(dags_folder):
    def forbidden(*_, **__):
        pytest.fail("A DAG file must not look at the network or a connection when it is parsed.")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("socket", "create_connection", "getaddrinfo"):
            patch.setattr(socket, name, forbidden)
        patch.setattr(BaseHook, "get_connection", forbidden)
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        return DagBag(str(dags_folder))


def test_all_files_import_and_are_examples_of_this_provider(bag):
    assert bag.import_errors == {}
    assert sorted(bag.dags) == DAG_IDS


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_it_runs_only_on_request_and_says_what_it_is_and_whose(bag, dag_id):
    dag = bag.dags[dag_id]
    assert not dag.timetable.can_be_scheduled
    assert dag.catchup is False
    assert set(dag.tags) == {"example", "helpcrunch"}
    assert {task.owner for task in dag.tasks} == {"support-operations"}
    assert "helpcrunch_default" in dag.doc_md


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_documentation_can_include_its_snippets(dags_folder, dag_id):
    text = (dags_folder / f"{dag_id}.py").read_text()
    marks = re.findall(r"^ *# \[(START|END) (howto_\w+)\]$", text, re.MULTILINE)
    starts, ends = marks[::2], marks[1::2]
    assert [("END", name) for kind, name in starts if kind == "START"] == ends
    assert "ListAgentsOperator(" in text[text.index("[START howto_operator") : text.rindex("[END")]


@pytest.mark.parametrize(
    ("dag_run", "date"),
    [
        ({"logical_date": datetime(2026, 11, 21, 23, 59, tzinfo=UTC)}, "2026-11-21"),
        ({"logical_date": None, "run_after": datetime(2026, 11, 22, tzinfo=UTC)}, "2026-11-22"),
    ],
)
def test_the_file_is_that_of_the_day_with_and_without_a_logical_date(bag, dag_run, date):
    dag = bag.dags[DAG_IDS[0]]
    template = dag.get_template_env().from_string(dag.get_task("list_agents").output_path)
    path = template.render(dag_run=SimpleNamespace(**dag_run), params={"base_path": "s3://bucket/a"})
    assert path == f"s3://bucket/a/agents/date={date}/agents.jsonl"


@pytest.mark.parametrize(
    ("base_path", "accepted"), [("s3://bucket", True), ("/data", True), ("/data/", False), ("", False)]
)
def test_the_form_refuses_a_base_path_that_would_make_an_empty_folder(bag, base_path, accepted):
    param = bag.dags[DAG_IDS[0]].params.get_param("base_path")
    assert (param.resolve(base_path, suppress_exception=True) == base_path) is accepted
