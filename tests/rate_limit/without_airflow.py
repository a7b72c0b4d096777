"""
Hides Airflow from a script that imports this module first.

The client and the rate limiter do not need Airflow, and to import it would take longer than most of these scripts run.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import Any


class _NoAirflow(MetaPathFinder):
    """Fails for Airflow's own package as Python does for one that is not installed."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "airflow":
            msg = "No module named 'airflow'"
            raise ModuleNotFoundError(msg, name=name)


sys.meta_path.insert(0, _NoAirflow())
