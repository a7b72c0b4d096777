"""The reports of the documentation on the command line: DuckDB's own, on exports of a sandbox."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from code_blocks import CLONE, blocks
from in_process import client_of

from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.listings import ListingExport
from airflow_provider_helpcrunch.exports.messages import MessagesExport
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.schema import CHATS, MESSAGES

pytestmark = [pytest.mark.site, pytest.mark.slow]


def export(account: Sandbox, folder: Path) -> None:
    client = client_of(account)
    with Run(BasePath(str(folder / "chats")), Resource(CHATS, "parquet"), "day 0") as run:
        ListingExport(run, lambda client: client.iter_chats()).run(client)
    with Run(BasePath(str(folder / "messages")), Resource(MESSAGES, "parquet"), "day 0") as run:
        MessagesExport(run, client.list_chats).run(client)


def test_they_run_as_they_stand_there(tmp_path: Path) -> None:
    account = Sandbox(agents=6, chats=60, rate_limit=None, now="2026-01-31")
    export(account, tmp_path / "lake")
    (tmp_path / "airflow_provider_helpcrunch").symlink_to(CLONE / "airflow_provider_helpcrunch")
    (block,) = (each for each in blocks("bash") if each.text.startswith("duckdb"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "first_response_seconds" in done.stdout
    closed = {str(chat["id"]) for chat in account.chats if chat["status"] == "closed"}
    with (tmp_path / "time_to_close.csv").open(newline="") as file:
        assert {row["chat"] for row in csv.DictReader(file)} == closed
