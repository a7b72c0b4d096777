"""Makes the helpers beside the tests importable, and has the clock of the stores."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hand_clock import Clock


@pytest.fixture
def clock() -> Clock:
    """Return a clock to move by hand."""
    return Clock()
