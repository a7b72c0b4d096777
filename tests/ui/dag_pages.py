"""The pages of a DAG in Airflow 3: its trigger form, its runs, and its tasks."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fields import field
from playwright.sync_api import Locator, Page, expect

RUN_TIMEOUT = 900_000
"""Milliseconds that a task may take to come to its end: each is a process that loads Airflow."""

FOLDED = re.compile("^▶ (?!Log message source details|Pre Execute|Post Execute)")
"""The heading of a folded group of a log, but for those that Airflow adds to every log."""

ENDED = re.compile("Success|Failed|Skipped")


@dataclass(frozen=True)
class DagPages:
    """
    The pages of one DAG.

    :param page: the browser's page
    :param dag_id: the DAG
    """

    page: Page
    dag_id: str

    @property
    def dialog(self) -> Locator:
        """The form or the documentation above the page."""
        return self.page.get_by_role("dialog")

    def open(self) -> None:
        """Open the DAG's page."""
        self.page.goto(f"/dags/{self.dag_id}")
        expect(self.page.get_by_role("heading", name=self.dag_id)).to_be_visible()

    def open_trigger_form(self) -> None:
        """Open the form for a run."""
        self.open()
        self.page.get_by_role("button", name="Trigger").click()
        expect(self.dialog.get_by_role("heading", name=f"Trigger Dag - {self.dag_id}")).to_be_visible()

    def param(self, title: str) -> Locator:
        """Return where a person enters a param, by its title."""
        return field(self.dialog, title)

    def suggestions(self, title: str) -> list[str]:
        """Return what the browser suggests for a param, whatever has been typed."""
        values: list[str] = self.param(title).evaluate(
            "field => Array.from(field.list?.options ?? [], option => option.value)"
        )
        return values

    def open_trigger_form_that_suggests(self, title: str) -> list[str]:
        """Open the form again until it suggests values for a param: Airflow reads the DAG's file every 30 s."""
        deadline = time.monotonic() + RUN_TIMEOUT / 1000
        self.open_trigger_form()
        while not (suggestions := self.suggestions(title)):
            assert time.monotonic() < deadline, f"The form suggests nothing for {title!r}."
            self.page.wait_for_timeout(1000)
            self.open_trigger_form()
        return suggestions

    def pick(self, title: str, suggestion: str) -> None:
        """Pick a suggestion. Chromium's own list takes neither keys nor clicks from a test; it enters the value."""
        assert suggestion in self.suggestions(title)
        self.param(title).fill(suggestion)

    def choose(self, title: str, choice: str) -> None:
        """Choose from a param's list."""
        self.param(title).click()
        self.page.get_by_role("option", name=choice, exact=True).click()

    def switch(self, title: str, *, on: bool) -> None:
        """Switch a param that is true or false."""
        # The box itself lies under the switch that is drawn; a keyboard reaches it.
        box = self.param(title)
        if box.is_checked() != on:
            box.press("Space")
        expect(box).to_be_checked(checked=on)

    def start(self) -> str:
        """Press *Trigger* in the form, and return the path of the run's page."""
        self.dialog.get_by_role("button", name="Trigger", exact=True).click()
        self.page.wait_for_url(re.compile("/runs/manual__"))
        return urlsplit(self.page.url).path.rstrip("/")

    def trigger(self, *tasks: str) -> str:
        """
        Press *Trigger* in the form, and wait until tasks have succeeded.

        :param tasks: their ids
        :return: the path of the run's page
        """
        path = self.start()
        self.wait(*tasks)
        return path

    def row(self, task: str) -> Locator:
        """Return the row of a task, on the page of a run."""
        link = self.page.get_by_role("link", name=task, exact=True)
        return self.page.get_by_role("row").filter(has=link).last

    def wait(self, *tasks: str, until: str = "Success") -> None:
        """
        Wait on the page of a run until tasks have ended.

        :param tasks: their ids
        :param until: what the page must say of each at the end
        """
        for task in tasks:
            expect(self.row(task)).to_contain_text(ENDED, timeout=RUN_TIMEOUT)
            expect(self.row(task)).to_contain_text(until)

    def open_log(self, path: str, task: str) -> None:
        """
        Open the log of a task that has ended, and unfold its groups.

        :param path: the path of the run's page
        :param task: the id of the task
        """
        self.page.goto(f"{path}/tasks/{task}")
        # A task that was deferred has a log of two parts.
        expect(self.page.get_by_text("Post Execute").last).to_be_visible()
        while self.page.get_by_text(FOLDED).count():
            self.page.get_by_text(FOLDED).first.click()

    def result(self, path: str, task: str) -> Any:
        """
        Return the result of a task that has ended, as its page copies it: it draws no more than the first lines.

        :param path: the path of the run's page
        :param task: the id of the task
        """
        self.page.goto(f"{path}/tasks/{task}/xcom")
        self.page.evaluate("navigator.clipboard.writeText('')")
        row = self.page.get_by_role("row").filter(has_text="return_value")
        row.get_by_role("button", name="Copy to clipboard").click()
        copied = self.page.wait_for_function("navigator.clipboard.readText()")
        return json.loads(copied.json_value())


@dataclass(frozen=True)
class StartedRun:
    """
    A run that was triggered from the form.

    :param dag: the DAG
    :param path: the path of the run's page
    """

    dag: DagPages
    path: str

    def wait(self, *tasks: str) -> None:
        """Wait until tasks have succeeded."""
        self.dag.page.goto(self.path)
        self.dag.wait(*tasks)

    def log_says(self, task: str, *lines: str | re.Pattern[str]) -> None:
        """Fail unless the log of a task has these lines, or parts of lines."""
        self.dag.open_log(self.path, task)
        for line in lines:
            expect(self.dag.page.get_by_text(line).first).to_be_visible()

    def result(self, task: str) -> Any:
        """Return the result of a task."""
        return self.dag.result(self.path, task)
