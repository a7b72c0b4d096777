"""Polls of HelpCrunch in the triggerer: one after the other, in a thread of their own."""

from __future__ import annotations

import asyncio
import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.client import HelpCrunchClient

T = TypeVar("T")

LIMITS: dict[str, Any] = {"max_attempts": 3, "deadline": 20.0, "patience": 10.0}
"""The retries of a request, as arguments of ``RetryPolicy``: briefer than in a task, because other polls wait behind
it, and the next poll tries again."""

# HTTP blocks, so it must stay away from the event loop, which all triggers share. The account allows two requests a
# second, so one thread is enough for all polls of the process. It starts with the first of them.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="helpcrunch-poll")


async def load() -> None:
    """Import what polls need, HTTP above all, in a thread: it takes a second, in which other triggers can run."""
    await asyncio.to_thread(importlib.import_module, "airflow_provider_helpcrunch.chats.watching")


async def poll(helpcrunch_conn_id: str, work: Callable[[HelpCrunchClient], T]) -> T:
    """
    Return what some work reads from an account.

    The connection is looked up for each poll, so that a new key takes effect without a restart.

    :param helpcrunch_conn_id: the Airflow connection
    :param work: reads from the account, through its client
    :raises HelpCrunchError: the connection is wrong, or a request failed
    """
    # Not in the thread of polls: before Airflow 3.3 a connection can be looked up by nothing but the event loop, and
    # asgiref leads back to it.
    client = await sync_to_async(connect)(helpcrunch_conn_id)
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, _read, client, work)
    except asyncio.CancelledError:
        # Cuts off the request that nobody waits for any more, which would hold up the others or the end of the process.
        await asyncio.to_thread(client.close)
        raise


def connect(helpcrunch_conn_id: str) -> HelpCrunchClient:
    """
    Return a client for an Airflow connection.

    :param helpcrunch_conn_id: the connection
    :raises HelpCrunchConfigurationError: it is incomplete or wrong; nothing was sent
    """
    from airflow_provider_helpcrunch.client import RetryPolicy
    from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

    return HelpCrunchHook(helpcrunch_conn_id).client_with(RetryPolicy(**LIMITS))


def _read(client: HelpCrunchClient, work: Callable[[HelpCrunchClient], T]) -> T:
    with client:
        return work(client)
