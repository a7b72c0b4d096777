"""The commands of the README and the documentation, run by bash from top to bottom of a page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import airflow
import pytest
from code_blocks import CLONE, Block, blocks, missing_tests
from redis_server import RedisServer
from terminal import REDIS_PASSWORD, Terminal, commands

BASH = blocks("bash")

ELSEWHERE = {
    "duckdb <<": "tests/site/test_reports_on_the_command_line.py: needs DuckDB's command line",
    "airflow celery worker": "tests/distributed/test_documented_worker.py: needs Celery",
    "gcloud": "nowhere: needs an account at Google Cloud",
}
"""Blocks that are not run here, by a text in them: where they are run, and why not here."""

CONNECTION_TEST = "AIRFLOW__CORE__TEST_CONNECTION=Enabled airflow connections test helpcrunch_default"

SAYS = {
    "make demo": "python scripts/demo.py",
    "make build": "python -m build",
    "airflow connections add": "Successfully added `conn_id`=helpcrunch_default",
    CONNECTION_TEST: "Connection success!",
    "airflow dags test helpcrunch_first_steps": "Listed 250 agents",
    "airflow variables set": "Variable helpcrunch_hash_secret created",
    "airflow pools set": "Pool helpcrunch created",
    "helpcrunch check": "29 of 32 questions are answered",
    "_sandbox/summary": '"busiest_60_s":0',
    "_sandbox/faults": '"kind":"drip"',
    "import tracemalloc": "24.0 bytes on disk, 122.9",
    "import files": f"{CLONE}/airflow_provider_helpcrunch/sql",
}
"""What a block prints, by a text in it."""

MORE = {
    "README.md": {
        "cat ~/agents.jsonl": "sami.rossi.1001@shop.example",
        "airflow dags test helpcrunch_agent_leaves": "dry run: nothing was changed",
    },
    "install.md": {"wc --lines ~/agents.jsonl": "250 "},
    "security.md": {
        CONNECTION_TEST: "Connection success!",
        "test -e helpcrunch.json || echo deleted": "deleted",
    },
    # The command does not wait for the minute after which a new Redis can be trusted; a slow machine may be past it.
    "workers.md": {f"{CONNECTION_TEST} || true": "is new or lost its count|Connection success"},
}
"""What is run after the blocks of a page to see what they did or what the page shows, and a pattern of its output."""

PRINTED = ("[info] Wrote 250", '{"id":1001', "[info] 23 planned")
"""Beginnings of the samples of output that the commands of their pages print."""


def is_run_here(block: Block) -> bool:
    return bool(commands(block.text)) and not any(text in block.text for text in ELSEWHERE)


RUN = [block for block in BASH if is_run_here(block)]


def pages() -> list[Path]:
    """Return the pages with commands that are not all on another page too."""
    texts = {
        page: {block.text for block in RUN if block.page == page} for page in {block.page for block in RUN}
    }
    return sorted(page for page, own in texts.items() if not any(own < other for other in texts.values()))


def pattern(line: str) -> str:
    """Return the pattern of a line of a sample: a home and a duration may be any."""
    found = re.escape(line.removeprefix("[info] "))
    return found.replace(re.escape("/home/ann"), r"\S+").replace(re.escape("0.0 s"), r"\d+(\.\d)? s")


def is_printed(sample: str, said: str) -> bool:
    """Say whether all lines of a sample come in their order, with others between them."""
    printed = iter(said.splitlines())
    patterns = [pattern(line) for line in sample.splitlines() if line != "…"]
    return all(any(re.search(each, line) for line in printed) for each in patterns)


@pytest.mark.parametrize("block", BASH, ids=str)
def test_bash_is_bash(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def redis(redis_server: Callable[..., RedisServer]) -> RedisServer:
    return redis_server("--requirepass", REDIS_PASSWORD)


@pytest.fixture
def terminal(tmp_path: Path, redis: RedisServer) -> Terminal:
    """A terminal on a machine with a Redis, which has a password and no certificate."""
    return Terminal(
        tmp_path, {"redis.example": "127.0.0.1", "6379": str(redis.port), '"ssl": true': '"ssl": false'}
    )


@pytest.mark.long
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, terminal: Terminal, redis: RedisServer) -> None:
    for number, dag in enumerate(block for block in blocks("python") if block.page == page and block.is_dag):
        (terminal.dags / f"dag_{number}.py").write_text(dag.for_airflow(airflow.__version__))
    texts, more = [block.text for block in RUN if block.page == page], MORE.get(page.name, {})
    said = dict(zip([*texts, *more], terminal.run([*texts, *more]), strict=True))
    expected = [(text, words) for text in texts for part, words in SAYS.items() if part in text]
    wrong = [(text, words, said[text]) for text, words in expected if words not in said[text]]
    wrong += [(text, words, said[text]) for text, words in more.items() if not re.search(words, said[text])]
    assert wrong == []
    for block in blocks("text", "json"):
        if block.page == page and block.text.startswith(PRINTED):
            assert is_printed(block.text, "\n".join(said.values())), (str(block), said)
    with redis.admin(REDIS_PASSWORD) as admin:
        assert list(admin.info("keyspace")) == (["db1"] if page.name == "workers.md" else [])


def test_every_expectation_is_of_a_block() -> None:
    bash = "\n".join(block.text for block in BASH)
    assert [text for text in [*ELSEWHERE, *SAYS] if text not in bash] == []
    assert missing_tests(ELSEWHERE) == []
    assert set(MORE) <= {page.name for page in pages()}
    samples = [block.text for block in blocks("text", "json")]
    assert [text for text in PRINTED if not any(sample.startswith(text) for sample in samples)] == []
