"""Makes the helpers beside the tests importable, and has an account in process with a directory for its exports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from exporting import Exports

from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.storage import spool


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    return Exports(tmp_path / "lake" / "chats")


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(agents=4, chats=95, rate_limit=10**6)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: a test kills workers, not machines."""
    monkeypatch.setattr(spool, "_sync", lambda _: None)
    monkeypatch.setattr(spool, "_sync_directory", lambda _: None)
