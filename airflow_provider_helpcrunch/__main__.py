"""Commands of the package: ``python -m airflow_provider_helpcrunch check``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :param arguments: the command line. Default: that of the process
    :return: the exit code
    """
    from airflow_provider_helpcrunch.check.command import add_arguments, check

    parser = argparse.ArgumentParser(prog="python -m airflow_provider_helpcrunch")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    checking = commands.add_parser(
        "check",
        help="check how your HelpCrunch account answers what the documentation of its API leaves open",
        description="Check how your HelpCrunch account answers what the documentation of its API leaves open. Only "
        "reads, with at most 20 requests within the account's rate limit, and shows nothing of a person.",
        epilog="Exit codes: 0, nothing contradicts what this package assumes; 1, something does; 2, the account was "
        "not checked: an argument, the connection or the key is wrong, or HelpCrunch cannot be reached.",
    )
    add_arguments(checking)
    return check(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
