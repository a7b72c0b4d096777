from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFTEST = 'pytest_plugins = ["airflow_provider_helpcrunch.sandbox.pytest_plugin"]\n'
TESTS = """
import json
import os

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Fault

def total(sandbox):
    connection = json.loads(os.environ["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"])
    assert connection["host"] == sandbox.url
    headers = {"Authorization": "Bearer " + connection["password"]}
    answer = requests.get(connection["host"] + "/agents", headers=headers, timeout=60)
    return answer.json()["meta"]["total"] if answer.ok else answer.status_code

def test_as_it_comes(helpcrunch_sandbox):
    helpcrunch_sandbox.insert_agents(1)
    assert total(helpcrunch_sandbox) == 251

def test_fresh(helpcrunch_sandbox):
    assert total(helpcrunch_sandbox) == 250
    assert helpcrunch_sandbox.count(200) == 1

@pytest.mark.helpcrunch_sandbox(agents=5, faults=[Fault("status", status=503)])
def test_configured(helpcrunch_sandbox):
    assert [total(helpcrunch_sandbox), total(helpcrunch_sandbox)] == [503, 5]

@pytest.mark.helpcrunch_sandbox(chats=3, now="2026-01-31T08:00")
def test_at_a_moment(helpcrunch_sandbox):
    assert all(chat["createdAt"][:5] == "17698" for chat in helpcrunch_sandbox.chats)

keys = set()

@pytest.mark.parametrize("run", range(3))
def test_whose_requests_are_counted_apart(helpcrunch_sandbox, run):
    assert helpcrunch_sandbox.key not in keys
    keys.add(helpcrunch_sandbox.key)

@pytest.mark.helpcrunch_sandbox(key="my-own")
def test_with_the_key_given(helpcrunch_sandbox):
    assert json.loads(os.environ["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"])["password"] == "my-own"

def test_the_connection_is_gone_afterwards():
    assert "AIRFLOW_CONN_HELPCRUNCH_DEFAULT" not in os.environ
"""


def test_the_fixture_of_a_user(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_user.py").write_text(TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN")}
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", "--rootdir", tmp_path),
            *("-p", "no:cacheprovider", "-c", os.devnull, tmp_path),
        ],
        env=environment | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "9 passed" in result.stdout, result.stdout + result.stderr
