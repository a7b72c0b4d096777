"""The documentation as a reader gets it: a short README, links that lead somewhere, operators with an example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from code_blocks import CLONE, PAGES
from every_operator import every_operator


def without_code(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len((CLONE / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_leads_to_every_page_of_the_documentation() -> None:
    readme = (CLONE / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (CLONE / "docs").glob("*.md") if f"](docs/{page.name})" not in readme] == []


def test_the_site_leads_to_every_page_of_the_documentation() -> None:
    navigation = (CLONE / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    assert sorted(re.findall(r"^ +- .+: (\S+\.md)$", navigation, re.MULTILINE)) == sorted(
        ["index.md", "architecture.md", *(page.name for page in (CLONE / "docs").glob("*.md"))]
    )


HOW_TO = (CLONE / "docs" / "howto.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^\[`(howto_\w+)`\]\(\.\./(\S+)\)$", HOW_TO, re.MULTILINE)
"""The marks that the page of how-tos shows, each with the file that has it."""


def marked(name: str, path: str) -> str:
    """Return the code between the marks of a file."""
    source = (CLONE / path).read_text(encoding="utf-8")
    (code,) = re.findall(rf"# \[START {name}\]\n(.*?)# \[END {name}\]\n", source, re.DOTALL)
    return code


@pytest.mark.parametrize(("name", "path"), SHOWN)
def test_every_how_to_is_code_of_an_example(name: str, path: str) -> None:
    assert marked(name, path).strip()


def test_every_marked_example_is_a_how_to() -> None:
    marks = [
        name
        for path in (CLONE / "dags").glob("*.py")
        for name in re.findall(r"\[START (howto_\w+)\]", path.read_text(encoding="utf-8"))
    ]
    assert sorted(name for name, _ in SHOWN) == sorted(marks)


def test_every_operator_has_a_how_to() -> None:
    code = "".join(marked(name, path) for name, path in SHOWN)
    assert [each.__name__ for each in every_operator() if f"{each.__name__}(" not in code] == []
