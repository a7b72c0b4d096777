"""Manual: options and kinds of faults, for ``--help`` and as the tables of ``docs/sandbox.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox.fault_kinds import KINDS, of_group
from airflow_provider_helpcrunch.sandbox.settings import DEFAULTS, OPTIONS

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.settings import Option


def epilog() -> str:
    """Return the part of ``--help`` about faults, a line for each kind."""
    kinds = "\n".join(f"  {kind.name:14} {kind.parameters:43} {plain(kind.text)}" for kind in KINDS.values())
    return f"""\
kinds of faults, with their parameters:
{kinds}

parameters of every kind:
  path=*         only requests whose path matches this pattern, such as /v1/agents
  method=*       only requests with this method
  offset=N       only requests with this offset
  chat=ID        only requests about this chat
  nth=1          the first matching request that is hit
  times=1        how many matching requests in a row are hit; 0: for ever

A write is not carried out where a fault stands in place of its response ({", ".join(of_group("instead"))}),
and is where the response only does not arrive ({", ".join(of_group("wire"))})."""


def plain(text: str) -> str:
    """Return Markdown as a terminal shows it."""
    return text.replace("`", "")


def flag(name: str) -> str:
    """Return an option's name on a command line."""
    return "--" + name.replace("_", "-")


def kinds_table() -> str:
    """Return the kinds of faults as a Markdown table."""
    rows = (
        f"| `{kind.name}` | {f'`{kind.parameters}` ' if kind.parameters else ''}| {kind.text} |"
        for kind in KINDS.values()
    )
    return "\n".join(("| kind | its parameters | what happens |", "|---|---|---|", *rows))


def options_table() -> str:
    """Return the options as a Markdown table."""
    rows = (_option_row(name, option) for name, option in OPTIONS.items())
    return "\n".join(("| option | default | meaning |", "|---|---|---|", *rows))


def _option_row(name: str, option: Option) -> str:
    shown = f"{flag(name)} {option.metavar}".strip().replace("|", "\\|")
    default = DEFAULTS[name]
    if isinstance(default, float):
        default = f"{default:g}"
    return f"| `{shown}` | {option.note or (f'`{default}`' if option.metavar else 'off')} | {option.text} |"
