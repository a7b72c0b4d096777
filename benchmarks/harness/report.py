"""Report in Markdown: a section for each figure, and facts about the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from harness.bench import PEERS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Section(NamedTuple):
    """
    One figure.

    :param title: what was measured
    :param method: how, in a few lines
    :param columns: heads of the table
    :param rows: its cells
    :param verdict: what came out, against the target
    """

    title: str
    method: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    verdict: str

    def markdown(self, name: str) -> str:
        """Return the section, with the command that measures it again."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
        command = f"    make bench ARGS={name}"
        return f"## {self.title}\n\n{self.method}\n\n{command}\n\n{table}\n\n{self.verdict}\n"


def target(text: str, measured: str, *, held: bool) -> str:
    """Return the sentences about a target."""
    return f"Target: {text}. Measured: {measured}. **{'Held' if held else 'Missed'}.**"


def machine() -> str:
    """Return what a reader needs to know of where this ran."""
    peers = "; ".join(f"{peer.name}: {' '.join(peer.environment.packages)}" for peer in PEERS)
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"Airflow {version('apache-airflow')}, airflow-provider-helpcrunch {version('airflow-provider-helpcrunch')}. "
        f"Alternatives: {peers}.\n"
    )
