"""The lines of the documentation that install something, run by pip as they stand there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from code_blocks import blocks
from installations import UV, airflow_of, installer, own_env, run

from airflow_provider_helpcrunch import __version__

# In one process, when pytest-xdist has several: each would build the wheel.
pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("wheel")]

WITHOUT_AIRFLOW = "webhooks.md"
LINES = {
    line: block.page.name
    for block in blocks("bash")
    for line in block.text.splitlines()
    if line.startswith("pip ")
}
"""Each line that calls pip, with a page that has it."""

LIBRARIES = {"sandbox": "aiohttp", "duckdb": "duckdb"}
"""What an extra installs, and Airflow alone does not have."""

CLIENT = """
from airflow_provider_helpcrunch.client import HelpCrunchClient, webhooks
from airflow_provider_helpcrunch.sandbox import Sandbox

webhooks.verify(b"{}", webhooks.sign(b"{}", "signing-key"), "signing-key")
sandbox = Sandbox(agents=250)
with HelpCrunchClient(sandbox.key, http_adapter=sandbox.adapter(), rate_limit_store="memory://") as client:
    print(len(client.list_agents()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A folder with the wheel where the pages have it: as a file, or in ``dist/`` of a clone."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "dist").mkdir()
    for place in (folder, folder / "dist"):
        shutil.copy(wheel, place)
    return folder


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with Airflow and pip, and nothing of this package."""
    path = empty(tmp_path_factory.mktemp("airflow3"))
    run(*installer(path / "bin/python", "airflow3"))
    return path


def empty(folder: Path) -> Path:
    """Make an environment with pip alone."""
    run(UV, "venv", "--quiet", "--no-project", "--seed", "--python", sys.executable, folder / "venv")
    return folder / "venv"


def bash(line: str, environment: Path, folder: Path) -> str:
    """Run a line in an environment, where the wheel stands for the released package."""
    env = own_env(environment, folder) | {"PIP_FIND_LINKS": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return run("bash", "-euo", "pipefail", "-c", line, env=env, cwd=folder)


@pytest.mark.parametrize("line", [line for line, page in LINES.items() if page != WITHOUT_AIRFLOW])
def test_the_package_comes_beside_the_airflow_that_is_there(line: str, airflow: Path, folder: Path) -> None:
    uninstall = (UV, "pip", "uninstall", "--quiet", "--python", airflow / "bin/python")
    run(*uninstall, "airflow-provider-helpcrunch", *LIBRARIES.values())
    bash(line, airflow, folder)
    libraries = [LIBRARIES[extra] for extra in re.findall(r"\[(\w+)\]", line)]
    imports = ", ".join(["airflow_provider_helpcrunch as package", *libraries])
    assert (
        bash(f"python -c 'import {imports}; print(package.__version__)'", airflow, folder).strip()
        == __version__
    )
    assert bash("airflow version", airflow, folder).strip() == airflow_of("airflow3")


def test_the_client_comes_without_airflow(folder: Path, tmp_path: Path) -> None:
    environment = empty(tmp_path)
    for line in (line for line, page in LINES.items() if page == WITHOUT_AIRFLOW):
        bash(line, environment, folder)
    assert run(environment / "bin/python", "-c", CLIENT, cwd=tmp_path).strip() == "250"
    assert not list(environment.glob("lib/*/site-packages/airflow"))
