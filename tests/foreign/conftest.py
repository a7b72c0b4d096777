"""Others' test batteries and OpenLineage, from an environment of their own: ``make test-foreign``."""

from __future__ import annotations

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("airbyte_cdk"):
    sys.path.insert(0, str(Path(__file__).parent))
    # It warns of its own modules while it is imported.
    with warnings.catch_warnings(action="ignore"):
        import airbyte_cdk  # noqa: F401
else:
    # Nothing here can be imported in the other environments.
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "image_tests: Airbyte's tests of a connector's image")
