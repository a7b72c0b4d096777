"""Makes the helpers beside the tests importable, and has an account in process with a directory for its exports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from exporting import Exports

from airflow_provider_helpcrunch.sandbox import Sandbox


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    return Exports(tmp_path / "lake" / "chats")


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(agents=4, chats=95, rate_limit=10**6)
