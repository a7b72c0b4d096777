"""Progress in the log of a task that changes many chats: how many are done, and how long the rest takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_helpcrunch.operators.chats.runner import Runner


@pytest.mark.parametrize(
    ("left", "limit", "words"),
    [
        (1, 120, "about 1 request left"),
        (120, 120, "about 120 requests left"),
        (3750, 120, "about 3,750 requests left, 31 min 15 s at 120 a minute"),
        (20_000, 2000, "about 20,000 requests left, 10 min at 2,000 a minute"),
    ],
)
def test_the_rest_is_in_minutes_once_it_takes_more_than_one(left: int, limit: int, words: str) -> None:
    runner: Any = SimpleNamespace(engine=SimpleNamespace(requests_left=left))
    client: Any = SimpleNamespace(requests_per_minute=limit)
    assert Runner._left(runner, client) == words
