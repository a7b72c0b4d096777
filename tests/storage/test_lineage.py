"""Airflow's lineage hears of what is written and read, where somebody reads it, and costs nothing where nobody does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_helpcrunch
from airflow_provider_helpcrunch import _airflow
from airflow_provider_helpcrunch.schema import Table
from airflow_provider_helpcrunch.storage import Target, read_records

PLUGIN = """
from airflow.plugins_manager import AirflowPlugin

class Reader:
    pass

class ReaderPlugin(AirflowPlugin):
    name = "reader of lineage"
    hook_lineage_readers = [Reader]
"""

TASK = """
import json, sys
from airflow_provider_helpcrunch import _airflow
from airflow_provider_helpcrunch.schema import AGENTS
from airflow_provider_helpcrunch.storage import Target, read_records

_airflow.lineage_is_read()  # what Airflow loads for the question alone, which its task runner does before a task starts
before = set(sys.modules)
for path in sys.argv[1:]:
    assert len(list(read_records(Target.resolve(path, AGENTS).write([{"id": 1}])))) == 1
loaded = {"airflow.sdk.lineage", "airflow.lineage.hook", "airflow.providers_manager", "upath", "fsspec"}
loaded &= set(sys.modules) - before
collected = _airflow.get_hook_lineage_collector()
assets = getattr(collected, "collected_assets", None) or collected.collected_datasets
uris = [
    [getattr(info, "asset", None) and info.asset.uri or info.dataset.uri for info in side]
    for side in (assets.outputs, assets.inputs)
]
print("result", json.dumps([sorted(loaded), uris]))
"""


def _in_a_process(plugins: Path, *paths: str) -> tuple[list[str], list[list[str]]]:
    """Write and read in a process of its own; returns the modules it loaded for that, and what lineage knows."""
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(airflow_provider_helpcrunch.__file__).parents[1]),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    command = [sys.executable, "-c", TASK, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("result "))
    loaded, uris = json.loads(line.removeprefix("result "))
    return loaded, uris


def test_a_plugin_that_reads_lineage_hears_of_all(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "reader.py").write_text(PLUGIN)
    paths = [str(tmp_path / "x.jsonl"), f"file://{tmp_path}/y.jsonl", str(tmp_path / "ü 1%20.jsonl")]
    _, (outputs, inputs) = _in_a_process(plugins, *paths)
    expected = {f"file://{tmp_path}/{name}" for name in ("x.jsonl", "y.jsonl", "%C3%BC 1%20.jsonl")}
    assert set(outputs) == set(inputs) == expected


def test_where_nobody_reads_it_nothing_is_loaded_for_it(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    loaded, uris = _in_a_process(plugins, str(tmp_path / "x.jsonl"), f"file://{tmp_path}/y.jsonl")
    assert (loaded, uris) == ([], [[], []])


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = sys.modules[_airflow.get_hook_lineage_collector.__module__].HookLineageCollector()
    monkeypatch.setattr(_airflow, "lineage_is_read", lambda: True)
    monkeypatch.setattr(_airflow, "get_hook_lineage_collector", lambda: made)
    return made


def _side(collector: Any, side: str) -> list[Any]:
    """Return what was written (``outputs``) or read (``inputs``); Airflow 2.11 calls an asset a dataset."""
    collected = getattr(collector, "collected_assets", None) or collector.collected_datasets
    return list(getattr(collected, side))


def _uris(collector: Any, side: str) -> list[tuple[str, int]]:
    named = [(getattr(info, "asset", None) or info.dataset, info.count) for info in _side(collector, side)]
    return [(asset.uri, count) for asset, count in named]


def test_output_and_input(collector: Any, records: list[Any], table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(str(tmp_path / "x.jsonl"), table).write(records * 1_000)
    uri = f"file://{tmp_path}/x.jsonl"
    assert (_uris(collector, "outputs"), _uris(collector, "inputs")) == ([(uri, 1)], [])
    list(read_records(receipt))
    assert _uris(collector, "inputs") == [(uri, 1)]
    context = _side(collector, "outputs")[0].context
    assert isinstance(context, _airflow.ObjectStoragePath)
    assert str(context) == uri


def test_a_failed_run_has_no_output(collector: Any, failing: Any, table: Table, tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        Target.resolve(str(tmp_path / "x.jsonl"), table).write(failing)
    assert _side(collector, "outputs") == []


def test_without_a_path_class_that_works(
    collector: Any, records: list[Any], table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_airflow, "ObjectStoragePath", _unfit)
    Target.resolve(str(tmp_path / "x.jsonl"), table).write(records)
    assert _uris(collector, "outputs") == [(f"file://{tmp_path}/x.jsonl", 1)]


@pytest.mark.usefixtures("collector")
def test_an_error_of_lineage_leaves_the_object_alone(
    records: list[Any], table: Table, tmp_path: Path, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_airflow, "get_hook_lineage_collector", _unfit)
    receipt = Target.resolve(str(tmp_path / "x.jsonl"), table).write(records)
    assert len(list(read_records(receipt))) == 3
    assert warned == [f"{tmp_path}/x.jsonl could not be reported to Airflow's lineage: TypeError: unfit"] * 2


def test_s3_without_the_connection(collector: Any, s3: Any, records: list[Any], table: Table) -> None:
    list(read_records(Target.resolve(f"{s3.url}/x.jsonl", table).write(records)))
    uri = "s3://bucket/x.jsonl"
    assert (_uris(collector, "outputs"), _uris(collector, "inputs")) == ([(uri, 1)], [(uri, 1)])
    assert str(_side(collector, "outputs")[0].context) == f"{s3.url}/x.jsonl"


def _unfit(*_: object) -> None:
    msg = "unfit"
    raise TypeError(msg)
