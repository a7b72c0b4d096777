"""Paths in the clone."""

from __future__ import annotations

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
CLONE = BENCHMARKS.parent
WORK = CLONE / ".tmp" / "bench"
