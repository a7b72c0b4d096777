"""A browser, and the Airflow of ``make airflow`` on three versions, each started by the first test that asks for it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

if find_spec("playwright"):
    from evidence import Evidence
    from pictures import WINDOW, Pictures
    from playwright.sync_api import Browser, Page, expect, sync_playwright
    from processes import raise_on_signals
    from stack import Stack

    PATIENCE = 60_000
    """Milliseconds that a person's wish may take: the machine may be slow, and have other work."""

    expect.set_options(timeout=PATIENCE)
else:
    # Nothing here can be imported in the other environments.
    collect_ignore_glob = ["test_*.py"]

EVIDENCE = pytest.StashKey["Evidence"]()
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the run that is tested be photographed too."""
    parser.addoption(
        "--pictures", type=Path, help="directory for the pictures of the documentation; default: none"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let each test tell what it has asked for itself."""
    if evidence := item.config.stash.get(EVIDENCE, None):
        evidence.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failed test say what its page has asked for."""
    report = yield
    if report.failed and (evidence := item.config.stash.get(EVIDENCE, None)):
        report.sections.append(("The page", "\n".join(evidence.lines())))
    return report


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest) -> Pictures:
    return Pictures(request.config.getoption("--pictures", default=None))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is not installed: make servers"
    raise_on_signals()
    with sync_playwright() as playwright:
        # Root, as whom containers run, has no sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of ``AIRFLOWS``, named by the test's parameter."""
    with Stack.running(tmp_path_factory.mktemp("airflow"), *request.param) as stack:
        yield stack


@pytest.fixture(scope="session")
def page(browser: Browser, airflow: Stack, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a user who has logged in."""
    clipboard = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(viewport=WINDOW, base_url=airflow.url, permissions=clipboard)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    request.config.stash[EVIDENCE] = Evidence(page, airflow.home)
    page.goto("/")
    page.get_by_label("Username").fill(airflow.user)
    page.get_by_label("Password", exact=True).or_(page.get_by_label("Password:")).fill(airflow.password)
    page.get_by_role("button", name="Sign in").click()
    # The Airflow 3 page is empty until its data has come; nothing may be asked for before it knows who asks.
    expect(page.get_by_role("link", name="Dags").first).to_be_visible()
    yield page
    context.close()
