"""The sandbox on a command line: ``python -m airflow_provider_helpcrunch.sandbox``."""

from __future__ import annotations

import argparse
import errno
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.control import PATHS, PREFIX
from airflow_provider_helpcrunch.sandbox.faults import Fault
from airflow_provider_helpcrunch.sandbox.manual import epilog, flag, plain
from airflow_provider_helpcrunch.sandbox.sandbox import Sandbox
from airflow_provider_helpcrunch.sandbox.settings import DEFAULTS, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Not 8080, where Airflow serves its pages.
DEFAULT_PORT = 8765


def _explained(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let argparse show what is wrong with a value, in the words of our own checks."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from wrong

    return parsed


def parser() -> argparse.ArgumentParser:
    """Return the parser; each argument of the sandbox is a flag."""
    made = argparse.ArgumentParser(
        prog="python -m airflow_provider_helpcrunch.sandbox",
        description="A HelpCrunch account on 127.0.0.1, with faults on request. Stops on Ctrl-C.",
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, option in OPTIONS.items():
        default = DEFAULT_PORT if name == "port" else DEFAULTS[name]
        text = plain(option.text)
        if not option.metavar:
            made.add_argument(flag(name), action="store_true", help=text)
            continue
        text += "" if default is None else f" (default: {default})"
        made.add_argument(
            flag(name), type=_explained(option.parse), default=default, help=text, metavar=option.metavar
        )
    made.add_argument(
        "--fault",
        dest="faults",
        type=_explained(Fault.parse),
        action="append",
        default=[],
        metavar="KIND[,NAME=VALUE...]",
        help="what goes wrong, such as status,status=503,path=/v1/agents,nth=4; repeatable; see below",
    )
    made.add_argument("--port-file", type=Path, metavar="FILE", help="write the port there once it serves")
    return made


def welcome(sandbox: Sandbox) -> str:
    """Return what a person needs to use a sandbox that serves."""
    bearer = shlex.quote(f"Authorization: Bearer {sandbox.key}")
    control = sandbox.url.removesuffix("/v1") + PREFIX
    return f"""HelpCrunch sandbox

  URL  {sandbox.url}
  key  {sandbox.key}

Point Airflow at it:
  export AIRFLOW_CONN_HELPCRUNCH_DEFAULT={shlex.quote(sandbox.connection())}

Try it:
  curl -H {bearer} {shlex.quote(sandbox.url + "/agents?limit=2")}

Look inside ({PATHS}):
  curl {control}summary

Ctrl-C stops it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Serve until SIGINT or SIGTERM.

    :param arguments: the command line, by default that of the process
    :return: the exit code: 1 when it cannot start
    """
    options = vars(parser().parse_args(arguments))
    port_file: Path | None = options.pop("port_file")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        sandbox = Sandbox(**options).start()
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(_reason(error, options["port"]), file=sys.stderr)
        return 1
    try:
        if port_file:
            port_file.write_text(f"{sandbox.port}\n")
        print(welcome(sandbox), flush=True)
        stopping.wait()
    finally:
        sandbox.stop()
    return 0


def _reason(error: Exception, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken: choose another one with --port, or any free one with --port 0"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
