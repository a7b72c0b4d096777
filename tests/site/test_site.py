"""The documentation as a site: it builds without a warning, all of it became HTML, and a browser loads nothing else."""

from __future__ import annotations

import functools
import html
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.get_provider_info import get_provider_info

pytestmark = pytest.mark.site

CLONE = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=CLONE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def pages(site: Path) -> dict[str, str]:
    return {
        str(path.relative_to(site)): path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))
    }


def test_every_page_of_the_documentation_is_there(site: Path) -> None:
    wanted = {path.stem for path in (CLONE / "docs").glob("*.md")} | {"index", "architecture"}
    assert wanted <= {path.stem for path in site.glob("*.html")}


def test_every_module_that_airflow_is_told_of_is_in_the_reference(site: Path) -> None:
    reference = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    kinds = [each for kind in ("operators", "hooks", "triggers") for each in get_provider_info()[kind]]
    modules = [module for each in kinds for module in each["python-modules"]]
    assert [module for module in modules if f'id="{module}"' not in reference] == []


def test_how_tos_are_code(pages: dict[str, str]) -> None:
    assert pages["howto.html"].count("highlight") > 15
    assert "howto_" not in pages["howto.html"]


def test_nothing_is_left_of_the_markdown(pages: dict[str, str]) -> None:
    left = []
    for name, page in pages.items():
        text = re.sub(r"<(pre|code|script|style|title|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
        text = html.unescape(re.sub(r"<[^>]+>", "", text))
        marks = re.findall(r".*(?:\]\(|```|^\| |\*\*|:(?:meth|class|param)\b).*", text, re.MULTILINE)
        left += [f"{name}: {mark}" for mark in marks]
    assert left == []
    assert [name for name, page in pages.items() if name != "reference/client.html" and r"\|" in page] == []


def test_no_tag_loads_something_from_elsewhere(pages: dict[str, str]) -> None:
    tags = [
        tag
        for page in pages.values()
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page)
    ]
    assert len(tags) > 100
    assert {tag for tag in tags if re.search(r"""\b(?:src|href)=["']?(?:https?:)?//""", tag)} == set()


@pytest.fixture
def server(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: nobody looked what a browser loads")
@pytest.mark.parametrize("page", ["index.html", "architecture.html", "reference/client.html"])
def test_a_browser_asks_no_other_host(server: str, page: str, tmp_path: Path) -> None:
    assert CHROMIUM
    log = tmp_path / "net.json"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    subprocess.run(
        [
            *(CHROMIUM, *options),
            *(f"--user-data-dir={tmp_path}", f"--log-net-log={log}", "--dump-dom", f"{server}/{page}"),
        ],
        # Its socket lies in the temporary directory, and the path of a socket must be short.
        env={name: value for name, value in os.environ.items() if name != "TMPDIR"},
        capture_output=True,
        timeout=300,
        check=True,
    )
    # Each event is a line. A request that the page makes names the page's origin; the browser's own requests do not.
    lines = [
        line for line in log.read_text(encoding="utf-8").splitlines() if f'"initiator":"{server}"' in line
    ]
    asked = {url for line in lines for url in re.findall(r'"url":"([^"]+)"', line)}
    assert any(url.endswith(".js") for url in asked)
    assert any(url.endswith(".css") for url in asked)
    assert {url for url in asked if not url.startswith((f"{server}/", "data:"))} == set()
