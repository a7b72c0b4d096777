"""Polls over HTTP: one that nobody waits for any more does not hold up the next one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from triggerer import until

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.triggers.polling import poll


def chats(client: Any) -> list[int]:
    ids: list[int] = client.search_chats_page().ids
    return ids


def test_a_cancelled_poll_is_cut_off(
    sandbox: Callable[..., Sandbox], connection: Callable[..., None]
) -> None:
    server = sandbox(chats=10)
    connection(server)

    async def story() -> float:
        assert len(await poll("helpcrunch_default", chats)) == 10
        server.add_fault(Fault("hang"))
        waiting = asyncio.create_task(poll("helpcrunch_default", chats))
        await until(lambda: len(server.journal) == 2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        began = time.monotonic()
        assert len(await poll("helpcrunch_default", chats)) == 10
        return time.monotonic() - began

    assert asyncio.run(story()) < 15  # the first one would take 20 s
    assert len(server.journal) == 3


def test_a_connection_without_a_key_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", '{"conn_type": "helpcrunch"}')
    with pytest.raises(HelpCrunchConfigurationError, match="it has no API key"):
        asyncio.run(poll("helpcrunch_default", chats))
