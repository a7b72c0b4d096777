"""The code of the README and the documentation, run as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import airflow
import pytest
import requests
import yaml
from airflow.cli import cli_parser
from airflow.models import DagBag
from code_blocks import CLONE, PAGES, Block, blocks, dag_files

from airflow_provider_helpcrunch import __main__ as package_command
from airflow_provider_helpcrunch._airflow import Connection
from airflow_provider_helpcrunch.operators.exports import ExportChatsOperator, ExportMessagesOperator
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.sandbox.__main__ import parser as sandbox_parser

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

NOT_RUN = {
    "gcloud": "needs an account at Google Cloud",
    "airflow celery": "a command of the Celery provider, which is installed for make test-distributed alone",
}
"""Commands that nothing here can run or check, with the reason."""


def the_pages_of(found: list[Block]) -> list[str]:
    return sorted({block.page.name for block in found})


def is_run_here(block: Block) -> bool:
    return not (block.is_dag or any(text in block.text for text in ELSEWHERE))


PYTHON = [block for block in blocks("python") if is_run_here(block)]
BASH = blocks("bash")


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


def commands(block: Block) -> list[list[str]]:
    """Return the words of each command of a block, without assignments before it and what follows ``<<``."""
    text = re.sub(r"<<'?(\w+)'?([^\n]*)\n.*?\n\1\n", r"\2\n", block.text, flags=re.DOTALL)
    text = re.sub(r"<[\w ]+>", "PLACEHOLDER", text)
    text = re.sub(r"> *[\w.]+", "", text)
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace, lexer.whitespace_split = " \t", True
    lexer.commenters = "#"
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(";&|()<>\n"):
            found.append([])
        elif found[-1] or not re.fullmatch(r"[A-Z_0-9]+=.*", word, re.DOTALL):
            found[-1].append(word)
    return [words for words in found if words]


@pytest.mark.parametrize("block", BASH, ids=str)
def test_bash_is_bash(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", [block for block in BASH if not block.text.startswith("duckdb")], ids=str)
def test_every_command_exists_with_its_options(block: Block, account: Sandbox) -> None:
    for words in commands(block):
        check_command(words, account)


def check_command(words: list[str], account: Sandbox) -> None:
    if any(" ".join(words).startswith(command) for command in NOT_RUN):
        return
    program, *arguments = words
    assert program in CHECKS, f"Nothing checks `{' '.join(words)}`."
    CHECKS[program](arguments, account)


def check_make(arguments: list[str], _: Sandbox) -> None:
    makefile = (CLONE / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE)


def check_airflow(arguments: list[str], _: Sandbox) -> None:
    cli_parser.get_parser().parse_args(arguments)


def check_python(arguments: list[str], _: Sandbox) -> None:
    match arguments:
        case ["-m", "airflow_provider_helpcrunch.sandbox", *options]:
            sandbox_parser().parse_args(options)
        case ["-m", "airflow_provider_helpcrunch", *options]:
            with pytest.raises(SystemExit) as ended:
                package_command.main([*options, "--help"])
            assert ended.value.code == 0
        case ["-c", code]:
            exec(code, {})
        case _:
            assert arguments == ["-"], "Only code that the block itself holds, which a test of its own runs."


def check_pip(arguments: list[str], _: Sandbox) -> None:
    metadata = ConfigParser()
    metadata.read(CLONE / "setup.cfg")
    named = {name for names in re.findall(r"\[([\w,]+)\]", " ".join(arguments)) for name in names.split(",")}
    assert arguments[0] == "install"
    assert named <= {*metadata["options.extras_require"], "socks"}


def check_curl(arguments: list[str], account: Sandbox) -> None:
    (url,) = (each for each in arguments if each.startswith("http"))
    given = dict(pairwise(arguments))
    url = re.sub(r"^http://127\.0\.0\.1:\d+", account.url.removesuffix("/v1"), url)
    try:
        requests.request(given.get("-X", "GET"), url, data=given.get("-d"), timeout=10).raise_for_status()
    finally:
        account.clear_faults()


def check_export(arguments: list[str], _: Sandbox) -> None:
    for each in arguments:
        name, _, value = each.partition("=")
        assert name.startswith("AIRFLOW_CONN_")
        assert Connection(conn_id="given", **json.loads(value)).password


def of_the_shell(*_: object) -> None:
    """Every shell has these; there is nothing of ours to check."""


CHECKS: dict[str, Callable[[list[str], Sandbox], None]] = {
    "airflow": check_airflow,
    "curl": check_curl,
    "export": check_export,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    **dict.fromkeys(("cat", "rm", "umask"), of_the_shell),
}
"""What looks at a command of a page, by its program."""


def test_what_is_not_run_is_still_there() -> None:
    bash = "\n".join(block.text for block in BASH)
    assert [command for command in NOT_RUN if command not in bash] == []
    python = "\n".join(block.text for block in blocks("python"))
    assert [text for text in ELSEWHERE if text not in python] == []


@pytest.mark.usefixtures("reader")
def test_the_measurement_of_memory_runs() -> None:
    (code,) = re.findall(r"python - <<'EOF'\n(.*?)\nEOF\n", "".join(block.text for block in BASH), re.DOTALL)
    exec(code.replace("1_000_000", "1_000"), {})


@pytest.mark.parametrize(
    "block", blocks("sql") + [block for block in BASH if block.text.startswith("duckdb")], ids=str
)
def test_sql_runs_on_exports(block: Block, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(lake)
    text = re.sub(r"^duckdb <<'SQL'\n|^SQL\n|^\.(?:mode|once).*\n", "", block.text, flags=re.MULTILINE)
    for name in re.findall(r"^\.read (\S+)$", text, re.MULTILINE):
        text = text.replace(f".read {name}\n", (CLONE / name).read_text(encoding="utf-8") + ";\n")
    with duckdb.connect() as connection:
        assert connection.execute(text).fetchall()


@pytest.mark.parametrize("block", blocks("json", "yaml"), ids=str)
def test_data_can_be_read(block: Block) -> None:
    if block.language == "json":
        assert [json.loads(line) for line in block.text.splitlines()]
        return
    text = yaml.safe_load(block.text)
    for connection in text.get("stringData", {}).values():
        assert Connection(conn_id="given", **json.loads(connection)).password


def test_every_language_is_one_that_is_run_or_read_here() -> None:
    fences = {
        word for page in PAGES for word in re.findall(r"^ *```(\w+)", page.read_text(encoding="utf-8"), re.M)
    }
    assert fences == {"python", "bash", "sql", "json", "yaml", "text"}
