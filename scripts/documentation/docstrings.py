"""An extension of Griffe: the reStructuredText of docstrings as the Markdown that mkdocstrings renders."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Any

import griffe

ROLE = re.compile(r":(?:meth|class|func|attr|mod|data|exc):`(?:~|\.(?:[a-z_]+\.)*)?([^`]+)`")
"""A role, whose modules are left out where the path is relative: on a page it says nothing."""
LITERAL = re.compile(
    r"^(?P<indent> *)(?P<text>.*?)::(?: python)?\n(?P<code>(?:\n|(?P=indent) {2,}.*(?:\n|\Z))+)", re.MULTILINE
)
FIELDS = re.compile(r"(?:^:(?:param|return|raises)\b.*(?:\n|\Z)(?:^ +.*(?:\n|\Z))*)+", re.MULTILINE)
FIELD = re.compile(r"^:(param|return|raises) ?([\w.]*): (.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)
TITLES = {"param": "Arguments", "return": "Returns", "raises": "Raises"}


class MarkdownDocstrings(griffe.Extension):
    """Turns fields into lists, roles into code, and literal blocks into fenced ones."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring in Markdown."""
    text = LITERAL.sub(_fenced, text)
    text = FIELDS.sub(_lists, text)
    return ROLE.sub(r"`\1`", text)


def _fenced(found: re.Match[str]) -> str:
    text = found["text"]
    head = "" if text in ("", ".. code-block") else f"{found['indent']}{text}:\n\n"
    code = textwrap.dedent(found["code"]).strip("\n")
    language = "python" if _is_python(code) else "text"
    if language == "text":
        code = code.replace("``", "")
    fenced = f"```{language}\n{code}\n```\n\n"
    return head + textwrap.indent(fenced, found["indent"])


def _is_python(code: str) -> bool:
    """Say whether a literal block is code, and not a drawing."""
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def _lists(found: re.Match[str]) -> str:
    entries: dict[str, list[str]] = {}
    for kind, name, text in FIELD.findall(found[0]):
        head = f"`{name}`: " if name else ""
        entries.setdefault(kind, []).append(f"- {head}{' '.join(text.split())}")
    lists = [f"**{TITLES[kind]}**\n\n" + "\n".join(lines) for kind, lines in entries.items()]
    return "\n" + "\n\n".join(lists) + "\n"
