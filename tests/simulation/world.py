"""World of one run: an account in process, a network, people, faults, crashes, and what the account remembers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from scheduler import START, Scheduler, Stuck

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Fault, Request, Sandbox
from airflow_provider_helpcrunch.sandbox.adapter import SandboxAdapter

URL = "http://127.0.0.1/v1"
"""An address on this machine, so that no request looks for proxies."""

WINDOW, PERIOD = 60.0, 61.0
"""Seconds of the server's window, and of the client's."""

MOST_REQUESTS = 3000
"""A run with more counts as stuck."""

ONE_WAY = 0.3
"""Seconds that a request or an answer may travel, at most."""

BROKEN = ("reset", "close", "truncate", "hang", "html", "garbage", "errors")
"""What may happen to every response."""

READS = (
    *(*BROKEN, "no_data", "data_null", "data_object", "no_ids", "empty_page", "short_page", "duplicate_rows"),
    *("latency", "status", "status", "ignore_offset"),
)
WRITES = (*BROKEN, "latency", "status", "ignore_write")


class Wrong(AssertionError):  # noqa: N818
    """The account shows that something is wrong, and nobody said so."""


class Crash(BaseException):
    """The worker dies here. No code under test catches it."""


class Change(NamedTuple):
    """
    What a chat is from a moment on.

    :param at: when, in virtual UNIX seconds
    :param chat: its id
    :param assignee: who has it from then on
    :param status: its status from then on
    """

    at: float
    chat: int
    assignee: int | None
    status: str


class World:
    """
    An account and everything around it, drawn from a seed.

    :param seed: the same seed gives the same run
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.scheduler = Scheduler(seed, seconds=24 * 3600.0)
        self.limit = self.chance.choice((5, 12, 30, 120))
        self.store = MemoryStore(self.limit, PERIOD, self.scheduler.time)
        self.changes: list[Change] = []
        self.sent = 0
        self.crash_at: int | None = None
        self.is_dead = False
        """Whether the worker has died: its store keeps nothing more, as no exception is handled after SIGKILL."""
        self.people_act = True
        self.crashes: list[float] = []
        """When workers died of whom nothing was kept."""
        self.reported_from = 0.0
        """From when on the task that succeeds must report each change: an earlier try without a store knows of none."""

    def open(self, **settings: Any) -> Sandbox:
        """Make the account."""
        self.sandbox = Sandbox(
            now=START,
            clock=self.scheduler.time,
            rate_limit=self.limit,
            window=WINDOW,
            seed=self.chance.randrange(1000),
            **settings,
        )
        return self.sandbox

    def faults(
        self, kinds: tuple[str, ...], *, most: int = 4, refusals: tuple[int, ...] = (), **which: Any
    ) -> None:
        """
        Let a few things go wrong.

        :param kinds: some of these
        :param most: how many at most
        :param refusals: statuses that say no for good
        :param which: the requests that are hit, as :class:`Fault` has it
        """
        for _ in range(self.chance.randint(0, most)):
            kind = self.chance.choice(kinds)
            details: dict[str, Any] = {
                "nth": self.chance.randint(1, 25),
                "times": self.chance.choice((1, 1, 2, 3, 8)),
            }
            if kind == "status":
                details["status"] = self.chance.choice((429, 500, 502, 503, *refusals))
                details["retry_after"] = self.chance.choice((None, "3", "20"))
            if kind in ("latency", "drip"):
                details["seconds"] = self.chance.choice((1, 5, 25))
            if kind == "short_page":
                details["rows"] = self.chance.randint(0, 4)
            self.sandbox.add_fault(Fault(kind, **details, **which))

    def client(self, api_key: str = "", **arguments: Any) -> HelpCrunchClient:
        """Return a client of the account, as one worker has it."""
        given = {
            "budget": RateLimiter(self.store, self.limit, PERIOD),
            "http_adapter": Network(self),
            "base_url": URL,
            **{name: value for name, value in arguments.items() if name != "rate_limit_store"},
        }
        return HelpCrunchClient(api_key or self.sandbox.key, **given)

    def people(self, acts: list[Callable[[], None]], *, pause: float, most: int = 40) -> None:
        """Let people do something now and then while the run goes on, in a thread of their own."""

        def live() -> None:
            for _ in range(self.chance.randint(0, most)):
                self.scheduler.sleep(self.chance.expovariate(1 / pause))
                if not self.people_act:
                    return
                self.chance.choice(acts)()

        self.thread(live)

    def thread(self, work: Callable[[], None]) -> threading.Thread:
        """Start a thread."""
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def change(self, chat: int, **values: Any) -> None:
        """Let a person change a chat, and remember it."""
        self.sandbox.update_chat(chat, **values)
        self.remember(chat)

    def arrive(self, assignee: int | None, status: str = "opened", department: int | None = None) -> int:
        """Let a chat come in, and remember it."""
        made = self.sandbox.insert_chats(1, assignee=assignee, status=status, department=department)
        chat: int = made[0]["id"]
        self.remember(chat)
        return chat

    def remember(self, chat: int) -> None:
        """Note what a chat is from now on, by a person's hand."""
        record = self.sandbox.chat(chat)
        owner = record["assignee"] and record["assignee"]["id"]
        self.changes.append(Change(self.scheduler.now, chat, owner, record["status"]))

    def story(self, chat: int) -> list[Change]:
        """Return what became of a chat, by people's hands and by requests, in order."""
        changes = [change for change in self.changes if change.chat == chat]
        for write in self.sandbox.writes(chat):
            if write.path == "/v1/chats/assignee":
                changes.append(Change(write.at, chat, write.body["assignee"], ""))
        status, story = "", []
        for change in sorted(changes):
            status = change.status or status
            story.append(change._replace(status=status))
        return story

    def first_pages(self, source: int | None) -> list[Request]:
        """Return the searches that asked for a first page of the chats of an agent, or of nobody."""
        pages = [page for page in self.sandbox.requests("/v1/chats/search") if page.offset == 0]
        return [page for page in pages if _searched(page) == source]

    def check_limit(self) -> None:
        """
        Hold the requests against the account's limit: nobody else spends, so the account never had to refuse one.

        :raises Wrong: it did
        """
        if refused := [each for each in self.sandbox.journal if each.status == 429 and each.fault is None]:
            message = f"{len(refused)} requests were over the limit of {self.limit}"
            raise Wrong(message)


class Network(SandboxAdapter):
    """The way to the account: it takes time, and a worker may die on it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.sandbox._state, world.scheduler.sleep)
        self._world = world

    def send(self, request: Any, *arguments: Any, **named: Any) -> Any:
        world = self._world
        world.sent += 1
        if world.sent > MOST_REQUESTS:
            message = f"more than {MOST_REQUESTS} requests"
            raise Stuck(message)
        dies = world.is_dead = world.crash_at == world.sent
        if dies and world.chance.random() < 0.5:
            raise Crash
        world.scheduler.sleep(world.chance.uniform(0.0, ONE_WAY))
        try:
            return super().send(request, *arguments, **named)
        finally:
            if dies:
                raise Crash
            world.scheduler.sleep(world.chance.uniform(0.0, ONE_WAY))


def _searched(page: Request) -> int | None:
    values = [each["value"] for each in page.body["filter"] if each["field"] == "chats.assignee"]
    return values[0] if values else None
