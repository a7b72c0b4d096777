"""The helper module of this directory, and an account of a few customers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def account() -> Sandbox:
    return Sandbox(rate_limit=None, agents=2, chats=20, now=1_700_000_000)
