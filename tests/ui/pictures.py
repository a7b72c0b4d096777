"""Pictures of the pages for the documentation, taken while the tests run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

WIDTH = 1200


@dataclass(frozen=True)
class Pictures:
    """
    A folder of pictures.

    :param folder: where they are written; without one, none is taken
    """

    folder: Path | None

    def take(self, page: Page, name: str, *, height: int, home: Path | None = None) -> None:
        """
        Take a picture of what a person sees.

        :param page: the page, scrolled to what is shown
        :param name: the file's name without its suffix
        :param height: in pixels
        :param home: Airflow's home, which has another path on each machine, and is shown as ``/opt/airflow``
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        before = page.viewport_size
        page.set_viewport_size({"width": WIDTH, "height": height})
        if home:
            page.evaluate(SHOW_HOME_AS, [str(home), "/opt/airflow"])
        page.screenshot(path=self.folder / f"{name}.png", animations="disabled", caret="hide")
        if before:
            page.set_viewport_size(before)


SHOW_HOME_AS = """([home, shown]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(home, shown);
    for (const field of document.querySelectorAll("input, textarea")) field.value = field.value.replaceAll(home, shown);
}"""
