"""Command of a check: its arguments, the account that they name, and the exit code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.check.interview import RETRY, Interview
from airflow_provider_helpcrunch.check.questions import findings
from airflow_provider_helpcrunch.check.report import as_json, as_text, with_verdict
from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.credentials import DEFAULT_BASE_URL
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
)
from airflow_provider_helpcrunch.plurals import duration

if TYPE_CHECKING:
    import argparse

DEFAULT_CONN_ID = "helpcrunch_default"
KEY_VARIABLE = "HELPCRUNCH_API_KEY"
URL_VARIABLE = "HELPCRUNCH_API_URL"

NOTHING_CONTRADICTS, CONTRADICTED, NOT_CHECKED = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the arguments of the command.

    :param parser: the parser of the command
    """
    parser.add_argument(
        "--conn-id",
        metavar="ID",
        help=f"the Airflow connection (default: {DEFAULT_CONN_ID}, unless {KEY_VARIABLE} is set)",
    )
    parser.add_argument(
        "--host",
        metavar="URL",
        help=f"address of the API for the key in {KEY_VARIABLE} (default: {URL_VARIABLE}, or {DEFAULT_BASE_URL})",
    )
    parser.add_argument("--json", action="store_true", help="write JSON, for a bug report")


def check(options: argparse.Namespace) -> int:
    """
    Check an account, and write the report to standard output, or one sentence to standard error.

    :param options: ``conn_id``, ``host`` and ``json``
    :return: 0: nothing contradicts what the package assumes; 1: something does; 2: the account was not checked, since
        an argument, the connection or the key is wrong, or HelpCrunch cannot be reached
    """
    try:
        # Airflow 2 logs to standard output, which belongs to the report.
        with contextlib.redirect_stdout(sys.stderr), _client(options.conn_id, options.host) as client:
            found = findings(Interview(client, _wait).held())
            requests, base_url = client.usage.requests, client.base_url
    except HelpCrunchError as error:
        sys.stderr.write(f"{error} {_advice_for(error)}".rstrip() + "\n")
        return NOT_CHECKED
    text = as_json(found, requests, base_url) if options.json else as_text(found, requests)
    sys.stdout.write(text + "\n")
    return CONTRADICTED if with_verdict(found, "contradicted") else NOTHING_CONTRADICTS


def _client(conn_id: str | None, host: str | None) -> HelpCrunchClient:
    for name, given in (("--conn-id", conn_id), ("--host", host)):
        # As of a shell variable that is not set: the default would be another account.
        if given is not None and not given.strip():
            msg = f"{name} is empty; give it a value, or leave it out."
            raise HelpCrunchConfigurationError(msg)
    api_key = os.environ.get(KEY_VARIABLE)
    if conn_id is None and api_key is not None:
        base_url = host or os.environ.get(URL_VARIABLE) or DEFAULT_BASE_URL
        return HelpCrunchClient(api_key, base_url=base_url, retry=RETRY)
    if host is not None:
        msg = f"--host belongs to the key in {KEY_VARIABLE}; the address of a connection is its host."
        raise HelpCrunchConfigurationError(msg)
    return _client_of_connection(conn_id or DEFAULT_CONN_ID)


def _client_of_connection(conn_id: str) -> HelpCrunchClient:
    if not _has_airflow():
        msg = f"Airflow is not installed here: put the API key into the environment variable {KEY_VARIABLE}."
        raise HelpCrunchConfigurationError(msg)
    # As in Airflow's own command that tests a connection: without it, Airflow 3 does not look into its database.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    from airflow_provider_helpcrunch._airflow import AirflowNotFoundException
    from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

    try:
        return HelpCrunchHook(conn_id).client_with(RETRY)
    except AirflowNotFoundException:
        msg = (
            f"Airflow has no connection {conn_id!r}: name another one with --conn-id, or put the API key into the "
            f"environment variable {KEY_VARIABLE}."
        )
    raise HelpCrunchConfigurationError(msg)


def _has_airflow() -> bool:
    try:
        importlib.import_module("airflow")
    except ModuleNotFoundError as error:
        if error.name != "airflow":
            raise
        return False
    return True


def _wait(seconds: float) -> None:
    sys.stderr.write(f"Waiting {duration(seconds)} for the account's rate limit, which other tasks use.\n")
    time.sleep(seconds)


def _advice_for(error: HelpCrunchError) -> str:
    """Return advice that the error itself does not give."""
    match error:
        case HelpCrunchNotFoundError() | HelpCrunchResponseError():
            return "Something answers at this address, but not HelpCrunch."
        case _:
            return ""
