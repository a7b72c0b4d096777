"""What the operators' tests share: a task's log as text."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class Lines:
    """A logger that keeps its lines, for ``operator._log``: the tasks' own logger differs between Airflow 2 and 3."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, message: str, *arguments: Any, **_: Any) -> None:
        if "cannot be called outside" in message:
            return  # Airflow's own word on every execute() that a test calls
        if len(arguments) == 1 and isinstance(arguments[0], dict):
            arguments = arguments[0]  # type: ignore[assignment]
        self.lines.append(message % arguments if arguments else message)

    info = warning = error = debug = __call__


@pytest.fixture
def task_log(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[str]]:
    """Return the lines of an operator's own log, from now on."""

    def watch(operator: Any) -> list[str]:
        log = Lines()
        monkeypatch.setattr(type(operator), "log", property(lambda _: log))
        return log.lines

    return watch


@pytest.fixture(autouse=True)
def requests_end(sandbox: object) -> Iterator[None]:
    """Wait for requests that a failed listing left under way, before the sandbox stops beneath them."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("helpcrunch-page"):
            thread.join(10)


@pytest.fixture
def client_log() -> Any:
    """Collect what the client's modules say."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("airflow_provider_helpcrunch")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
