"""Output that the documentation shows, beside what the code writes now."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import demo
import demo_nights
import pytest
from code_blocks import CLONE, blocks, missing_tests, sample

from airflow_provider_helpcrunch.operators import exports
from airflow_provider_helpcrunch.sandbox import Sandbox

PACKAGE = CLONE / "airflow_provider_helpcrunch"

ANSWERED = "HelpCrunch accepts the API key. 29 of 32 questions are answered, with 17 requests"
HERE = ("airflow_provider_helpcrunch/\n", "manifest.json", "--constraint", "First response")
"""Beginnings of the samples that have a test below."""

ELSEWHERE = {
    "[info] Wrote 250": "tests/test_documented_commands.py",
    "[info] 23 planned": "tests/test_documented_commands.py",
    f"{ANSWERED}; nothing contradicts": "tests/check/test_command.py",
    f"{ANSWERED}; 2 contradict": "tests/check/test_command.py",
    "20 changed": "tests/operators/chats/test_eligibility.py",
    "[2024-05-01": "tests/test_reports.py",
    " acquire r": "a drawing",
    "HelpCrunch ──POST": "a drawing",
}
"""Beginnings of the others: which test has them, or why none has."""


def test_every_sample_has_a_test() -> None:
    known = [*HERE, *ELSEWHERE]
    found = [[each for each in known if block.text.startswith(each)] for block in blocks("text")]
    assert sorted(found) == sorted([each] for each in known)
    assert missing_tests(ELSEWHERE) == []


def test_the_tree_of_files_is_that_of_the_clone() -> None:
    tree = re.findall(
        r"^( {4})?(\S.*?)(?:  .*)?$", sample("CONTRIBUTING.md", "airflow_provider"), re.MULTILINE
    )
    top = [name for indent, name in tree if not indent]
    assert [name for name in top if (CLONE / name).is_dir() != name.endswith("/")] == []
    inside = [name for indent, names in tree if indent for name in names.split(", ")]
    paths = [
        path for path in PACKAGE.iterdir() if path.name not in ("__init__.py", "__pycache__", "py.typed")
    ]
    assert sorted(inside) == sorted(f"{path.name}/" if path.is_dir() else path.name for path in paths)


def test_the_requirements_of_a_managed_service_name_the_package() -> None:
    setup = ConfigParser()
    setup.read(CLONE / "setup.cfg")
    constraint, package = sample("install.md", "--constraint").splitlines()
    constraint = constraint.replace("<yours>", "3.3.2").replace("<your Python>", "3.11")
    assert re.fullmatch(
        r'--constraint "https://[^\s<>]+/constraints-3\.3\.2/constraints-3\.11\.txt"', constraint
    )
    assert package == setup["metadata"]["name"]


@pytest.fixture
def lake(
    sandbox: Callable[..., Sandbox], in_process: None, connection: Callable[..., None], tmp_path: Path
) -> Path:
    """Export the account of the demo as it is after the demo's night; return the folder."""
    account = sandbox(agents=demo.SMALL_AGENTS, chats=demo.SMALL_CHATS)
    account.night(demo.HOURS_8, **demo.NIGHT)
    connection(account, requests_per_minute=6_000)
    for name in demo_nights.RESOURCES:  # the chats come before the messages
        operator = getattr(exports, f"Export{name.title()}Operator")
        more = {"chats_path": f"{tmp_path}/chats"} if name == "messages" else {}
        task = operator(task_id=name, base_path=f"{tmp_path}/{name}", file_format="parquet", **more)
        task.execute({"run_id": "night 1"})
    return tmp_path


def test_the_layout_of_an_export(lake: Path) -> None:
    lines = sample("exports.md", "manifest.json").splitlines()
    masks = {"RUN": "[^/]+", "TOKEN": r"\w+", "00000": r"\d{5}"}
    paths = [re.escape(line.split("  ")[0]) for line in lines]
    patterns = [re.sub("|".join(masks), lambda found: masks[found[0]], path) for path in paths]
    files = {
        str(path.relative_to(lake / name))
        for name in ("chats", "messages")
        for path in (lake / name).rglob("*")
        if path.is_file()
    }
    assert [file for file in files if not any(re.fullmatch(each, file) for each in patterns)] == []
    missing = [each for each in patterns if not any(re.fullmatch(each, file) for file in files)]
    assert missing == ["staging/"], "While no run is exporting, all else is there."


def test_the_report_of_the_demo(lake: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = importlib.util.spec_from_file_location("nightly", CLONE / f"dags/{demo.DAG_NIGHTLY}.py")
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with caplog.at_level("INFO", "nightly"):
        example.report.function(str(lake))
    said = "\n".join(message for message in caplog.messages if not message.startswith("::"))
    shown, omission = sample("reports.md", "First response").split("…")
    assert (said.startswith(shown), omission) == (True, "\n"), said
