"""
The same promises on storage of your choice, real or emulated; skipped unless you name it::

    HELPCRUNCH_STORAGE_TEST_URL=gs://my_conn@bucket/scratch python -m pytest tests/storage/test_live_storage.py

The connection comes from ``AIRFLOW_CONN_MY_CONN``, and the provider of the scheme must be installed. Two objects are
written there and deleted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import ObjectStoragePath
from airflow_provider_helpcrunch.schema import AGENTS
from airflow_provider_helpcrunch.storage import Target, read_records

URL = os.environ.get("HELPCRUNCH_STORAGE_TEST_URL", "")
pytestmark = [
    pytest.mark.skipif(not URL, reason="HELPCRUNCH_STORAGE_TEST_URL is not set"),
    pytest.mark.filterwarnings("default"),
]
FEW = [{"id": n, "name": "Zoë", "email": None, "role": "admin"} for n in range(10)]


@pytest.fixture(params=["jsonl", "parquet"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    made = Target.resolve(f"{URL}/helpcrunch-storage-test.{request.param}", AGENTS)
    yield made
    ObjectStoragePath(made.location.text).unlink()


def test_the_source_fails(target: Target) -> None:
    def stream() -> Iterator[dict[str, Any]]:
        for _ in range(2_000):
            yield from FEW
        msg = "the source failed"
        raise ConnectionResetError(msg)

    target.write(FEW)
    with pytest.raises(ConnectionResetError):
        target.write(stream())
    assert list(read_records(target.location.text)) == FEW


def test_nobody_sees_a_part(target: Target) -> None:
    """While a large object is uploaded in parts, others see the old one, then the new one."""
    sizes = {target.write(FEW)["bytes"]}
    seen: set[int] = set()
    done = threading.Event()
    place = ObjectStoragePath(target.location.text)

    def watch() -> None:
        while not done.wait(0.02):
            place.fs.invalidate_cache()
            seen.add(place.fs.info(place.path)["size"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        receipt = target.write({"id": n, "name": os.urandom(500).hex()} for n in range(40_000))
    finally:
        done.set()
        watcher.join()
    assert seen <= sizes | {receipt["bytes"]}
    assert sum(1 for _ in read_records(receipt)) == 40_000
