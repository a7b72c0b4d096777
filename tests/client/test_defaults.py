"""Where requests go and how, when nothing is set: a socket cannot show that, it would be HelpCrunch's own."""

from __future__ import annotations

import requests_mock as mocking

from airflow_provider_helpcrunch.client import HelpCrunchClient


def test_requests_go_to_helpcrunch_over_verified_tls_with_finite_timeouts() -> None:
    with mocking.Mocker() as mock, HelpCrunchClient("a-key", rate_limit_store="memory://") as client:
        mock.get("https://api.helpcrunch.com/v1/agents", json={"data": [{"id": 7}], "meta": {"total": 1}})
        assert client.list_agents() == [{"id": 7}]
    (request,) = mock.request_history
    assert request.url == "https://api.helpcrunch.com/v1/agents?offset=0&limit=100"
    assert request.headers["Authorization"] == "Bearer a-key"
    assert request.timeout == (10.0, 20.0)
    assert request.verify
