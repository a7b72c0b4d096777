"""Code blocks of the README and the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
PAGES = [
    *(
        CLONE / name
        for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
    ),
    *sorted((CLONE / "docs").glob("*.md")),
]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)``` *$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """
    A fenced block of code.

    :param page: the file that it is in
    :param line: the line on which it begins, from 1
    :param language: such as ``python``; ``text`` for output and drawings
    :param text: the code, without the indentation of the block
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def is_dag(self) -> bool:
        """Whether it is a whole DAG file."""
        return self.language == "python" and "with DAG(" in self.text

    def for_airflow(self, version: str) -> str:
        """Return the code with the imports of a version of Airflow, as the page on operators tells those on 2.11."""
        if not version.startswith("2."):
            return self.text
        names = {"DAG": "airflow", "task": "airflow.decorators"}
        return re.sub(
            r"^from airflow\.sdk import (.+)$",
            lambda found: "\n".join(f"from {names[name]} import {name}" for name in found[1].split(", ")),
            self.text,
            flags=re.MULTILINE,
        )


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in these languages, in their order."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            lines = [line.removeprefix(fence["indent"]) for line in fence["text"].splitlines(keepends=True)]
            block = Block(page, text.count("\n", 0, fence.start()) + 1, fence["language"], "".join(lines))
            if block.language in languages:
                found.append(block)
    return found


MESSAGING = "from airflow.providers.common.messaging"
"""A provider in the DAG of ``docs/webhooks.md``, which is installed for ``test_message_queue.py`` alone."""


def dag_files(folder: Path, version: str) -> list[str]:
    """Write each DAG of the pages into a folder, as a reader would, and return the ids of the DAGs."""
    dags = [block for block in blocks("python") if block.is_dag and MESSAGING not in block.text]
    if version.startswith("2."):  # has no watchers
        dags = [block for block in dags if "AssetWatcher" not in block.text]
    texts = dict.fromkeys(block.for_airflow(version) for block in dags)
    for number, text in enumerate(texts):
        (folder / f"documented_{number:02}.py").write_text(text, encoding="utf-8")
    return [name for text in texts for name in re.findall(r'with DAG\(\s*"(\w+)"', text)]


def sample(page: str, beginning: str) -> str:
    """Return the output on a page that begins like this."""
    (block,) = (each for each in blocks("text") if each.page.name == page and each.text.startswith(beginning))
    return block.text


def missing_tests(elsewhere: Mapping[str, str]) -> list[str]:
    """Return the files of tests that are said to run a block, and do not exist."""
    named = re.findall(r"tests/[\w/]+\.py", " ".join(elsewhere.values()))
    return [name for name in named if not (CLONE / name).exists()]
