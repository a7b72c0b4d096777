"""What a failed test says about its page, because the Airflow that served it is gone by then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, Request, Response

SLOW = 5.0
"""Seconds after which a request of the page is told."""


@dataclass
class Evidence:
    """
    Watches a page.

    :param page: the browser's page
    :param home: the home of its Airflow, with the logs
    """

    page: Page
    home: Path
    _began: dict[Request, float] = field(default_factory=dict)
    _ended: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._begin)
        self.page.on("response", self._refused)
        self.page.on("requestfinished", self._end)
        self.page.on("requestfailed", self._end)

    def forget(self) -> None:
        """Forget what the page has asked for so far, but for what it still waits for."""
        self._ended.clear()

    def lines(self) -> Iterator[str]:
        """Yield the page's address, its requests that were refused or slow, and the errors in Airflow's logs."""
        yield f"on {self.page.url}"
        yield from self._ended
        for request in self._began:
            yield f"{self._seconds(request):.1f} s, and no response: {request.method} {request.url}"
        for log in sorted(self.home.glob("*.log")):
            yield from (line for line in log.read_text(errors="replace").splitlines() if "[error" in line)

    def _begin(self, request: Request) -> None:
        self._began[request] = time.monotonic()

    def _refused(self, response: Response) -> None:
        if response.status >= 400:
            self._ended.append(f"status {response.status}: {response.request.method} {response.url}")

    def _end(self, request: Request) -> None:
        if (seconds := self._seconds(request)) > SLOW:
            self._ended.append(f"{seconds:.1f} s: {request.method} {request.url}")
        del self._began[request]

    def _seconds(self, request: Request) -> float:
        return time.monotonic() - self._began[request]
