"""The wheel as a user gets it: its content, and its life beside both lines of Airflow in an empty environment."""

from __future__ import annotations

import email
import email.message
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_helpcrunch import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.packaging

CLONE = Path(__file__).resolve().parents[2]
UV = CLONE / ".venv/tools/bin/uv"
PACKAGE = "airflow_provider_helpcrunch"
KEY = "sandbox-key"
LINES = (
    "airflow3",
    "airflow2",
    "constraints-2.11.0",
    "constraints-3.0.6",
    "constraints-3.1.8",
    "constraints-3.2.0",
)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DAG = """
from datetime import datetime, timezone

try:
    from airflow.sdk import DAG, Asset
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.datasets import Dataset as Asset

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

with DAG("wheel", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False):
    agents = ListAgentsOperator(
        task_id="agents", output_path="FOLDER/agents.jsonl", outlets=[Asset("x-wheel://agents")]
    )
    agents >> ReassignChatsOperator(
        task_id="hand_over", from_agents=1004, to_agents=[1002, 1003], report_path="FOLDER/report.jsonl",
        max_chats=3,
    )
"""

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


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command to its end; its whole output is the message when it fails."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: the build leaves folders beside the sources, and other tests may be reading those."""
    source = tmp_path_factory.mktemp("source") / "clone"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(CLONE, source, ignore=unwanted)
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source)
    return target


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


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
    path = tmp_path_factory.mktemp(line) / "venv"
    # Airflow 2.11 and 3.0 do not run on the newest Python, and the environment of 2.11 has one that all of them know.
    interpreter = (
        CLONE / ".venv" / ("airflow3" if line == "airflow3" else "airflow2") / "bin/python"
    ).resolve()
    run(UV, "venv", "--quiet", "--no-project", "--python", interpreter, path)
    python = path / "bin/python"
    lock = CLONE / f"requirements/{line}.txt"
    pin = re.search(r"^apache-airflow==\S+", lock.read_text(), re.MULTILINE)
    assert pin
    run(
        *(UV, "pip", "install", "--quiet", "--python", python, "--constraint", lock),
        *(pin[0], f"airflow-provider-helpcrunch[sandbox] @ {wheel.as_uri()}"),
    )
    return path


@pytest.fixture
def airflow_env(environment: Path, tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))}
    return own | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "300",
    }


@pytest.fixture
def sandbox(environment: Path, tmp_path: Path) -> Iterator[str]:
    """The base URL of a local HelpCrunch that the installed wheel itself serves."""
    port_file = tmp_path / "port"
    command = ["-m", f"{PACKAGE}.sandbox", "--port", "0", "--port-file", str(port_file), "--key", KEY]
    process = subprocess.Popen(
        [environment / "bin/python", *command], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None, "the sandbox has ended"
            assert time.monotonic() < deadline, "the sandbox does not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}/v1"
    finally:
        process.terminate()
        process.wait(20)


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
        done = subprocess.run(command, env=airflow_env, capture_output=True, text=True, timeout=120)
        assert "Connection failed" in done.stdout
        assert "API key" in done.stdout
        assert "not-the-key" not in done.stdout + done.stderr

    def test_a_listing_and_a_reassignment_run(
        self, environment: Path, airflow_env: dict[str, str], sandbox: str, tmp_path: Path
    ) -> None:
        airflow_env["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = json.dumps(
            {"conn_type": "helpcrunch", "host": sandbox, "password": KEY}
        )
        (tmp_path / "dags").mkdir()
        (tmp_path / "dags/wheel.py").write_text(DAG.replace("FOLDER", str(tmp_path)))
        run("airflow", "db", "migrate", env=airflow_env)
        run("airflow", "dags", "reserialize", env=airflow_env)
        run("airflow", "dags", "test", "wheel", env=airflow_env)
        assert len((tmp_path / "agents.jsonl").read_text().splitlines()) == 250
        moved = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
        assert len(moved) == 3
        for change in moved:
            assignee = chat_of(sandbox, change["id"])["assignee"]
            assert assignee["id"] in {1002, 1003}


def chat_of(sandbox: str, chat: int) -> dict[str, Any]:
    """Read a chat from the account itself, not from what the package says about it."""
    request = urllib.request.Request(f"{sandbox}/chats/{chat}", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        found: dict[str, Any] = json.load(response)
    return found.get("data", found)


@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_lists_on_each_python(version: str, wheel: Path, tmp_path: Path) -> None:
    pyenv = [str(path) for path in Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin")]
    env = os.environ | {"PATH": os.pathsep.join([*pyenv, os.environ["PATH"]])}
    command = [UV, "python", "find", "--no-project", version]
    found = subprocess.run(command, env=env, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"PYTHON {version} IS NOT ON THIS MACHINE: the wheel was not tried on it")
    python = tmp_path / "venv/bin/python"
    run(UV, "venv", "--quiet", "--no-project", "--python", found.stdout.strip(), tmp_path / "venv")
    lock = CLONE / "requirements/airflow3.txt"
    requirement = f"airflow-provider-helpcrunch[sandbox] @ {wheel.as_uri()}"
    run(UV, "pip", "install", "--quiet", "--python", python, "--constraint", lock, requirement)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))}
    said = run(python, "-c", LISTING, env=own | {"AIRFLOW_HOME": str(tmp_path)}, cwd=tmp_path)
    assert said.splitlines()[-1] == "250 agents, 250 in the account"


def test_the_client_runs_without_airflow(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"
    run(UV, "venv", "--quiet", "--no-project", "--python", sys.executable, tmp_path / "venv")
    install = (UV, "pip", "install", "--quiet", "--python", python)
    run(*install, "--constraint", CLONE / "requirements/airflow3.txt", "msgspec", "requests", "tenacity")
    run(*install, "--no-deps", wheel)
    code = (
        "from airflow_provider_helpcrunch.client import HelpCrunchClient\n"
        "from airflow_provider_helpcrunch.sandbox import Sandbox\n"
        "sandbox = Sandbox(agents=250)\n"
        "with HelpCrunchClient(sandbox.key, http_adapter=sandbox.adapter(), rate_limit_store='memory://') as client:\n"
        "    print(len(client.list_agents()))\n"
    )
    assert run(python, "-c", code, cwd=tmp_path).strip() == "250"


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
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "apache-airflow>=2.11.0" in done.stderr
