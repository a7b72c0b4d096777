from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Sandbox, manual
from airflow_provider_helpcrunch.sandbox.endpoints import ROUTES
from airflow_provider_helpcrunch.sandbox.fault_kinds import KINDS
from airflow_provider_helpcrunch.sandbox.faults import Fault
from airflow_provider_helpcrunch.sandbox.settings import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "airflow_provider_helpcrunch.sandbox"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@contextmanager
def running(port_file: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--port-file", str(port_file), *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (port_file.exists() and port_file.read_text()):
            assert process.poll() is None
            time.sleep(0.02)
        yield process, f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_says_how_to_use_it(tmp_path, number):
    arguments = ["--agents", "7", "--key", "it's", "--fault", "status,status=503,nth=2"]
    with running(tmp_path / "port", *arguments) as (process, url):
        headers = {"Authorization": "Bearer it's"}
        first, second = (requests.get(url + "/v1/agents", headers=headers, timeout=60) for _ in range(2))
        assert (first.json()["meta"]["total"], second.status_code) == (7, 503)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    exported = shlex.split(re.search(r"export (.*)", out)[1])[0]
    name, _, value = exported.partition("=")
    assert name == "AIRFLOW_CONN_HELPCRUNCH_DEFAULT"
    assert json.loads(value) == {"conn_type": "helpcrunch", "password": "it's", "host": f"{url}/v1"}
    example = shlex.split(re.search(r"curl (-H .*)", out)[1])
    assert example == ["-H", "Authorization: Bearer it's", f"{url}/v1/agents?limit=2"]


def test_it_can_be_looked_into_and_steered_while_it_runs(tmp_path):
    with running(tmp_path / "port", "--rate-limit", "none", "--total", "1") as (_, url):
        headers = {"Authorization": "Bearer sandbox-key"}
        added = requests.post(url + "/_sandbox/faults", json={"kind": "close"}, timeout=60)
        assert (added.status_code, added.json()["kind"]) == (200, "close")
        with pytest.raises(requests.ConnectionError):
            requests.get(url + "/v1/agents", headers=headers, timeout=60)
        answer = requests.get(url + "/v1/agents", params={"limit": 1}, headers=headers, timeout=60)
        assert answer.json()["meta"] == {"total": 251}
        journal = requests.get(url + "/_sandbox/journal", timeout=60).json()
        assert [(entry["status"], entry["fault"]) for entry in journal] == [(None, "close"), (200, None)]
        assert requests.get(url + "/_sandbox/summary", timeout=60).json() == {
            "requests": 2,
            "by_status": {"none": 1, "200": 1},
            "by_fault": {"close": 1},
            "connections": 2,
            "busiest_60_s": 2,
        }
        assert requests.post(url + "/_sandbox/reset", timeout=60).status_code == 200
        assert requests.get(url + "/_sandbox/journal", timeout=60).json() == []


@pytest.mark.parametrize(
    ("body", "words"), [([1], "JSON object"), ({"kind": "explode"}, "hang"), ({"nth": 1}, "kind")]
)
def test_a_wrong_fault_over_http_is_explained(body, words):
    with Sandbox() as sandbox:
        answer = requests.post(sandbox.url.replace("/v1", "/_sandbox/faults"), json=body, timeout=60)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_faults_can_be_dropped_and_unknown_control_paths_explained():
    with Sandbox() as sandbox:
        control = sandbox.url.replace("/v1", "/_sandbox/")
        requests.post(control + "faults", json={"kind": "status", "times": 0}, timeout=60)
        assert requests.delete(control + "faults", timeout=60).status_code == 200
        headers = {"Authorization": "Bearer sandbox-key"}
        assert requests.get(sandbox.url + "/agents", headers=headers, timeout=60).status_code == 200
        wrong = requests.get(control + "nothing", timeout=60)
        assert wrong.status_code == 404
        assert "GET journal" in wrong.json()["error"]


def test_a_taken_port_is_one_sentence():
    with Sandbox() as sandbox:
        result = run("--port", str(sandbox.port))
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        result.stderr
        == f"Port {sandbox.port} is taken: choose another one with --port, or any free one with --port 0\n"
    )


def test_without_aiohttp_it_says_what_to_install(tmp_path):
    (tmp_path / "aiohttp.py").write_text("raise ModuleNotFoundError('no', name='aiohttp')\n")
    result = run(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "The sandbox needs aiohttp: pip install 'airflow-provider-helpcrunch[sandbox]'\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "explode"], "kind must be one of"),
        (["--agents", "-1"], "agents must be at least 0, not -1"),
        (["--total", "about"], "--total"),
        (["--now", "soon"], "argument --now: now must be ISO 8601 or UNIX seconds"),
    ],
)
def test_a_wrong_argument_is_explained(arguments, words):
    result = run(*arguments)
    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_every_argument_of_the_sandbox():
    text = run("--help").stdout
    flags = {"--" + name.replace("_", "-") for name in Sandbox.__init__.__kwdefaults__} - {
        "--faults",
        "--clock",
    }
    assert {*flags, "--fault", "--port-file"} <= set(re.findall(r"--[a-z-]+", text))


def test_help_has_a_line_for_every_kind_of_fault_and_names_every_parameter():
    kinds, _, common = (
        run("--help").stdout.partition("kinds of faults")[2].partition("parameters of every kind:")
    )
    assert sorted(line.split()[0] for line in kinds.splitlines()[1:] if line) == sorted(KINDS)
    assert set(re.findall(r"(\w+)=", kinds + common)) == {field.name for field in fields(Fault)} - {"kind"}


def test_the_options_are_the_arguments_of_the_sandbox():
    arguments = dict(Sandbox.__init__.__kwdefaults__)
    assert arguments == {**DEFAULTS, "faults": (), "clock": None}
    assert all(f":param {name}:" in Sandbox.__doc__ for name in arguments)


def test_the_parameters_of_a_fault_are_those_of_its_kind():
    of_every_kind = {"kind", "path", "method", "offset", "chat", "nth", "times"}
    own = {name for kind in KINDS.values() for name in re.findall(r"(\w+)=", kind.parameters)}
    assert own == {field.name for field in fields(Fault)} - of_every_kind
    assert all(f":param {field.name}:" in Fault.__doc__ for field in fields(Fault))
    for kind in KINDS.values():
        examples = kind.parameters.replace("ID", "1001")
        assert (
            Fault.parse(f"{kind.name},{examples}".rstrip(",")).number == Fault(kind.name, agent=1001).number
        )


@pytest.mark.parametrize("table", [manual.options_table, manual.kinds_table])
def test_the_tables_of_the_documentation_are_those_of_the_code(table):
    text = (ROOT / "docs" / "sandbox.md").read_text()
    assert table() in text, f"put this table into docs/sandbox.md:\n{table()}"


def test_the_documentation_names_every_option_fault_and_method():
    text = (ROOT / "docs" / "sandbox.md").read_text()
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`(-*\w[\w-]*)", row)}
    options = {"--" + name.replace("_", "-") for name in Sandbox.__init__.__kwdefaults__} - {
        "--faults",
        "--clock",
    }
    methods = {name for name in dir(Sandbox) if not name.startswith("_")}
    assert options | {"--fault", "--port-file"} <= named
    assert set(KINDS) <= named
    assert methods - named == {"start", "stop", "port", "url", "key", "connection", "adapter"}
    assert all(re.search(rf"[`,]{field.name}[`=]", text) for field in fields(Fault) if field.name != "kind")


def test_the_documentation_names_every_path():
    text = (ROOT / "docs" / "sandbox.md").read_text()
    assert [route for route in ROUTES if f"`{' '.join(route)}`" not in text] == []


def test_it_imports_neither_airflow_nor_the_rest_of_the_package():
    code = (
        "import sys; import airflow_provider_helpcrunch.sandbox.server, airflow_provider_helpcrunch.sandbox\n"
        "print(*(m for m in sys.modules if m.partition('.')[0] == 'airflow'\n"
        "or m.startswith('airflow_provider_helpcrunch.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert all(name.startswith("airflow_provider_helpcrunch.sandbox") for name in done.stdout.split())
