"""The tests on the page about tests of one's own, run with pytest in a project of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from code_blocks import CLONE, blocks

pytestmark = pytest.mark.long


def test_they_pass_as_they_stand_there(tmp_path: Path) -> None:
    texts = [block.text for block in blocks("python") if block.page.name == "tests-of-your-own.md"]
    for number, text in enumerate(texts):
        name = text.partition(".py\n")[0].removeprefix("# ") if text.startswith("# ") else f"test_{number}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CLONE)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
