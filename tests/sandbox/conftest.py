from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Sandbox

Call = Callable[..., requests.Response]


@pytest.fixture
def caller() -> Callable[[Sandbox], Call]:
    """Send requests to a sandbox in process."""

    def connected(sandbox: Sandbox) -> Call:
        session = requests.Session()
        session.mount("http://", sandbox.adapter())
        session.headers["Authorization"] = f"Bearer {sandbox.key}"

        def call(method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
            root = "" if path.startswith("/_sandbox") else "/v1"
            return session.request(method, f"http://here{root}{path}", json=body, params=query)

        return call

    return connected
