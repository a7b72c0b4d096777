"""Client, errors and sandbox where Airflow is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

REFUSAL = """
import sys

class NoAirflow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, NoAirflow())
"""

MODULES = """
import importlib, pkgutil
import airflow_provider_helpcrunch as package

names = ["plurals", "exceptions", "get_provider_info", "privacy"]
for part in ("client", "rate_limit", "check", "sandbox"):
    if importlib.util.find_spec(f"{package.__name__}.{part}"):
        module = importlib.import_module(f"{package.__name__}.{part}")
        names.append(part)
        names += [f"{part}.{found.name}" for found in pkgutil.iter_modules(module.__path__) if found.name != "__main__"]
for name in names:
    importlib.import_module(f"{package.__name__}.{name}")
print(len(names))
"""

USE = """
from airflow_provider_helpcrunch import exceptions
from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

sandbox = Sandbox(agents=120, rate_limit=None)
with HelpCrunchClient(sandbox.key, http_adapter=sandbox.adapter(), rate_limit_store="memory://") as client:
    assert client.list_agents() == sandbox.agents
    chat = client.search_chats()[0]["id"]
    assert client.update_chat_assignee(chat, 1003)["assignee"]["id"] == 1003
    sandbox.add_fault(Fault("status", status=404))
    try:
        client.get_organization()
    except exceptions.HelpCrunchNotFoundError as error:
        assert isinstance(error, exceptions.HelpCrunchError) and error.status_code == 404
    try:
        client.get_chat(-1)
    except exceptions.HelpCrunchConfigurationError as error:
        assert isinstance(error, ValueError)
assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
print("used")
"""

CHECK = """
import functools, os
from airflow_provider_helpcrunch.__main__ import main
from airflow_provider_helpcrunch.check import command
from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.sandbox import Sandbox

sys.stderr = sys.stdout
os.environ.pop("HELPCRUNCH_API_KEY", None)
assert main(["check"]) == 2
command.HelpCrunchClient = functools.partial(HelpCrunchClient, http_adapter=Sandbox().adapter())
os.environ["HELPCRUNCH_API_KEY"] = "sandbox-key"
assert main(["check"]) == 0
assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
"""

OPERATORS = """
try:
    import airflow_provider_helpcrunch.operators.agents
except ImportError as missing:
    print(missing)
"""


def run(code: str, tmp_path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", REFUSAL + code],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_module_of_client_and_sandbox_can_be_imported(tmp_path: Path) -> None:
    assert int(run(MODULES, tmp_path)) > 40


def test_the_client_can_be_used(tmp_path: Path) -> None:
    assert run(USE, tmp_path) == "used"


def test_an_operator_says_that_airflow_is_missing(tmp_path: Path) -> None:
    assert "airflow" in run(OPERATORS, tmp_path)


def test_an_account_can_be_checked_with_a_key_alone(tmp_path: Path) -> None:
    refusal, report = run(CHECK, tmp_path).split("\n", 1)
    assert (
        refusal
        == "Airflow is not installed here: put the API key into the environment variable HELPCRUNCH_API_KEY."
    )
    assert report.startswith("HelpCrunch accepts the API key.")
