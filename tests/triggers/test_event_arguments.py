"""``ChatsEventTrigger`` in a DAG file: its arguments, and what it costs to have it there."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from airflow.triggers import base

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.triggers.events import EVENTS, ChatsEventTrigger

pytestmark = pytest.mark.older

has_watchers = pytest.mark.skipif(
    not hasattr(base, "BaseEventTrigger"), reason="Airflow 2.11 has no asset watchers"
)


def test_on_an_airflow_without_watchers_it_says_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(base, "BaseEventTrigger", raising=False)
    with pytest.raises(
        HelpCrunchConfigurationError, match=r"needs Airflow 3\.0 or newer.* use ChatsSensor\.$"
    ):
        ChatsEventTrigger("new")


@has_watchers
def test_an_unknown_event_is_told_the_known_ones() -> None:
    with pytest.raises(
        HelpCrunchConfigurationError, match="event must be new, closed or unassigned, not 'opened'"
    ):
        ChatsEventTrigger("opened")


@has_watchers
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("event", value) for value in ("opened", "", None, 1)),
        *(("department", value) for value in (0, -1, "101", True, 1.5)),
        *(("helpcrunch_conn_id", value) for value in ("", None, 7)),
        *(("poll_interval", value) for value in (0, 0.5, -1, "60", True, None, 86_401, timedelta(0))),
    ],
)
def test_a_wrong_argument_is_one_sentence_in_the_dag_file(name: str, value: Any) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match=rf"^{name} must be [^\n]*\.$"):
        ChatsEventTrigger(**{"event": "new", name: value})


@has_watchers
def test_it_is_rebuilt_from_what_airflow_keeps() -> None:
    trigger = ChatsEventTrigger(
        "closed", department=101, helpcrunch_conn_id="mine", poll_interval=timedelta(minutes=5)
    )
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == trigger.serialize()
    assert arguments == {
        "event": "closed",
        "department": 101,
        "helpcrunch_conn_id": "mine",
        "poll_interval": 300.0,
    }


@has_watchers
def test_watchers_share_a_poll_if_they_ask_the_same_of_the_same_account() -> None:
    first = ChatsEventTrigger("new").shared_stream_key()
    assert ChatsEventTrigger("new", department=101).shared_stream_key() == first
    others = [
        ChatsEventTrigger("closed"),
        ChatsEventTrigger("new", helpcrunch_conn_id="mine"),
        ChatsEventTrigger("new", poll_interval=30),
    ]
    assert first not in [other.shared_stream_key() for other in others]


def test_the_kinds_of_events_are_those_that_can_be_watched() -> None:
    from airflow_provider_helpcrunch.chats.watching import KINDS

    assert tuple(KINDS) == EVENTS


def test_a_dag_file_with_it_loads_no_http_of_ours() -> None:
    code = (
        "import sys; import airflow_provider_helpcrunch.triggers.events, airflow_provider_helpcrunch.sensors.chats;"
        "print([name for name in sys.modules if name.startswith('airflow_provider_helpcrunch.c')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
