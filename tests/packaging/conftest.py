"""The distributions that are tested, and the matrix of a release at the end."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installations import CLONE, run
from matrix import Cell, draw


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a release test the very files that will be uploaded."""
    parser.addoption("--distributions", type=Path, help="directory with a wheel and an sdist; default: build")


@pytest.fixture(scope="session")
def distributions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: the build leaves folders beside the sources, and other tests may be reading those."""
    given: Path | None = request.config.getoption("--distributions", default=None)
    if given is not None:
        return given.resolve()
    source = tmp_path_factory.mktemp("source") / "clone"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(CLONE, source, ignore=unwanted)
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source)
    return target


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    """Return the wheel."""
    (path,) = distributions.glob("*.whl")
    return path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix: a row for each Airflow and Python, a column for each extra."""
    cells = [
        Cell(*dict(report.user_properties)["cell"], outcome=outcome, reason=reason_of(report))
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.getreports(outcome)
        if "cell" in dict(report.user_properties)
    ]
    if cells:
        terminalreporter.section("release")
        terminalreporter.write_line(draw(cells))


def reason_of(report: pytest.TestReport) -> str:
    """Return why a test was skipped, else nothing."""
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
