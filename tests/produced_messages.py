"""
Plugin of pytest that fails a run in which no test produced some message that ``docs/errors.md`` quotes.

Only a run of all tests can be held to that: ``make test-airflow3`` loads it, with ``-p tests.produced_messages``.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

# Nothing of the package is imported before tests/conftest.py has given each worker of pytest-xdist its Airflow home.

SAID: set[str] = set()
"""What users would have seen of this process: errors, lines of logs, and what was printed."""

PRODUCED: set[str] = set()
"""The messages of the page that one of the processes said."""


def pytest_configure() -> None:
    from airflow_provider_helpcrunch import exceptions
    from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

    def made(cls: type[BaseException], *arguments: Any, **_: Any) -> BaseException:
        maker = sys._getframe(1).f_globals["__name__"]
        # Neither those that a test makes, nor copies.
        if maker.startswith("airflow_provider_helpcrunch.") and maker != exceptions.__name__:
            SAID.add(arguments[0])
        return BaseException.__new__(cls, *arguments)

    factory = logging.getLogRecordFactory()

    def logged(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        record = factory(*arguments, **keywords)
        if "/airflow_provider_helpcrunch/" in record.pathname:
            # Tables in a log have long cells broken into lines.
            SAID.add(" ".join(record.getMessage().split()))
        return record

    exceptions.HelpCrunchError.__new__ = made  # type: ignore[method-assign,assignment]
    logging.setLogRecordFactory(logged)
    _listen(HelpCrunchHook, "test_connection", lambda outcome: outcome[1])
    _listen(pytest.CaptureFixture, "readouterr", lambda read: read.out + read.err)


def _listen(owner: type, name: str, text_of: Callable[[Any], str]) -> None:
    function = getattr(owner, name)

    @functools.wraps(function)
    def listening(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        SAID.update(text_of(result).splitlines())
        return result

    setattr(owner, name, listening)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what was printed, as Airflow 3 prints the logs of tasks and triggers."""
    SAID.update(report.capstdout.splitlines())


def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist produced; one that crashed has failed the run anyway."""
    PRODUCED.update(getattr(node, "workeroutput", {}).get("produced", ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    from errors_page import is_said, quoted

    said = list(SAID)
    PRODUCED.update(message for message in quoted() if is_said(message, said))
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["produced"] = list(PRODUCED)
    elif session.exitstatus == pytest.ExitCode.OK and _missing():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and (missing := _missing()):
        terminalreporter.section("messages that no test produced", red=True)
        for message in missing:
            terminalreporter.write_line(message)
        terminalreporter.write_line(
            "docs/errors.md quotes them: write a test that produces each, or quote what is said.", red=True
        )


def _missing() -> list[str]:
    from errors_page import quoted

    return [message for message in quoted() if message not in PRODUCED]
