"""The code of the README and the documentation, run as it stands there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
import pytest
import yaml
from airflow.models import DagBag
from code_blocks import PAGES, Block, blocks, dag_files, missing_tests

from airflow_provider_helpcrunch._airflow import BaseHook
from airflow_provider_helpcrunch.operators.exports import ExportChatsOperator, ExportMessagesOperator
from airflow_provider_helpcrunch.sandbox import Sandbox

FRAGMENTS = """
from airflow import DAG
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

"""
"""What a line of ``docs/workers.md`` that shows one argument needs around it."""

ELSEWHERE = {
    "import dlt": "tests/site/test_recipes.py: dlt is not installed beside Airflow",
    "from pydantic_ai": "tests/site/test_recipes.py: Pydantic AI is not installed beside Airflow",
    "import boto3": "tests/client/test_webhook_recipe.py: the queue of Amazon is moto's there",
    "MessageQueueTrigger": "the same: Airflow's common.messaging provider is not installed",
    "# conftest.py": "tests/sandbox/test_documented_tests.py: a project of its own, run with pytest",
    "# test_my_dag.py": "the same",
    "def test_a_broken_connection": "the same",
}
"""Python that another test runs, by a text in it."""


def the_pages_of(found: list[Block]) -> list[str]:
    return sorted({block.page.name for block in found})


def is_run_here(block: Block) -> bool:
    return not (block.is_dag or any(text in block.text for text in ELSEWHERE))


PYTHON = [block for block in blocks("python") if is_run_here(block)]


@pytest.fixture(scope="module")
def account() -> Iterator[Sandbox]:
    with Sandbox(agents=40, chats=60, rate_limit=None, now="2026-01-31") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def lake(account: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with exports below ``lake``, as the page on reports reads them."""
    pytest.importorskip("duckdb")
    folder = tmp_path_factory.mktemp("exports")
    paths = {name: str(folder / "lake" / name) for name in ("chats", "messages")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", account.connection(requests_per_minute=6_000))
        common: dict[str, Any] = {"file_format": "parquet"}
        ExportChatsOperator(task_id="chats", base_path=paths["chats"], **common).execute({"run_id": "day 0"})
        ExportMessagesOperator(
            task_id="messages", chats_path=paths["chats"], base_path=paths["messages"], **common
        ).execute({"run_id": "day 0"})
    return folder


@pytest.fixture
def reader(account: Sandbox, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader with a connection, in a directory with exports."""
    monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", account.connection(requests_per_minute=6_000))
    monkeypatch.chdir(lake)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("page", the_pages_of(PYTHON))
def test_python_runs_from_the_first_block_of_a_page_to_the_last(page: str) -> None:
    names: dict[str, Any] = {"__name__": "documented"}
    for block in (block for block in PYTHON if block.page.name == page):
        text = block.for_airflow(airflow.__version__)
        if re.match(r"(List|Reassign)\w+Operator\(", text):
            text = FRAGMENTS + f'with DAG("fragment", schedule=None):\n    {text}'
        exec(compile(text, str(block), "exec"), names)  # the page is ours


def test_every_dag_of_the_pages_can_be_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    ids = dag_files(tmp_path, airflow.__version__)
    assert len(ids) == len(set(ids)) > 10
    bag = DagBag(str(tmp_path))
    assert bag.import_errors == {}
    assert sorted(bag.dags) == sorted(ids)
    assert all(dag.tasks for dag in bag.dags.values())


def test_what_is_run_elsewhere_is_still_there() -> None:
    python = "\n".join(block.text for block in blocks("python"))
    assert [text for text in ELSEWHERE if text not in python] == []
    assert missing_tests(ELSEWHERE) == []


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql_runs_on_exports(block: Block, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(lake)
    with duckdb.connect() as connection:
        assert connection.execute(block.text).fetchall()


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_can_be_read(block: Block) -> None:
    assert [json.loads(line) for line in block.text.splitlines()]


def test_the_pod_template_takes_connections_from_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    pod, secret = (yaml.safe_load(block.text) for block in blocks("yaml"))
    (container,) = pod["containers"]
    assert container["name"] == "base", "Airflow runs tasks in the container of this name."
    references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    assert {each["name"] for each in references.values()} == {secret["metadata"]["name"]}
    for name, each in references.items():
        monkeypatch.setenv(name, secret["stringData"][each["key"]])
    helpcrunch, redis = (BaseHook.get_connection(f"{name}_default") for name in ("helpcrunch", "redis"))
    assert (helpcrunch.conn_type, helpcrunch.password) == ("helpcrunch", "your-key")
    assert helpcrunch.extra_dejson == {"rate_limit_conn_id": "redis_default"}
    assert (redis.conn_type, redis.host, redis.port) == ("redis", "redis.airflow.svc", 6379)
    assert (bool(redis.password), redis.extra_dejson) == (True, {"db": 1})


def test_every_fence_has_a_language_that_is_run_or_read_by_a_test() -> None:
    fences = {
        fence
        for page in PAGES
        for fence in re.findall(
            r"^ *```(.*)\n(?s:.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert fences == {"python", "bash", "sql", "json", "yaml", "text"}
