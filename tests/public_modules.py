"""The modules that are public: those that Airflow is told of, and those that ``docs/compatibility.md`` names."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_helpcrunch.get_provider_info import get_provider_info

CLONE = Path(__file__).resolve().parents[1]
PACKAGE = "airflow_provider_helpcrunch"


def known_to_airflow() -> list[str]:
    """Return the modules of which the metadata says that users import them, such as ``operators.agents``."""
    info = get_provider_info()
    entries = [entry for kind in ("operators", "sensors", "hooks", "triggers") for entry in info[kind]]
    return [module.removeprefix(f"{PACKAGE}.") for entry in entries for module in entry["python-modules"]]


def named_beside() -> list[str]:
    """Return the modules that the page on compatibility names beside those, such as ``client.models``."""
    page = (CLONE / "docs/compatibility.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"and (`approvals`.*?)\. All others are internal", page, re.DOTALL)
    return re.findall(r"`([\w.]+)`", sentence)
