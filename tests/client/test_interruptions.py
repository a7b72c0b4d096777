"""An interrupted request, listing or client leaves no thread, no socket and no key behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient, RateLimiter, RetryPolicy
from airflow_provider_helpcrunch.client.credentials import ApiKey
from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.rate_limit.limiter import Cancelled
from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

KEY = "hc-9fQ2wZ1nB7xK3mT9vR2cL6yD4pS0gZ"


def sockets() -> int:
    """Return how many sockets this process has open to other sockets of this machine."""
    links = (os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _exists(name))
    return sum(link.startswith("socket:") for link in links)


def page_threads() -> int:
    return sum(thread.name.startswith("helpcrunch-page") for thread in threading.enumerate())


def _exists(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


LISTING = """
import signal, sys, time
from airflow_provider_helpcrunch.client import HelpCrunchClient

client = HelpCrunchClient(sys.argv[2], base_url=sys.argv[1], rate_limit_store="memory://", requests_per_minute=20)
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts in the background
print("began", flush=True)
for number, agent in enumerate(client.iter_agents(page_size=10)):
    if sys.argv[3] == "error" and number == 150:
        sys.stdin.read()  # until the budget is spent
        raise SystemExit("the consumer failed")
"""


@pytest.mark.parametrize("how", ["error", "interrupt", "terminate"])
def test_an_interrupted_listing_keeps_no_process_alive(how: str, sandbox: Callable[..., Sandbox]) -> None:
    """The budget is spent after 20 requests, and eight threads wait for it, for a minute if they are let."""
    account = sandbox(agents=2000)
    process = subprocess.Popen(
        [sys.executable, "-c", LISTING, account.url, account.key, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 300
        while len(account.journal) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        if how != "error":
            process.send_signal({"interrupt": signal.SIGINT, "terminate": signal.SIGTERM}[how])
        process.communicate(timeout=300)  # closes its stdin
        assert time.monotonic() - began < 45
        assert len(account.journal) == 20
    finally:
        process.kill()


def test_closing_wakes_everyone_who_waits_for_the_budget(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient]
) -> None:
    account = sandbox(agents=5)
    budget = RateLimiter(MemoryStore(2, 60.0), 2, 60.0)
    caller = client(account, budget=budget, retry=RetryPolicy(patience=100))
    errors: list[BaseException] = []

    def call() -> None:
        try:
            caller.list_agents()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    while sum(thread.is_alive() for thread in threads) > 8:
        time.sleep(0.01)
    began = time.monotonic()
    caller.close()
    for thread in threads:
        thread.join(60)
    assert time.monotonic() - began < 45
    assert len(errors) == 8
    assert {type(error) for error in errors} == {HelpCrunchError}
    assert all("client is closed" in str(error) for error in errors)
    assert len(account.journal) == 2


@pytest.mark.parametrize("fault", ["status", "429"])
def test_closing_ends_a_pause_before_a_retry(
    fault: str, sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient]
) -> None:
    status = {"status": 503, "429": 429}[fault]
    account = sandbox(agents=5, faults=[Fault("status", status=status, times=0)])
    policy = RetryPolicy(first_pause=30, longest_pause=60, deadline=300, patience=300)
    caller = client(account, retry=policy, period=60.0)
    closing = threading.Timer(0.5, caller.close)
    closing.start()
    began = time.monotonic()
    with pytest.raises(HelpCrunchError, match="client is closed") as caught:
        caller.list_agents()
    assert not isinstance(caught.value, Cancelled)
    assert time.monotonic() - began < 25  # the first pause alone would take 30 s


def test_no_socket_is_left_of_listings_that_were_closed_early(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient]
) -> None:
    account = sandbox(agents=2000, faults=[Fault("latency", seconds=0.05, times=0)])
    before = sockets()
    for _ in range(20):
        caller = client(account)
        listing = caller.iter_agents(page_size=10)
        next(listing)
        listing.close()
        caller.close()
    deadline = time.monotonic() + 60
    while (sockets() > before or page_threads()) and time.monotonic() < deadline:
        time.sleep(0.05)  # what is cut off ends a moment later, as do the sandbox's ends in this process
    assert page_threads() == 0
    assert sockets() <= before  # fewer, if one of an earlier test was still open


class Interruption(BaseException):
    """Stands for Airflow's timeout of a task and for Ctrl+C."""


def interrupt(number: int, frame: FrameType | None) -> None:
    raise Interruption


@pytest.fixture
def timer() -> Iterator[Callable[[float], None]]:
    before = signal.signal(signal.SIGALRM, interrupt)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def shown_by(error: BaseException | None) -> Iterator[str]:
    """Yield what a tool that records local variables would have of an error and of those behind it."""
    if error is None:
        return
    trace = error.__traceback__
    while trace is not None:
        if "/tests/" not in trace.tb_frame.f_code.co_filename:
            yield from (repr(value) for value in trace.tb_frame.f_locals.values())
            for value in trace.tb_frame.f_locals.values():
                yield from (repr(each) for each in getattr(value, "__dict__", {}).values())
        trace = trace.tb_next
    yield str(error)
    yield from shown_by(error.__cause__)
    yield from shown_by(error.__context__)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "hang"}, Interruption),
        ({"kind": "status", "status": 401}, HelpCrunchError),
        ({"kind": "status", "status": 500}, HelpCrunchError),
        ({"kind": "reset"}, HelpCrunchError),
        ({"kind": "truncate"}, HelpCrunchError),
        ({"kind": "html"}, HelpCrunchError),
    ],
    ids=str,
)
def test_no_frame_of_an_error_holds_the_key(
    fault: dict[str, Any],
    error: type[BaseException],
    sandbox: Callable[..., Sandbox],
    client: Callable[..., HelpCrunchClient],
    timer: Callable[[float], None],
) -> None:
    account = sandbox(key=KEY, faults=[Fault(**{"times": 0, **fault})])
    caller = client(account, key=ApiKey(KEY))

    def call() -> None:
        if error is Interruption:
            timer(0.5)
        caller.get_organization()

    with pytest.raises(error) as caught:
        call()
    shown = list(shown_by(caught.value))
    assert shown
    assert not any(KEY in text for text in shown)
