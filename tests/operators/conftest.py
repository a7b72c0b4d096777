"""Fixtures for the tests of operators: a task's log as text."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import BaseOperator


@pytest.fixture(autouse=True)
def no_socket(in_process: None) -> None:
    """Operators say what is asked, not how it travels."""


class Lines(logging.Handler):
    """Handler that keeps the lines of a log, but for those that Airflow leaves out by default."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def task_log(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[str]]:
    """
    Return the lines of an operator's own log, from now on.

    The test calls ``execute`` itself, as Airflow's own tests do, so Airflow's guard against that is in its test mode.
    ``test_safeguard.py`` runs every operator as a real task with the guard on.
    """
    guard = sys.modules[BaseOperator.__module__].ExecutorSafeguard  # type: ignore[attr-defined]
    monkeypatch.setattr(guard, "test_mode", True)

    def watch(operator: Any) -> list[str]:
        lines = Lines()
        # The tasks' own logger differs between Airflow 2 and 3.
        log = logging.Logger("task", logging.INFO)
        log.parent = logging.getLogger()
        log.addHandler(lines)
        monkeypatch.setattr(type(operator), "log", property(lambda _: log))
        return lines.lines

    return watch


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
