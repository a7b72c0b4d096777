"""The wheel as a user gets it: its content, and its life beside both lines of Airflow in an empty environment."""

from __future__ import annotations

import email
import email.message
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from installations import (
    CLONE,
    KEY,
    LINES,
    PACKAGE,
    PYTHONS,
    UV,
    check_dags,
    check_imports,
    find_python,
    install,
    own_env,
    run,
    serving,
)

from airflow_provider_helpcrunch import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

# In one process, when pytest-xdist has several: each would make all environments.
pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("wheel")]

LISTING = """
import os

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.sandbox import Sandbox

with Sandbox(agents=250) as sandbox:
    os.environ["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = sandbox.connection()
    ListAgentsOperator(task_id="agents", output_path="agents.jsonl").execute({})
    lines = open("agents.jsonl").read().splitlines()
    print(f"{len(lines)} agents, {len(sandbox.agents)} in the account")
"""


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="session", params=LINES)
def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wheel: Path
) -> Path:
    """An empty environment with Airflow and the wheel, and of the rest only what the two need."""
    line: str = request.param
    # Airflow 2.11 and 3.0 do not run on the newest Python, and the environment of 2.11 has one that all of them know.
    known_by_all = CLONE / ".venv" / ("airflow3" if line == "airflow3" else "airflow2") / "bin/python"
    path = tmp_path_factory.mktemp(line) / "venv"
    install(path, line, known_by_all.resolve(), wheel, "sandbox")
    return path


@pytest.fixture
def airflow_env(environment: Path, tmp_path: Path) -> dict[str, str]:
    return own_env(environment, tmp_path)


@pytest.fixture
def sandbox(environment: Path, tmp_path: Path) -> Iterator[str]:
    """The base URL of a local HelpCrunch that the installed wheel itself serves."""
    with serving(environment / "bin/python", tmp_path) as url:
        yield url


class TestContent:
    def test_wheel_holds_the_package_alone(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        assert {name.split("/")[0] for name in names} == {PACKAGE, f"{PACKAGE}-{__version__}.dist-info"}
        assert f"{PACKAGE}/py.typed" in names
        assert not [name for name in names if "__pycache__" in name or "/tests/" in name]

    def test_wheel_holds_every_module(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            packed = {name for name in archive.namelist() if name.endswith(".py")}
        assert packed == {str(path.relative_to(CLONE)) for path in (CLONE / PACKAGE).rglob("*.py")}

    def test_wheel_holds_every_report(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            packed = {name for name in archive.namelist() if name.endswith(".sql")}
        assert packed == {str(path.relative_to(CLONE)) for path in (CLONE / PACKAGE / "sql").glob("*.sql")}
        assert packed

    def test_source_distribution_can_be_built_and_read(self, distributions: Path) -> None:
        (path,) = distributions.glob("*.tar.gz")
        with tarfile.open(path) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", f"{PACKAGE}/py.typed"} <= names
        assert not [name for name in names if name.startswith((".venv", ".tmp", "build/", "dist/"))]

    def test_metadata(self, metadata: email.message.Message) -> None:
        assert metadata["Name"] == "airflow-provider-helpcrunch"
        assert metadata["License-Expression"] == "Apache-2.0"
        assert metadata["Requires-Python"] == ">=3.11"
        urls = {url.partition(", ")[0] for url in metadata.get_all("Project-URL", [])}
        assert {"Source", "Changelog", "Issues", "Documentation"} <= urls
        assert metadata["Maintainer"]
        assert "Typing :: Typed" in metadata.get_all("Classifier", [])
        extras = {"sandbox", "parquet", "redis", "s3", "gcs", "azure", "duckdb", "dev"}
        assert set(metadata.get_all("Provides-Extra", [])) == extras

    def test_links_of_the_description_work_on_a_package_index(self, metadata: email.message.Message) -> None:
        links = re.findall(r"\]\(([^)\s]+)\)", metadata.get_payload())
        assert len(links) > 20
        assert [link for link in links if not link.startswith(("https://", "#"))] == []

    def test_source_distribution_holds_the_documentation(self, distributions: Path) -> None:
        (path,) = distributions.glob("*.tar.gz")
        with tarfile.open(path) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {str(page.relative_to(CLONE)) for page in (CLONE / "docs").iterdir()} <= names


class TestInstalled:
    def test_airflow_lists_the_provider(self, environment: Path, airflow_env: dict[str, str]) -> None:
        said = run("airflow", "providers", "list", "--output", "json", env=airflow_env)
        # Airflow 3.0 logs to the same stream, above.
        listed = json.loads(said[said.index("[{") :])
        versions = {provider["package_name"]: provider["version"] for provider in listed}
        assert versions["airflow-provider-helpcrunch"] == __version__

    def test_airflow_tests_the_connection(
        self, environment: Path, airflow_env: dict[str, str], sandbox: str
    ) -> None:
        airflow_env["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = json.dumps(
            {"conn_type": "helpcrunch", "host": sandbox, "password": KEY}
        )
        run("airflow", "db", "migrate", env=airflow_env)
        said = run("airflow", "connections", "test", "helpcrunch_default", env=airflow_env)
        assert "success" in said.lower()
        assert KEY not in said

    def test_a_wrong_key_is_told(self, environment: Path, airflow_env: dict[str, str], sandbox: str) -> None:
        airflow_env["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = json.dumps(
            {"conn_type": "helpcrunch", "host": sandbox, "password": "not-the-key"}
        )
        run("airflow", "db", "migrate", env=airflow_env)
        command = [
            shutil.which("airflow", path=airflow_env["PATH"]) or "",
            "connections",
            "test",
            "helpcrunch_default",
        ]
        done = subprocess.run(command, env=airflow_env, capture_output=True, text=True, timeout=300)
        assert "Connection failed" in done.stdout
        assert "API key" in done.stdout
        assert "not-the-key" not in done.stdout + done.stderr

    def test_every_module_can_be_imported(self, environment: Path, airflow_env: dict[str, str]) -> None:
        check_imports(environment / "bin/python", airflow_env, "sandbox")

    def test_a_listing_and_a_reassignment_run(
        self, environment: Path, airflow_env: dict[str, str], sandbox: str
    ) -> None:
        run("airflow", "db", "migrate", env=airflow_env)
        check_dags(environment / "bin/python", airflow_env, sandbox)


@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_lists_on_each_python(version: str, wheel: Path, tmp_path: Path) -> None:
    interpreter = find_python(version)
    if interpreter is None:
        pytest.skip(f"PYTHON {version} IS NOT ON THIS MACHINE: the wheel was not tried on it")
    python = install(tmp_path / "venv", "airflow3", interpreter, wheel, "sandbox")
    own = own_env(tmp_path / "venv", tmp_path)
    said = run(python, "-c", LISTING, env=own, cwd=tmp_path)
    assert said.splitlines()[-1] == "250 agents, 250 in the account"


def test_the_pinned_install_line_refuses_an_older_airflow(wheel: Path, tmp_path: Path) -> None:
    command = [
        UV,
        "pip",
        "install",
        "--dry-run",
        "--python",
        sys.executable,
        "apache-airflow==2.10.5",
        str(wheel),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "apache-airflow>=2.11.0" in done.stderr
