"""Airflow's lineage hears of what is written and read, once, in the words of ObjectStoragePath."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch import _airflow
from airflow_provider_helpcrunch.client.records import Table
from airflow_provider_helpcrunch.storage import Target, read_records


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = sys.modules[_airflow.get_hook_lineage_collector.__module__].HookLineageCollector()
    monkeypatch.setattr(_airflow, "get_hook_lineage_collector", lambda: made)
    return made


def _uris(assets: list[Any]) -> list[tuple[str, int]]:
    return [(info.asset.uri, info.count) for info in assets]


def test_output_and_input(collector: Any, records: list[Any], table: Table, tmp_path: Path) -> None:
    receipt = Target.resolve(str(tmp_path / "x.jsonl"), table).write(records * 1_000)
    uri = f"file://{tmp_path}/x.jsonl"
    assert (_uris(collector.collected_assets.outputs), collector.collected_assets.inputs) == ([(uri, 1)], [])
    list(read_records(receipt))
    assert _uris(collector.collected_assets.inputs) == [(uri, 1)]
    context = collector.collected_assets.outputs[0].context
    assert isinstance(context, _airflow.ObjectStoragePath)
    assert str(context) == uri


def test_a_failed_run_has_no_output(collector: Any, failing: Any, table: Table, tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        Target.resolve(str(tmp_path / "x.jsonl"), table).write(failing)
    assert collector.collected_assets.outputs == []


@pytest.mark.filterwarnings("ignore:A dataset URI should not contain auth info")
def test_s3(collector: Any, s3: Any, records: list[Any], table: Table) -> None:
    Target.resolve(f"{s3.url}/x.jsonl", table).write(records)
    uri = str(_airflow.ObjectStoragePath(f"{s3.url}/x.jsonl"))
    expected = collector.create_asset(scheme=None, uri=uri, asset_kwargs=None, asset_extra=None)
    assert _uris(collector.collected_assets.outputs) == [(expected.uri, 1)]
