"""A team in process: an account of six agents whose chats of the leaver are handed over, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from in_process import Killed, client_of
from stores import MortalStore

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.hooks import helpcrunch
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator
from airflow_provider_helpcrunch.sandbox import Sandbox

LEAVER, TARGETS = 1001, (1002, 1003, 1004)

WRONG_RULES: list[tuple[dict[str, Any], str]] = [
    ({"max_per_agent": 0}, "max_per_agent must be a whole number from 1 to 10000000, not 0."),
    ({"max_per_agent": "many"}, "max_per_agent must be a whole number from 1 to 10000000, not 'many'."),
    ({"max_per_agent": 2.5}, "max_per_agent must be a whole number from 1 to 10000000, not 2.5."),
    ({"within_department": "perhaps"}, "within_department must be true or false, not 'perhaps'."),
    ({"within_department": None}, "within_department must be true or false, not None."),
    ({"note": " "}, "note must be a text that is not empty, not ' '."),
    ({"note": ["a"]}, "note must be a text that is not empty, not ['a']."),
    (
        {"note": "Thanks \ud83d"},
        "note holds half of a character, such as an emoji that was cut in two: 'Thanks \\ud83d'.",
    ),
    ({"note_agent": 1002}, "note_agent needs note: without it there is nothing to sign."),
    (
        {"note": "Hi", "note_agent": "Ada"},
        "note_agent must be a HelpCrunch id (a whole number above 0), not 'Ada'.",
    ),
]
"""Wrong arguments about who may get a chat and about notes, and the message about each."""


class Team:
    """
    An account, and the tasks that work on it.

    :param settings: settings of the sandbox
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.account = Sandbox(**{"agents": 6, "chats": 0, "rate_limit": None, "departments": 3, **settings})
        self.client: HelpCrunchClient = client_of(self.account)
        self.is_dead = False
        self.store = MortalStore(lambda: self.is_dead)
        self.log: list[str] = []
        """Lines of the tasks' logs, where a fixture has them watched."""
        self._monkeypatch = monkeypatch
        connection = {"conn_type": "helpcrunch", "password": self.account.key, "host": "http://127.0.0.1/v1"}
        monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", json.dumps(connection))
        monkeypatch.setattr(helpcrunch, "HelpCrunchClient", lambda *_, **__: client_of(self.account))

    def reassign(self, context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        """Hand the chats of the leaver over."""
        self.is_dead = False
        given = {"from_agents": LEAVER, "to_agents": list(TARGETS), **arguments}
        return ReassignChatsOperator(task_id="reassign", **given).execute(context or {})  # type: ignore[no-any-return]

    def apply(self, plan: Any, context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        """Carry out a plan."""
        self.is_dead = False
        return UpdateChatsOperator(task_id="apply", plan=plan, **arguments).execute(context or {})  # type: ignore[no-any-return]

    def arrive(self, n: int = 1, assignee: int | None = LEAVER, **values: Any) -> list[int]:
        """Let chats come in."""
        return [chat["id"] for chat in self.account.insert_chats(n, assignee=assignee, **values)]

    def members(self, department: int) -> list[int]:
        """Return the members of a department."""
        found = {each["id"]: each["agents"] for each in self.account.departments}
        return [agent["id"] for agent in found[department]]

    def open_chats(self, agent: int) -> int:
        """Return how many open chats an agent has."""
        return len(self.account.chats_of(agent))

    def notes(self) -> dict[int, int]:
        """Return how many private notes there are in each chat that has any."""
        found = {
            chat["id"]: [each for each in self.account.messages(chat["id"]) if each["type"] == "private"]
            for chat in self.account.chats
        }
        return {chat: len(notes) for chat, notes in found.items() if notes}

    def kill_at(self, method: str, number: int, *, after: bool) -> None:
        """
        Let the worker die at a call of the client.

        :param method: the client's method
        :param number: which call of it, from 1
        :param after: whether HelpCrunch gets the request
        """
        real, calls = getattr(HelpCrunchClient, method), 0

        def dying(client: HelpCrunchClient, *arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls != number:
                return real(client, *arguments, **named)
            if after:
                real(client, *arguments, **named)
            self.is_dead = True
            raise Killed

        self._monkeypatch.setattr(HelpCrunchClient, method, dying)
