"""The sandbox on a command line: ``python -m airflow_provider_helpcrunch.sandbox``."""

from __future__ import annotations

import argparse
import errno
import shlex
import signal
import sys
import threading
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.clock import milliseconds
from airflow_provider_helpcrunch.sandbox.control import PATHS, PREFIX
from airflow_provider_helpcrunch.sandbox.faults import Fault
from airflow_provider_helpcrunch.sandbox.manual import epilog
from airflow_provider_helpcrunch.sandbox.sandbox import Sandbox
from airflow_provider_helpcrunch.sandbox.settings import TOTAL_STYLES, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT = 8080


def _limit(text: str) -> int | None:
    return None if text == "none" else int(text)


def _total(text: str) -> Any:
    return text if text in TOTAL_STYLES else int(text)


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from wrong


def _now(text: str) -> str:
    try:
        milliseconds(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from wrong
    return text


_FLAGS: tuple[tuple[str, Any, str, str], ...] = (
    ("port", int, "PORT", "port on 127.0.0.1, 0 for a free one"),
    ("agents", int, "N", "agents the account starts with"),
    ("departments", int, "N", "departments it has"),
    ("chats", int, "N", "chats the account starts with"),
    ("key", str, "KEY", "API key"),
    ("seed", int, "N", "the same seed and the same --now give the same account"),
    (
        "now",
        _now,
        "TIME",
        "moment its chats lead up to, ISO 8601 (UTC) or UNIX seconds (default: the current time)",
    ),
    ("rate_limit", _limit, "N|none", "requests in any rolling window, or none for no limit"),
    ("window", float, "SECONDS", "length of that window"),
    ("retry_after", bool, "", "send Retry-After with a 429"),
    ("latency", float, "SECONDS", "delay of each answer"),
    ("page_cap", int, "ROWS", "most rows a page ever has"),
    ("max_limit", int, "ROWS", "a greater limit is answered 400"),
    (
        "total",
        _total,
        "STYLE|N",
        f"how a list tells its total: {', '.join(TOTAL_STYLES)}, or a number to add to it",
    ),
    ("ignore_offset", bool, "", "every page is the first one"),
    ("errors", str, "new|old", "error bodies of the new or the old documentation"),
    ("search_total", str, "root|meta", "where a search of chats tells its total"),
    ("on_hold", str, "WORDS", "spelling of this status in answers: onhold, on hold, on-hold"),
    ("timestamps", str, "STYLE", "times of chats: string, integer, fractional"),
    ("chat_shape", str, "new|old", "fields of a chat in the new or the old documentation"),
    ("updated_at", bool, "", "a search may filter by chats.updatedAt"),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser; each argument of the sandbox is a flag."""
    made = argparse.ArgumentParser(
        prog="python -m airflow_provider_helpcrunch.sandbox",
        description="A HelpCrunch account on 127.0.0.1, with faults on request. Stops on Ctrl-C.",
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = {field.name: field.default for field in fields(Settings)} | {"port": DEFAULT_PORT}
    for name, kind, metavar, text in _FLAGS:
        flag, default = "--" + name.replace("_", "-"), defaults[name]
        if kind is bool:
            made.add_argument(flag, action="store_true", help=text)
        else:
            text += "" if default is None else f" (default: {default})"
            made.add_argument(flag, type=kind, default=default, help=text, metavar=metavar)
    made.add_argument(
        "--fault",
        dest="faults",
        type=_fault,
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
