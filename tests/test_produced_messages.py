"""The plugin that holds a run of all tests to ``docs/errors.md``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from errors_page import CLONE

TESTS = "tests/client/test_webhooks.py"


@pytest.mark.long
@pytest.mark.once
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_message_that_no_test_produces_fails_a_run_whose_tests_pass(workers: str) -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            workers,
            "-p",
            "tests.produced_messages",
            "tests/client/test_webhooks.py",
        ],
        cwd=CLONE,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    summary = run.stdout.partition("messages that no test produced")[2].splitlines()
    assert "poke_interval must be at least …" in summary
    assert "The webhook cannot be read: …" not in summary
    assert " passed in " in summary[-1]
    assert "failed" not in summary[-1]
