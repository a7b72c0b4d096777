"""A module that needs an extra says so in the way Airflow knows, and a user reads one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.older

CLONE = Path(__file__).resolve().parents[1]
WITHOUT_REDIS = "import sys; sys.modules['redis'] = None\n"


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_REDIS + code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_its_extra_a_module_is_an_optional_feature() -> None:
    code = """
from airflow_provider_helpcrunch._airflow import AirflowOptionalProviderFeatureException
try:
    import airflow_provider_helpcrunch.rate_limit.redis
except AirflowOptionalProviderFeatureException as error:
    print("optional:", error)
"""
    assert "optional: " in run(code)


def test_without_the_extra_a_budget_in_redis_names_it() -> None:
    code = """
from airflow_provider_helpcrunch.rate_limit.limiter import _redis_store
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
try:
    _redis_store(None, "account", 120, 60.0)
except HelpCrunchConfigurationError as error:
    print(error)
"""
    assert "pip install 'airflow-provider-helpcrunch[redis]'" in run(code)


def test_every_module_can_be_imported_or_says_which_extra_it_needs() -> None:
    code = """
import importlib, pkgutil
import airflow_provider_helpcrunch as package
from airflow_provider_helpcrunch._airflow import AirflowOptionalProviderFeatureException
sys.modules.update(dict.fromkeys(["pyarrow", "zstandard", "duckdb", "airflow.providers.redis"]))
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    try:
        importlib.import_module(module.name)
    except AirflowOptionalProviderFeatureException:
        print(module.name)
"""
    package = "airflow_provider_helpcrunch.rate_limit"
    assert run(code).split() == [f"{package}.redis"]


def test_nothing_mentions_the_common_compat_provider() -> None:
    folders = ["airflow_provider_helpcrunch", "dags", "tests", "scripts", "benchmarks", "docs"]
    files = [
        path for folder in folders for path in (CLONE / folder).rglob("*.*") if path.suffix in (".py", ".md")
    ]
    name = ".".join(["common", "compat"])
    assert [
        str(path) for path in [*files, CLONE / "README.md"] if name in path.read_text(encoding="utf-8")
    ] == []
