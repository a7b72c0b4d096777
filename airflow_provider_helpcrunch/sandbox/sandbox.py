"""Sandbox object: an account served from a thread of its own, or in process through an adapter."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_helpcrunch.sandbox.settings import (
    CustomData,
    Errors,
    Fields,
    Ok,
    OnHold,
    SearchTotal,
    Settings,
    Timestamps,
    Total,
)
from airflow_provider_helpcrunch.sandbox.state import State
from airflow_provider_helpcrunch.sandbox.views import AccountView, JournalView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from types import TracebackType

    from requests.adapters import BaseAdapter

    from airflow_provider_helpcrunch.sandbox.faults import Fault

MISSING_AIOHTTP = "The sandbox needs aiohttp: pip install 'airflow-provider-helpcrunch[sandbox]'"


class Sandbox(AccountView, JournalView):
    """
    A HelpCrunch account on 127.0.0.1, served from :meth:`start` to :meth:`stop` or inside a ``with`` block; without
    either, :meth:`adapter` answers in process.

    All methods may be called from any thread, while clients read.

    :param agents: how many agents the account starts with
    :param departments: how many departments it has
    :param chats: how many chats it starts with
    :param messages: how many messages a chat has on average; one chat in a hundred has 20 times as many
    :param canary: a string for every field with a person's data: of customers, agents, messages and chats
    :param domain: ``domain`` of the organization: ``shop`` names an inbox at helpcrunch.com, the default none
    :param key: the API key; anything else is answered 401. :meth:`add_key` makes more
    :param port: the port, 0 for a free one
    :param seed: the same seed and the same ``now`` give the same account
    :param now: the moment that its chats lead up to, and then its clock: a ``datetime``, ISO 8601 text or UNIX
        seconds, in UTC where it has no offset. Such a clock goes on by one second with each change. ``None``: the time
        at which the sandbox is made; the clock then runs with that of this machine
    :param rate_limit: requests accepted in any rolling ``window``, ``None`` for no limit; more get a 429
    :param window: length of that window, in seconds
    :param retry_after: send ``Retry-After`` with a 429, in whole seconds; HelpCrunch documents no such header
    :param latency: delay of each response, in seconds
    :param page_cap: the server never returns more rows a page, whatever ``limit`` it accepts
    :param max_limit: a greater ``limit`` is answered 400
    :param total: how a list tells its total: ``exact``, ``missing`` (no ``meta``), ``zero``, ``string``,
        ``low`` (half), ``high`` (one and a half), ``root`` (beside ``data``), or a number to add to it
    :param ignore_offset: every page is the first one
    :param errors: error bodies of the ``new`` or the ``old`` documentation
    :param search_total: where a search of chats tells its total: at the ``root`` or in ``meta``; with
        ``total="root"`` always at the root
    :param on_hold: the spelling of this status in responses, ``onhold``, ``on hold`` or ``on-hold``; requests may
        use any
    :param timestamps: times as ``string`` (digits; ``closedAt`` and ``createdAt`` of messages with a fraction),
        ``integer`` or ``fractional`` (all with a fraction)
    :param shape: fields of the ``new`` documentation, or of the ``old`` one: chats without ``createdWith``,
        ``applicationId``, ``readByAgent`` and ``readByCustomer``, customers without ``createdFrom`` and
        ``integrationId``, messages whose agent has ``id`` and ``name`` alone, events with ``customer``
    :param custom_data: ``customData`` of customers in responses: an ``object``, or an ``array`` of ``property`` and
        ``value``
    :param ok: the response ``Ok`` as a ``json`` string or as plain ``text``
    :param message_status: the success of ``POST /v1/messages``, 200 or 201
    :param chat_status: the success of ``POST /v1/chats``, 201 or 200
    :param tech_messages: an update of a chat's status or assignee adds a ``tech`` message
    :param keep_chats: the chats of a deleted customer stay, instead of going too
    :param updated_at: a search may filter by ``chats.updatedAt``, instead of getting a 400
    :param faults: the faults it starts with; more can be added later
    :param clock: seconds since any fixed moment, for the rate limit, the journal and the account's own clock, such as
        a virtual clock; default: the clocks of this machine
    :raises ValueError: a value is out of its range
    """

    def __init__(
        self,
        *,
        agents: int = 250,
        departments: int = 5,
        chats: int = 300,
        messages: int = 8,
        canary: str = "",
        domain: str = "shop.example",
        key: str = "sandbox-key",
        port: int = 0,
        seed: int = 1,
        now: datetime | float | str | None = None,
        rate_limit: int | None = 120,
        window: float = 60.0,
        retry_after: bool = False,
        latency: float = 0.0,
        page_cap: int = 100,
        max_limit: int = 100,
        total: Total = "exact",
        ignore_offset: bool = False,
        errors: Errors = "new",
        search_total: SearchTotal = "root",
        on_hold: OnHold = "onhold",
        timestamps: Timestamps = "string",
        shape: Fields = "new",
        custom_data: CustomData = "object",
        ok: Ok = "json",
        message_status: int = 200,
        chat_status: int = 201,
        tech_messages: bool = False,
        keep_chats: bool = False,
        updated_at: bool = False,
        faults: Iterable[Fault] = (),
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._settings = Settings(
            agents=agents,
            departments=departments,
            chats=chats,
            messages=messages,
            canary=canary,
            domain=domain,
            key=key,
            port=port,
            seed=seed,
            now=now,
            rate_limit=rate_limit,
            window=window,
            retry_after=retry_after,
            latency=latency,
            page_cap=page_cap,
            max_limit=max_limit,
            total=total,
            ignore_offset=ignore_offset,
            errors=errors,
            search_total=search_total,
            on_hold=on_hold,
            timestamps=timestamps,
            shape=shape,
            custom_data=custom_data,
            ok=ok,
            message_status=message_status,
            chat_status=chat_status,
            tech_messages=tech_messages,
            keep_chats=keep_chats,
            updated_at=updated_at,
        )
        self._state = State(self._settings, faults, clock)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._port: int | None = None

    def start(self) -> Self:
        """
        Start to serve; a sandbox that runs already goes on.

        :raises OSError: the port is taken
        :raises ModuleNotFoundError: aiohttp is not installed; the message says how to
        """
        if self._thread is None:
            ready: Future[int] = Future()
            thread = threading.Thread(target=self._run, args=(ready,), name="helpcrunch-sandbox", daemon=True)
            thread.start()
            try:
                self._port = ready.result()
            except BaseException:
                thread.join()
                raise
            self._thread = thread
        return self

    def stop(self) -> None:
        """Stop at once, late and hanging responses included; the journal and the data stay readable."""
        if self._thread and self._loop and self._stopping:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        self._thread = self._loop = self._stopping = None

    def adapter(self, *, sleep: Callable[[float], None] = time.sleep) -> BaseAdapter:
        """
        Return an adapter of ``requests`` that answers in process, without a socket or a thread.

        The sandbox need not be started. A client takes it as ``http_adapter``; a ``requests.Session`` mounts it.

        :param sleep: how to wait for latency and timeouts, such as the ``sleep`` of a virtual clock. Default:
            ``time.sleep``
        """
        # Here, not above: the sandbox itself does not need requests.
        from airflow_provider_helpcrunch.sandbox.adapter import SandboxAdapter

        return SandboxAdapter(self._state, sleep)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _run(self, ready: Future[int]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, ready: Future[int]) -> None:
        try:
            # Here, not above: without aiohttp the package can still be imported, and say what is missing.
            from airflow_provider_helpcrunch.sandbox.server import serving
        except ModuleNotFoundError as missing:
            raise ModuleNotFoundError(MISSING_AIOHTTP, name=missing.name) from missing
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._state, self._settings.port) as port:
            ready.set_result(port)
            await self._stopping.wait()

    @property
    def port(self) -> int:
        """
        The port it serves on, or did last.

        :raises RuntimeError: it was never started
        """
        if self._port is None:
            message = "The sandbox has no port yet: call start() or use it in a with block"
            raise RuntimeError(message)
        return self._port

    @property
    def url(self) -> str:
        """The base URL: ``http://127.0.0.1:PORT/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def key(self) -> str:
        """The newest API key."""
        return list(self._state.keys)[-1]

    def add_key(self, key: str) -> None:
        """
        Make another API key; those that are there stay valid until they are revoked.

        :param key: the new key, which :attr:`key` and :meth:`connection` have from now on
        """
        self._state.keys = {**self._state.keys, key: True}

    def revoke_key(self, key: str) -> None:
        """
        Delete an API key: from now on it is answered 401.

        :param key: the key
        :raises ValueError: the account has no such key
        """
        if key not in self._state.keys:
            message = "the account has no such key"
            raise ValueError(message)
        self._state.keys = {**self._state.keys, key: False}

    def connection(self, **extra: Any) -> str:
        """
        Return the Airflow connection to this sandbox as JSON, for ``AIRFLOW_CONN_HELPCRUNCH_DEFAULT``.

        :param extra: the connection's extra fields, such as ``requests_per_minute``
        """
        fields: dict[str, Any] = {"conn_type": "helpcrunch", "password": self.key, "host": self.url}
        return json.dumps({**fields, "extra": extra} if extra else fields)

    def add_fault(self, fault: Fault) -> None:
        """
        Let something go wrong.

        :param fault: the fault; it counts requests from now on
        """
        self._state.faults.add(fault)

    def clear_faults(self) -> None:
        """Drop all faults."""
        self._state.faults.replace(())

    def reset(self) -> None:
        """Go back to the start: the first data, key and faults, an empty window, an empty journal."""
        self._state.reset()
