"""The documented DAG of new and active chats, run by Airflow on a local HelpCrunch as a new user has it."""

from __future__ import annotations

import gzip
import json
import re

import airflow
import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

AIRFLOW_3 = int(airflow.__version__.split(".")[0]) >= 3


@pytest.fixture(scope="module")
def found(dags_folder, run_python, tmp_path_factory):
    home, folder = tmp_path_factory.mktemp("user"), tmp_path_factory.mktemp("dags")
    page = (dags_folder.parent / "docs" / "operators.md").read_text(encoding="utf-8")
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", page, re.S) if '"helpcrunch_chats"' in block
    )
    (folder / "documented.py").write_text(code if AIRFLOW_3 else code.replace("airflow.sdk", "airflow"))
    with Sandbox() as sandbox:
        run_python(
            *("-m", "airflow", "dags", "test", "helpcrunch_chats"),
            HOME=str(home),
            AIRFLOW__CORE__DAGS_FOLDER=str(folder),
            AIRFLOW_CONN_HELPCRUNCH_DEFAULT=sandbox.connection(),
        )
        files = (home / "chats").iterdir()
        lists = {
            path.name.partition("-")[0]: gzip.decompress(path.read_bytes()).splitlines() for path in files
        }
        yield {name: [json.loads(line) for line in lines] for name, lines in lists.items()}, sandbox.chats


@pytest.mark.parametrize(("name", "time"), [("new", "createdAt"), ("active", "lastMessageAt")])
def test_it_finds_chats(found, name, time):
    records, chats = found[0][name], {chat["id"]: chat for chat in found[1]}
    assert records
    assert all(record[time] == chats[record["id"]][time] for record in records)
