"""The files of a repository that people meet first: all that they name exists, and what must be said is said."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from every_operator import every_operator

from airflow_provider_helpcrunch import __version__
from airflow_provider_helpcrunch.get_provider_info import get_provider_info

CLONE = Path(__file__).resolve().parents[1]
PACKAGE = CLONE / "airflow_provider_helpcrunch"
TEMPLATES = sorted(path for path in (CLONE / ".github").rglob("*") if path.is_file())
FILES = [
    CLONE / "ARCHITECTURE.md",
    CLONE / "CONTRIBUTING.md",
    CLONE / "SECURITY.md",
    CLONE / "docs/security.md",
    *TEMPLATES,
]
PRE_COMMIT = CLONE / ".pre-commit-config.yaml"
SETUP = configparser.ConfigParser()
SETUP.read(CLONE / "setup.cfg")

MADE = ("dist/", ".tmp", ".venv/")
"""Where make writes: such a path is not in the repository."""

PATH = re.compile(r"\.?[\w-]+(/[\w.*-]+)*(/|\.(py|md|in|txt|toml|cfg|yaml|yml|sql))")


def names(path: Path) -> list[str]:
    """Return what stands in backticks, and what a template names as a file."""
    text = path.read_text(encoding="utf-8")
    plain = re.findall(r"\b(?:docs/)?[\w-]+\.md\b", text) if path in TEMPLATES else []
    return [
        *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)),
        *plain,
    ]


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def targets() -> set[str]:
    """Return the targets of make."""
    return set(re.findall(r"^([a-z0-9-]+):", (CLONE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def is_there(name: str) -> bool:
    """Say whether a path is in the clone, the package, the tests or the requirements; a mere name, anywhere in them."""
    folders = (CLONE, PACKAGE, CLONE / "tests", CLONE / "requirements")
    if "/" not in name and any(any(folder.rglob(name)) for folder in folders[1:]):
        return True
    return any(any(folder.glob(name.rstrip("/"))) for folder in folders)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
class TestNames:
    def test_every_path_exists(self, path: Path) -> None:
        named = [name.partition("::")[0] for name in names(path)]
        paths = [name for name in named if PATH.fullmatch(name) and not name.startswith(MADE)]
        assert [name for name in paths if not is_there(name)] == []

    def test_every_test_exists(self, path: Path) -> None:
        named = [name.split("::") for name in names(path) if re.fullmatch(r"[\w/]+\.py::\w+", name)]
        assert [test for file, test in named if test not in functions_of(CLONE / file)] == []

    def test_every_target_exists(self, path: Path) -> None:
        named = [name.split()[1] for name in names(path) if re.match(r"make [a-z]", name)]
        assert set(named) <= targets()


def test_the_names_are_seen() -> None:
    assert "tests/client/test_transport.py::test_redirects_are_not_followed" in names(
        CLONE / "docs/security.md"
    )
    assert PATH.fullmatch("chats/drain.py")
    assert PATH.fullmatch("airflow_provider_helpcrunch/storage/")
    assert not is_there("chats/drains.py")
    assert "docs/errors.md" in names(CLONE / ".github/pull_request_template.md")


class TestTemplates:
    @pytest.mark.parametrize(
        "path", [path for path in TEMPLATES if path.suffix == ".yml"], ids=lambda path: path.name
    )
    def test_a_form_is_yaml(self, path: Path) -> None:
        form: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert path.stem == "config" or {"name", "description", "body"} <= form.keys()

    def test_a_bug_comes_with_the_check(self) -> None:
        form = yaml.safe_load((CLONE / ".github/ISSUE_TEMPLATE/bug.yml").read_text(encoding="utf-8"))
        (check,) = [field for field in form["body"] if field.get("id") == "check"]
        assert "python -m airflow_provider_helpcrunch check --json" in check["attributes"]["description"]
        assert check["validations"]["required"]


def test_hooks_are_local_and_run_what_exists() -> None:
    config = yaml.safe_load(PRE_COMMIT.read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    (hooks,) = [repo["hooks"] for repo in config["repos"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert [hook["entry"] for hook in hooks if hook["entry"].startswith("make")] == ["make lint"]
    assert "lint" in targets()


class TestVersion:
    def test_it_stands_in_one_place(self) -> None:
        assert SETUP["metadata"]["version"] == "attr: airflow_provider_helpcrunch.__version__"
        assignment = re.compile(rf"""version["']?\s*[:=]+\s*["']?{re.escape(__version__)}\b""")
        sources = [
            *PACKAGE.rglob("*.py"),
            *(CLONE / name for name in ("setup.cfg", "setup.py", "pyproject.toml")),
        ]
        holders = [path.name for path in sources if assignment.search(path.read_text(encoding="utf-8"))]
        assert holders == []
        assert f'__version__ = "{__version__}"' in (PACKAGE / "__init__.py").read_text(encoding="utf-8")

    def test_the_changelog_begins_with_what_is_not_released(self) -> None:
        headings = re.findall(
            r"^## (.+)$", (CLONE / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
        )
        assert headings[0] == "[Unreleased]"
        assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])

    def test_what_nobody_could_install_has_neither_changed_nor_been_mended(self) -> None:
        changelog = (CLONE / "CHANGELOG.md").read_text(encoding="utf-8")
        _, unreleased, *released = re.split(r"^## ", changelog, flags=re.MULTILINE)
        assert released or re.findall(r"^### (.+)$", unreleased, re.MULTILINE) == ["Added"]


def public_names() -> list[str]:
    """Return what users write: operators, the connection's own fields, and extras."""
    (connection,) = get_provider_info()["connection-types"]
    fields = connection.get("conn-fields", {})
    extras = [extra for extra in SETUP["options.extras_require"] if extra != "dev"]
    return [*(operator.__name__ for operator in every_operator()), *fields, *extras]


def test_the_changelog_names_all_that_is_public() -> None:
    changelog = (CLONE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert len(public_names()) > 25
    assert [name for name in public_names() if not re.search(rf"\b{name}\b", changelog, re.IGNORECASE)] == []
