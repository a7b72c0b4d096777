"""Formats of files that an argument names: found by the suffix or named beside the path, and never guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator
from airflow_provider_helpcrunch.operators.upsert import UpsertCustomersOperator

READERS: dict[str, Callable[[Any], Any]] = {
    "customers": lambda given: UpsertCustomersOperator(
        task_id="t", customers=given, key="id"
    ).check_arguments(),
    "plan": lambda given: UpdateChatsOperator(task_id="t", plan=given).work(),
    "to_agents": lambda given: ReassignChatsOperator(task_id="t", from_agents=None, to_agents=given).work(),
    "chats": lambda given: ListMessagesOperator(task_id="t", chats=given).check_arguments(),
}
"""What reads the file that each argument names, without a request."""


@pytest.mark.parametrize("argument", READERS)
def test_what_the_message_advises_works(argument: str, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("id,status\n7,closed\n" if argument == "plan" else "id\n7\n")
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        READERS[argument](str(path))
    assert f"{str(path)!r} has no suffix that names a format" in str(caught.value)
    assert str(caught.value).endswith(', or give {"path": …, "format": …}.')
    named = {"path": str(path), "format": "csv"}
    for given in (named, json.dumps(named)):
        READERS[argument](given)


@pytest.mark.parametrize("argument", READERS)
@pytest.mark.parametrize(
    ("name", "said"), [("xls", "format='xls' is unknown"), ("jsonl", "format='jsonl' contradicts the suffix")]
)
def test_a_wrong_format_is_called_by_its_key(argument: str, name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id\n7\n")
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        READERS[argument]({"path": str(tmp_path / "x.csv"), "format": name})
    assert str(caught.value).startswith(said)
