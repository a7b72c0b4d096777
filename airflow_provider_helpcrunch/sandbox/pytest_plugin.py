"""
A pytest fixture for tests of DAGs: a fresh HelpCrunch sandbox per test, set as the default connection.

In ``conftest.py``::

    pytest_plugins = ["airflow_provider_helpcrunch.sandbox.pytest_plugin"]

In a test::

    @pytest.mark.helpcrunch_sandbox(agents=5, faults=[Fault("reset", nth=2)])
    def test_my_dag(helpcrunch_sandbox): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = "helpcrunch_sandbox(**arguments): arguments of the Sandbox behind the helpcrunch_sandbox fixture"
CONNECTION = "AIRFLOW_CONN_HELPCRUNCH_DEFAULT"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def helpcrunch_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """
    Serve a sandbox for one test, with ``helpcrunch_default`` pointing at it.

    The marker of the same name passes arguments to :class:`~airflow_provider_helpcrunch.sandbox.Sandbox`. Unless one of
    them is ``key``, each sandbox has an API key of its own.
    """
    marker = request.node.get_closest_marker("helpcrunch_sandbox")
    # Requests are counted by key and address. A later sandbox may get the same port, and must not find the minute of an
    # earlier one used up.
    key = f"sandbox-key-{uuid4()}"
    with Sandbox(**{"key": key, **(marker.kwargs if marker else {})}) as sandbox:
        monkeypatch.setenv(CONNECTION, sandbox.connection())
        yield sandbox
