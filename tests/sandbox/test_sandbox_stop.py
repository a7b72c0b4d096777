"""Stopping while clients still connect leaves no socket open behind."""

from __future__ import annotations

import gc
import socket
import threading
import warnings

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "attempt", [*range(5), *(pytest.param(number, marks=pytest.mark.long) for number in range(5, 20))]
)
def test_connections_accepted_in_the_last_moment_are_closed(attempt: int) -> None:
    gc.collect()  # what earlier tests have left
    sandbox = Sandbox(agents=1).start()
    stopped = threading.Event()

    def knock() -> None:
        while not stopped.is_set():
            try:
                socket.create_connection(("127.0.0.1", sandbox.port), 0.2).close()
            except OSError:
                return

    knocking = [threading.Thread(target=knock) for _ in range(4)]
    for thread in knocking:
        thread.start()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sandbox.stop()
        stopped.set()
        for thread in knocking:
            thread.join()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
