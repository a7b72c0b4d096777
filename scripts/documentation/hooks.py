"""Hooks of MkDocs: what the pages in ``docs/``, which GitHub shows as they are, need to become a site."""

from __future__ import annotations

import posixpath
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

from airflow_provider_helpcrunch.get_provider_info import get_provider_info

if TYPE_CHECKING:
    from collections.abc import Callable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

CLONE = Path(__file__).resolve().parents[2]
PACKAGE = "airflow_provider_helpcrunch"
SOURCE = "https://github.com/airflow-provider-helpcrunch/airflow-provider-helpcrunch/blob/main"

BESIDE = """
approvals assignment client client.addresses client.filters client.models client.timestamps client.webhooks
exceptions privacy reports sandbox sandbox.pytest_plugin schema storage
""".split()
"""The public modules beside those in ``get_provider_info.py``: see ``docs/compatibility.md``."""

BESIDE_DOCS = {"index.md": "README.md", "architecture.md": "ARCHITECTURE.md"}
"""Pages of the site that lie beside ``docs/``, where people who open the repository look for them."""

FENCE = re.compile(r"^( *)(```+).*?^\1\2 *$", re.DOTALL | re.MULTILINE)
ARGUMENTS = """
    options:
        filters: ["!^[a-z_]", "!^[A-Z_]+$"]
"""
"""For what is used by its arguments: methods and constants are for those who derive from it."""

OPTIONS = {
    "operators": ARGUMENTS,
    "sensors": ARGUMENTS,
    "triggers": ARGUMENTS,
    "hooks": """
    options:
        filters: ["!^_", "!^[A-Z_]+$"]
""",
}
"""What a page of the reference leaves out beside private names."""

BASE_OF_LISTS = """
::: airflow_provider_helpcrunch.operators.base.HelpCrunchListOperator
    options:
        members: [perform]
"""
"""What the operators that list have in common: they refer to it."""

ROW = re.compile(r"^\|.*$", re.MULTILINE)
CODE = re.compile(r"`[^`]+`")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
SNIPPET = re.compile(r"^\[`(howto_\w+)`\]\(([^)\s]+\.py)\)$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API reference to the navigation: a page for each public module or package."""
    pages = [{_title(name): f"reference/{name}.md"} for name in reference()]
    config.nav = [*(config.nav or []), {"API reference": pages}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is no file of ``docs/``: pages of the clone itself, the API reference, the icon, the style sheet."""
    for name, path in BESIDE_DOCS.items():
        text = (CLONE / path).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_unescaped(_linked(text, folder=""))))
    for name, modules in reference().items():
        entries = [f"::: {module}{OPTIONS.get(name, '')}" for module in modules]
        if name == "operators":
            entries.append(BASE_OF_LISTS)
        content = "\n\n".join([f"# {_title(name)}", *entries, ""])
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    for path in ("favicon.svg", "site.css"):
        text = (Path(__file__).parent / path).read_text(encoding="utf-8")
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in running code where a page names it, and lead links out of ``docs/`` to the repository."""
    if page.file.generated_by:
        return markdown
    markdown = SNIPPET.sub(lambda found: snippet(found[1], posixpath.normpath(f"docs/{found[2]}")), markdown)
    return _unescaped(_linked(markdown, folder="docs"))


def reference() -> dict[str, list[str]]:
    """Return the public modules by the part of the package that they belong to."""
    info = get_provider_info()
    kinds = [each for kind in ("operators", "sensors", "triggers", "hooks") for each in info.get(kind, ())]
    of_airflow = [module for each in kinds for module in each["python-modules"]]
    parts: dict[str, list[str]] = {}
    for module in [*of_airflow, *(f"{PACKAGE}.{name}" for name in BESIDE)]:
        parts.setdefault(module.split(".")[1], []).append(module)
    return parts


def snippet(mark: str, path: str) -> str:
    """Return the code between ``[START mark]`` and ``[END mark]`` of a file, fenced, with a link to the file."""
    source = (CLONE / path).read_text(encoding="utf-8")
    found = re.search(rf"^ *# \[START {mark}\]\n(.*?)^ *# \[END {mark}\]$", source, re.DOTALL | re.MULTILINE)
    if found is None:
        msg = f"{path} has no lines between '# [START {mark}]' and '# [END {mark}]'."
        raise PluginError(msg)
    code = textwrap.dedent(found[1]).strip("\n")
    return f"```python\n{code}\n```\n\n[The whole DAG: `{path}`]({SOURCE}/{path})"


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _linked(markdown: str, *, folder: str) -> str:
    """Lead the links of a page in a folder of the clone to the pages of the site, or else to the repository."""
    pages = {path: name for name, path in BESIDE_DOCS.items()}

    def target(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found[1]))
        page = pages.get(path, path.removeprefix("docs/"))
        return page if page != path else f"{SOURCE}/{path}"

    return _outside_code(markdown, lambda text: LINK.sub(target, text))


def _unescaped(markdown: str) -> str:
    """Return a page without the backslash before a bar of code in a table: GitHub needs it, the site would show it."""

    def row(found: re.Match[str]) -> str:
        return CODE.sub(lambda code: code[0].replace(r"\|", "|"), found[0])

    return _outside_code(markdown, lambda text: ROW.sub(row, text))


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(markdown[end:])])
