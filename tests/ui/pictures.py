"""Pictures of the pages for the documentation, taken while the tests run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

WINDOW = {"width": 1200, "height": 900}
"""The browser's window, in pixels."""

SHOW_HOME_AS = """([home, shown]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(home, shown);
    for (const field of document.querySelectorAll("input, textarea")) field.value = field.value.replaceAll(home, shown);
}"""


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
        :param height: how much of the window is shown, in pixels from its top
        :param home: Airflow's home, which has another path on each machine, and is shown as ``/opt/airflow``
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if home:
            page.evaluate(SHOW_HOME_AS, [str(home), "/opt/airflow"])
        shown = {"x": 0, "y": 0, "width": WINDOW["width"], "height": height}
        shot = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide", clip=shown)))
        # A page has few colours: with a palette, its picture has half the size.
        shot.convert("RGB").quantize(256).save(self.folder / f"{name}.png", optimize=True)
